/** The tar in a file, decompressed where need be. */
import { createReadStream } from "node:fs";
import { createGunzip, createZstdDecompress } from "node:zlib";
import { ArchiveError } from "./tar-read.ts";

const chunkBytes = 256 * 1024;

/** @throws {ArchiveError} What is compressed is damaged or cut short. @throws {Error} The file cannot be read. */
export async function* decompressed(path: string, kind: "tar" | "tgz" | "tzst"): AsyncGenerator<Uint8Array> {
  const file = createReadStream(path, { highWaterMark: chunkBytes });
  if (kind === "tar") {
    yield* file as AsyncIterable<Uint8Array>;
    return;
  }
  const decoder =
    kind === "tgz" ? createGunzip({ chunkSize: chunkBytes }) : createZstdDecompress({ chunkSize: chunkBytes });
  file.on("error", (error) => decoder.destroy(error));
  file.pipe(decoder);
  try {
    yield* decoder as AsyncIterable<Uint8Array>;
  } catch (error) {
    const { code = "", message } = error as { code?: string; message: string };
    if (/^(?:Z_|ERR_|ZSTD)/.test(code))
      throw new ArchiveError(`the compressed archive is damaged: ${message}`, { cause: error });
    throw error;
  } finally {
    file.destroy();
    decoder.destroy();
  }
}
