/** What stored names end in, and how their content is written and read. */
import { decrypt, encrypt } from "./aes.ts";
import { gunzip, gzip, unzstd, zstd } from "./compression.ts";
import { CodecError } from "./errors.ts";
import type { ByteSource } from "./pieces.ts";
import type { CodecSettings } from "./settings.ts";

export type { ByteSource } from "./pieces.ts";

interface Format {
  readonly compression: "none" | "gzip" | "zstd";
  readonly isEncrypted: boolean;
}

/** All extensions that stored names may have, those that say more first. pgrwl looks for them in this order. */
const formats: Readonly<Record<string, Format>> = {
  ".gz.aes": { compression: "gzip", isEncrypted: true },
  ".zst.aes": { compression: "zstd", isEncrypted: true },
  ".gz": { compression: "gzip", isEncrypted: false },
  ".zst": { compression: "zstd", isEncrypted: false },
  ".aes": { compression: "none", isEncrypted: true },
  "": { compression: "none", isEncrypted: false },
};

export const extensions: readonly string[] = Object.keys(formats);

/** A stored name, parted: `000000010000000000000003` and `.gz.aes`. */
export function splitExtension(storedName: string): { readonly name: string; readonly extension: string } {
  const extension = extensions.find((candidate) => storedName.endsWith(candidate)) ?? "";
  return { name: storedName.slice(0, storedName.length - extension.length), extension };
}

/** The extension of what {@link encode} writes. */
export function extensionOf({ compression, encryption_password }: CodecSettings): string {
  const isEncrypted = encryption_password !== undefined;
  return (
    extensions.find(
      (extension) => formats[extension]?.compression === compression && formats[extension].isEncrypted === isEncrypted,
    ) ?? ""
  );
}

/** Compresses, then encrypts. Closes the source, however it ends. Errors of the source pass through. */
export function encode(
  source: ByteSource,
  { compression, compression_level: level, encryption_password }: CodecSettings,
): ReadableStream<Uint8Array> {
  const compressed =
    compression === "gzip"
      ? gzip(source, level && Math.min(level, 9))
      : compression === "zstd"
        ? zstd(source, level)
        : source;
  return asStream(encryption_password === undefined ? compressed : encrypt(compressed, encryption_password), source);
}

export interface DecodeOptions {
  /** Of encrypted content. */
  readonly password?: string;
  /** Bytes that the content must have: what is cut off between two parts of a format is noticed only so. */
  readonly sizeBytes?: number;
  /** Most that the content may have: a small file can decode to a terabyte. */
  readonly maxBytes: number;
}

/**
 * Decrypts, then decompresses, as the extension says. Closes the source, however it ends. Errors of the source pass through.
 * @param storedName Or its extension.
 * @throws {CodecError} The content is not whole, was changed, is too large or cannot be decrypted.
 */
export function decode(source: ByteSource, storedName: string, options: DecodeOptions): ReadableStream<Uint8Array> {
  const { extension } = splitExtension(storedName);
  const { compression, isEncrypted } = formats[extension] ?? { compression: "none", isEncrypted: false };
  let stream: ByteSource = source;
  if (isEncrypted) {
    const { password } = options;
    stream = password === undefined ? failure(noPassword()) : decrypt(source, password);
  }
  if (compression === "gzip") stream = gunzip(stream);
  if (compression === "zstd") stream = unzstd(stream);
  return asStream(bounded(stream, options), source);
}

async function* bounded(source: ByteSource, { maxBytes, sizeBytes }: DecodeOptions): AsyncGenerator<Uint8Array> {
  const limit = Math.min(maxBytes, sizeBytes ?? maxBytes);
  let total = 0;
  for await (const chunk of source) {
    total += chunk.byteLength;
    if (total > limit) {
      throw total > maxBytes
        ? new CodecError("too-large", `Cannot decode: the content has more than ${maxBytes} bytes`)
        : new CodecError("corrupt", `Cannot decode: the content has more than the expected ${sizeBytes} bytes`);
    }
    yield chunk;
  }
  if (sizeBytes !== undefined && total < sizeBytes) {
    throw new CodecError("truncated", `Cannot decode: the content has ${total} bytes, expected were ${sizeBytes}`);
  }
}

/** @returns A stream which closes the source even where nobody asked it for anything: a generator runs no `finally` then. */
function asStream(bytes: ByteSource, source: ByteSource): ReadableStream<Uint8Array> {
  const iterator = bytes[Symbol.asyncIterator]();
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        try {
          const { done, value } = await iterator.next();
          if (done) controller.close();
          else controller.enqueue(value);
        } catch (error) {
          await closeSource(source).catch(() => {});
          controller.error(error);
        }
      },
      async cancel() {
        await iterator.return?.();
        await closeSource(source);
      },
    },
    { highWaterMark: 0 },
  );
}

async function closeSource(source: ByteSource): Promise<void> {
  if (!(source instanceof ReadableStream)) await source[Symbol.asyncIterator]().return?.();
  else if (!source.locked) await source.cancel();
}

const noPassword = () => new CodecError("password", "Cannot decrypt: no password is configured");

async function* failure(error: CodecError): AsyncGenerator<never> {
  yield* [];
  throw error;
}
