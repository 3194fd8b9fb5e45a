/** Compression of a stream by the runtime's zlib and zstd, off the thread that calls it. */
import type { Transform } from "node:stream";
import { constants, crc32, createDeflateRaw, createZstdCompress } from "node:zlib";

/**
 * Sends chunks through a compressor. An empty chunk flushes it.
 * @throws Whatever the source throws; the compressor is let go.
 */
export async function* through(
  source: AsyncIterable<Uint8Array>,
  transform: Transform & { flush(kind: number, callback: () => void): void },
  flushKind: number,
): AsyncGenerator<Uint8Array> {
  const iterator = source[Symbol.asyncIterator]();
  const feed = async (): Promise<void> => {
    for (;;) {
      const { done, value } = await iterator.next();
      if (done) break;
      if (value.length === 0) await new Promise<void>((resolve) => transform.flush(flushKind, resolve));
      else await new Promise<void>((resolve) => transform.write(value, () => resolve()));
    }
    transform.end();
  };
  const feeding = feed().catch((error: unknown) => {
    transform.destroy(error instanceof Error ? error : new Error(String(error)));
  });
  try {
    for await (const chunk of transform) yield chunk as Uint8Array;
    await feeding;
  } finally {
    transform.destroy();
    await iterator.return?.();
  }
}

/** One gzip member. The moment is given, not the clock's: equal content is equal bytes. Source: RFC 1952. */
export async function* gzipMember(
  source: AsyncIterable<Uint8Array>,
  { name, comment, mtimeSeconds }: { name: string; comment: string; mtimeSeconds: number },
): AsyncGenerator<Uint8Array> {
  const head = Buffer.from([0x1f, 0x8b, 8, 0x18, 0, 0, 0, 0, 0, 0xff]);
  head.writeUInt32LE(mtimeSeconds > 0 && mtimeSeconds < 2 ** 32 ? mtimeSeconds : 0, 4);
  yield Buffer.concat([head, Buffer.from(`${name}\0${comment}\0`, "latin1")]);
  let crc = 0;
  let sizeBytes = 0;
  const counted = async function* (): AsyncGenerator<Uint8Array> {
    for await (const chunk of source) {
      crc = crc32(chunk, crc);
      sizeBytes += chunk.length;
      yield chunk;
    }
  };
  yield* through(counted(), createDeflateRaw({ chunkSize }), constants.Z_SYNC_FLUSH);
  const tail = Buffer.alloc(8);
  tail.writeUInt32LE(crc, 0);
  tail.writeUInt32LE(sizeBytes % 2 ** 32, 4);
  yield tail;
}

/** One zstd frame at level 3, with the checksum of its content. */
export function zstdFrame(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const params = {
    [constants.ZSTD_c_compressionLevel]: 3,
    [constants.ZSTD_c_checksumFlag]: 1,
    // Measured on blocks: a window of 512 KiB makes them as small as one of 2 MiB does, in a third of the memory.
    [constants.ZSTD_c_windowLog]: 19,
  };
  return through(source, createZstdCompress({ chunkSize, params }), constants.ZSTD_e_flush);
}

const chunkSize = 64 * 1024;
