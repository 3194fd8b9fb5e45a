/** A ZIP archive as a stream: the container is fflate's, the compression the runtime's, ten times as fast. */
import type { Transform } from "node:stream";
import { constants, crc32, createDeflateRaw } from "node:zlib";
import { Zip, type ZipInputFile } from "fflate";
import { through } from "./compress.ts";
import type { ArchiveEntry } from "./entry.ts";
import type { Content } from "./tar-stream.ts";

const chunkBytes = 128 * 1024;
const unix = 3;
const folderMode = 0o40755;
const fileMode = 0o100644;
const stored = 0;
const deflated = 8;

/** Bytes that a ZIP archive of these entries has at most. fflate writes no ZIP64: 4 GiB are its end. */
export function zipBound(entries: readonly ArchiveEntry[]): number {
  let bytes = 22;
  for (const { path, sizeBytes } of entries) {
    const name = Buffer.byteLength(path) + 1;
    // What cannot be compressed grows by five bytes in each block of 16 KiB.
    bytes += 30 + 16 + 46 + 2 * name + sizeBytes + 5 * Math.ceil(sizeBytes / 16_384 + 1);
  }
  return entries.length > 65_535 ? Number.POSITIVE_INFINITY : bytes;
}

/** @throws Whatever `open` and the contents throw. */
export async function* zipStream<Entry extends ArchiveEntry>(
  entries: readonly Entry[],
  open: (entry: Entry) => Promise<Content>,
): AsyncGenerator<Uint8Array> {
  const ready: Uint8Array[] = [];
  const zip = new Zip((error, chunk) => {
    if (error) throw error;
    ready.push(chunk);
  });
  for (const entry of entries) {
    const file = zipEntry(entry);
    zip.add(file);
    if (entry.kind === "folder") file.ondata?.(null, new Uint8Array(0), true);
    else {
      const transform = createDeflateRaw({ chunkSize: chunkBytes });
      for await (const chunk of deflate(entry, file, open, transform)) {
        file.ondata?.(null, chunk as Uint8Array<ArrayBuffer>, false);
        yield* ready.splice(0);
      }
      file.ondata?.(null, new Uint8Array(0), true);
    }
    yield* ready.splice(0);
  }
  zip.end();
  yield* ready.splice(0);
}

type Deflate = Transform & { flush(kind: number, callback: () => void): void };

/** The compressed content; `file` gets the size and the checksum of what went in. */
async function* deflate<Entry extends ArchiveEntry>(
  entry: Entry,
  file: ZipInputFile,
  open: (entry: Entry) => Promise<Content>,
  transform: Deflate,
): AsyncGenerator<Uint8Array> {
  await using content = await open(entry);
  const read = async function* (): AsyncGenerator<Uint8Array> {
    for (let at = 0; at < entry.sizeBytes; ) {
      const chunk = Buffer.allocUnsafeSlow(Math.min(chunkBytes, entry.sizeBytes - at));
      await content.fill(chunk, at);
      at += chunk.length;
      file.crc = crc32(chunk, file.crc);
      file.size += chunk.length;
      yield chunk;
    }
    await content.settle();
  };
  yield* through(read(), transform, constants.Z_SYNC_FLUSH);
}

function zipEntry({ path, kind, mtimeSeconds }: ArchiveEntry): ZipInputFile {
  const isFolder = kind === "folder";
  return {
    filename: isFolder ? `${path}/` : path,
    size: 0,
    crc: 0,
    compression: isFolder ? stored : deflated,
    os: unix,
    attrs: ((isFolder ? folderMode : fileMode) << 16) >>> 0,
    mtime: utcFields(mtimeSeconds),
  };
}

/** The archive has fields of a calendar, and fflate takes them in the time zone of this machine: UTC wherever it is. */
function utcFields(seconds: number): Date {
  // The years that the fields can hold.
  const date = new Date(Math.min(Math.max(seconds, 315_532_800), 4_102_444_799) * 1000);
  return new Date(
    date.getUTCFullYear(),
    date.getUTCMonth(),
    date.getUTCDate(),
    date.getUTCHours(),
    date.getUTCMinutes(),
    date.getUTCSeconds(),
  );
}
