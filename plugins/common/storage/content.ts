/** What is put, as a stream of bytes that is counted, hashed, and closed whatever happens. */
import { createHash } from "node:crypto";
import { open } from "node:fs/promises";
import type { Content, PutOptions } from "./storage.ts";

/** Bytes read from a file at once. */
const fileChunkBytes = 1 << 20;

export interface Measured {
  /** To be read once. Ends with an error where the size is not the promised one. */
  readonly chunks: AsyncGenerator<Uint8Array>;
  /** Bytes so far. */
  readonly sizeBytes: () => number;
  /** Hexadecimal SHA-256 of all; only after the end, and only once. */
  readonly sha256: () => string;
}

/** @throws {Error} While reading: there are more or fewer bytes than `sizeBytes`; the signal's reason; the content's own. */
export function measure(content: Content, { sizeBytes: expected, signal }: PutOptions): Measured {
  const hash = createHash("sha256");
  let sizeBytes = 0;
  async function* chunks(): AsyncGenerator<Uint8Array> {
    for await (const chunk of abortable(opened(content), signal)) {
      if (chunk.byteLength === 0) continue;
      sizeBytes += chunk.byteLength;
      if (expected !== undefined && sizeBytes > expected) break;
      hash.update(chunk);
      yield chunk;
    }
    if (expected !== undefined && sizeBytes !== expected) {
      const found = sizeBytes > expected ? "more" : `only ${sizeBytes}`;
      throw new Error(`Cannot store content of ${expected} bytes: it has ${found}`);
    }
  }
  return { chunks: chunks(), sizeBytes: () => sizeBytes, sha256: () => hash.digest("hex") };
}

function opened(content: Content): AsyncIterable<Uint8Array> {
  if (content instanceof Uint8Array) return single(content);
  return Symbol.asyncIterator in content ? content : readFile(content.file);
}

async function* single(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}

/** A file's bytes. The chunks are the reader's to keep. */
async function* readFile(path: string): AsyncGenerator<Uint8Array> {
  await using file = await open(path, "r");
  for (;;) {
    const { bytesRead, buffer } = await file.read(new Uint8Array(fileChunkBytes), 0, fileChunkBytes);
    if (bytesRead === 0) return;
    yield buffer.subarray(0, bytesRead);
  }
}

/**
 * The same, but an abort is heard while the source is silent: its reason is thrown and the source told to return,
 * which is not waited for.
 */
export async function* abortable<Item>(source: AsyncIterable<Item>, signal?: AbortSignal): AsyncGenerator<Item> {
  if (signal === undefined) {
    yield* source;
    return;
  }
  const iterator = source[Symbol.asyncIterator]();
  const aborted = Promise.withResolvers<never>();
  aborted.promise.catch(() => {});
  const abort = () => aborted.reject(signal.reason);
  signal.addEventListener("abort", abort, { once: true });
  let isOver = false;
  try {
    signal.throwIfAborted();
    for (;;) {
      const { done, value } = await Promise.race([iterator.next(), aborted.promise]);
      if (done) {
        isOver = true;
        return;
      }
      yield value;
    }
  } finally {
    signal.removeEventListener("abort", abort);
    if (!isOver) {
      const returned = Promise.resolve(iterator.return?.()).catch(() => {});
      if (!signal.aborted) await returned;
    }
  }
}

/** All bytes of a stream, up to a limit. @throws {RangeError} There are more. */
export async function collect(stream: AsyncIterable<Uint8Array>, maxBytes: number): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let total = 0;
  for await (const chunk of stream) {
    total += chunk.byteLength;
    if (total > maxBytes) throw new RangeError(`Cannot read more than ${maxBytes} bytes at once`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}
