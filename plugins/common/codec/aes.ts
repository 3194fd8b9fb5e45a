/**
 * The encrypted container that pgrwl writes: `AEADv1`, 16 bytes of salt, then chunks to the end of the file. A chunk is a nonce of
 * 12 bytes (four zero bytes and the chunk's number from 0, big-endian), 65,536 bytes of ciphertext (the last one: 1 to 65,536) and a tag of 16 bytes.
 * Empty content has no chunk, and content of a multiple of 65,536 bytes no empty last one.
 *
 * Nothing marks the last chunk: a file that was cut between two chunks decrypts without an error. Whoever reads must know the
 * size, or an inner format that knows its end.
 */
import { createCipheriv, createDecipheriv, randomBytes } from "node:crypto";
import { deriveKey, saltBytes } from "./aes-key.ts";
import { CodecError } from "./errors.ts";
import { type ByteSource, inPieces } from "./pieces.ts";

const magic = Buffer.from("AEADv1");
const headerBytes = magic.length + saltBytes;
const chunkBytes = 65_536;
const nonceBytes = 12;
const tagBytes = 16;
const algorithm = "aes-256-gcm";

/** The size of the container for content of a size. */
export const encryptedSize = (plainBytes: number): number =>
  headerBytes + plainBytes + Math.ceil(plainBytes / chunkBytes) * (nonceBytes + tagBytes);

/** The size of the content of a container; undefined where no container has that size. */
export function decryptedSize(containerBytes: number): number | undefined {
  const body = containerBytes - headerBytes;
  const chunks = Math.ceil(body / (nonceBytes + chunkBytes + tagBytes));
  const plain = body - chunks * (nonceBytes + tagBytes);
  return body >= 0 && encryptedSize(Math.max(plain, 0)) === containerBytes ? plain : undefined;
}

/** @param salt For tests alone: with the same key and numbers from 0, two files of one salt betray each other. */
export async function* encrypt(
  source: ByteSource,
  password: string,
  salt: Uint8Array = randomBytes(saltBytes),
): AsyncGenerator<Uint8Array> {
  const key = await deriveKey(password, salt);
  yield Buffer.concat([magic, salt]);
  let number = 0n;
  for await (const piece of inPieces(source, chunkBytes)) {
    const nonce = nonceOf(number++);
    const cipher = createCipheriv(algorithm, key, nonce);
    const text = cipher.update(piece);
    cipher.final();
    yield Buffer.concat([nonce, text, cipher.getAuthTag()]);
  }
}

/**
 * The content, chunk by chunk, none before it was verified.
 * @throws {CodecError} Cut within a chunk or the header; a chunk changed, missing, repeated or moved; a wrong password.
 */
export async function* decrypt(source: ByteSource, password: string): AsyncGenerator<Uint8Array> {
  const pieces = inPieces(source, nonceBytes + chunkBytes + tagBytes, headerBytes);
  try {
    const { value: header } = await pieces.next();
    const salt = saltOf(header ?? new Uint8Array());
    yield* decryptChunks(pieces, await deriveKey(password, salt));
  } finally {
    await pieces.return(undefined);
  }
}

function saltOf(header: Uint8Array): Uint8Array {
  const found = header.subarray(0, magic.length);
  if (!magic.subarray(0, found.length).equals(found)) {
    throw new CodecError(
      "corrupt",
      "Cannot decrypt: it does not begin with AEADv1, so it is no encrypted file of this kind",
    );
  }
  if (header.length < headerBytes)
    throw new CodecError("truncated", `Cannot decrypt: it ends after ${header.length} bytes, within its header`);
  return header.subarray(magic.length);
}

async function* decryptChunks(chunks: AsyncIterable<Uint8Array>, key: Uint8Array): AsyncGenerator<Uint8Array> {
  let number = 0n;
  for await (const chunk of chunks) {
    if (chunk.length <= nonceBytes + tagBytes) {
      throw new CodecError("truncated", `Cannot decrypt: chunk ${number} has only ${chunk.length} bytes`);
    }
    const isWhole = chunk.length === nonceBytes + chunkBytes + tagBytes;
    const nonce = chunk.subarray(0, nonceBytes);
    if (!nonceOf(number).equals(nonce)) {
      throw new CodecError(
        "corrupt",
        `Cannot decrypt: chunk ${number} has another one's number: some are missing, repeated or moved`,
      );
    }
    const decipher = createDecipheriv(algorithm, key, nonce);
    decipher.setAuthTag(chunk.subarray(chunk.length - tagBytes));
    const text = decipher.update(chunk.subarray(nonceBytes, chunk.length - tagBytes));
    try {
      decipher.final();
    } catch (cause) {
      throw verificationError(number, isWhole, cause);
    }
    number++;
    yield text;
  }
}

function verificationError(number: bigint, isWhole: boolean, cause: unknown): CodecError {
  if (number === 0n) {
    const reasons = isWhole ? "a wrong password, or it was changed" : "a wrong password, or it was changed or cut off";
    return new CodecError("password", `Cannot decrypt: the first chunk does not verify: ${reasons}`, { cause });
  }
  return isWhole
    ? new CodecError("corrupt", `Cannot decrypt: chunk ${number} does not verify: it was changed`, { cause })
    : new CodecError(
        "truncated",
        `Cannot decrypt: chunk ${number}, the last, does not verify: it was cut off or changed`,
        { cause },
      );
}

function nonceOf(number: bigint): Buffer {
  const nonce = Buffer.alloc(nonceBytes);
  nonce.writeBigUInt64BE(number, 4);
  return nonce;
}
