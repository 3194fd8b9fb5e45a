/** gzip and zstd, by the runtime. */
import type { Transform } from "node:stream";
import { pipeline } from "node:stream/promises";
import { constants, createGunzip, createGzip, createZstdCompress, createZstdDecompress } from "node:zlib";
import { CodecError } from "./errors.ts";
import type { ByteSource } from "./pieces.ts";
import { ZstdFrames } from "./zstd-frames.ts";

const outputBytes = 128 * 1024;

/** One member; no name, no time. @param level 1 to 9. */
export const gzip = (source: ByteSource, level = 6): AsyncGenerator<Uint8Array> =>
  through(source, createGzip({ level, chunkSize: outputBytes }));

/** One frame with a checksum of the content. @param level 1 to 19. */
export const zstd = (source: ByteSource, level = 3): AsyncGenerator<Uint8Array> =>
  through(
    source,
    createZstdCompress({
      chunkSize: outputBytes,
      params: { [constants.ZSTD_c_compressionLevel]: level, [constants.ZSTD_c_checksumFlag]: 1 },
    }),
  );

/**
 * Any number of members, one after the other; zero bytes may follow them, as gzip itself has it.
 * @throws {CodecError} It is cut off within a member, empty, changed, or something else follows.
 */
export async function* gunzip(source: ByteSource): AsyncGenerator<Uint8Array> {
  yield* decompress(source, createGunzip({ chunkSize: outputBytes }), "gzip");
}

/** Any number of frames. @throws {CodecError} It is cut off within a frame, empty, changed, or something else follows. */
export async function* unzstd(source: ByteSource): AsyncGenerator<Uint8Array> {
  const frames = new ZstdFrames();
  async function* followed(): AsyncGenerator<Uint8Array> {
    for await (const chunk of source) {
      frames.follow(chunk);
      yield chunk;
    }
    frames.end();
  }
  yield* decompress(followed(), createZstdDecompress({ chunkSize: outputBytes }), "zstd");
}

async function* decompress(source: ByteSource, decoder: Transform, format: string): AsyncGenerator<Uint8Array> {
  let sourceFailure: { readonly error: unknown } | undefined;
  async function* watched(): AsyncGenerator<Uint8Array> {
    try {
      yield* source;
    } catch (error) {
      sourceFailure = { error };
      throw error;
    }
  }
  try {
    yield* through(watched(), decoder);
  } catch (cause) {
    if (sourceFailure !== undefined) throw sourceFailure.error;
    const { code = "", message } = cause as NodeJS.ErrnoException;
    const kind = code === "Z_BUF_ERROR" ? "truncated" : "corrupt";
    throw new CodecError(kind, `Cannot decompress ${format}: ${message}`, { cause });
  }
}

/** What comes out of a transform. Whoever stops early, or an error anywhere, closes the source and the transform. */
async function* through(source: ByteSource, transform: Transform): AsyncGenerator<Uint8Array> {
  const fed = pipeline(iterate(source), transform);
  fed.catch(() => {});
  try {
    yield* transform;
    await fed;
  } catch (error) {
    // The transform says only that it was ended; the pipeline knows why.
    await fed;
    throw error;
  } finally {
    transform.destroy();
    await fed.catch(() => {});
  }
}

/** pipeline() has ways of its own with web streams. */
async function* iterate(source: ByteSource): AsyncGenerator<Uint8Array> {
  yield* source;
}
