/** Reads ZIP archives by their directory. Source: PKWARE's APPNOTE.TXT 6.3.10; no ZIP64, no encryption. */
import { createReadStream } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { crc32, createInflateRaw } from "node:zlib";
import { ArchiveError, checkedPath, type StreamedMember } from "./tar-read.ts";

const endMagic = 0x06054b50;
const directoryMagic = 0x02014b50;
const localMagic = 0x04034b50;
const endBytes = 22;
const mostCommentBytes = 65_535;

interface ZipEntry {
  readonly path: string;
  readonly method: number;
  readonly crc: number;
  readonly compressedBytes: number;
  readonly sizeBytes: number;
  readonly localStart: number;
}

/** @throws {ArchiveError} It is damaged, or must not be unpacked. */
export async function* readZip(path: string): AsyncGenerator<StreamedMember> {
  await using handle = await open(path, "r");
  for (const entry of await readDirectory(handle)) {
    const isFolder = entry.path.endsWith("/");
    const contentStart = await contentStartOf(handle, entry);
    yield {
      path: checkedPath(entry.path),
      kind: isFolder ? "folder" : "file",
      sizeBytes: entry.sizeBytes,
      contentStart,
      content: () => contentOf(path, entry, contentStart),
    };
  }
}

async function readDirectory(handle: FileHandle): Promise<ZipEntry[]> {
  const { size } = await handle.stat();
  const tail = Buffer.alloc(Math.min(size, endBytes + mostCommentBytes));
  await handle.read(tail, 0, tail.length, size - tail.length);
  let end = tail.length - endBytes;
  while (end >= 0 && tail.readUInt32LE(end) !== endMagic) end--;
  if (end < 0) throw new ArchiveError("the zip archive has no directory: it was cut short");
  const count = tail.readUInt16LE(end + 10);
  const bytes = tail.readUInt32LE(end + 12);
  const start = tail.readUInt32LE(end + 16);
  if (start + bytes > size) throw new ArchiveError("the zip archive's directory is outside of it");
  const directory = Buffer.alloc(bytes);
  await handle.read(directory, 0, bytes, start);

  const entries: ZipEntry[] = [];
  for (let at = 0; entries.length < count; ) {
    if (at + 46 > bytes || directory.readUInt32LE(at) !== directoryMagic) {
      throw new ArchiveError("the zip archive's directory is damaged");
    }
    const unixMode = directory.readUInt32LE(at + 38) >>> 16;
    const nameBytes = directory.readUInt16LE(at + 28);
    const path = directory.toString("utf8", at + 46, at + 46 + nameBytes);
    // The kind of a file is in the upper bits, where the archive was made on Unix.
    if (directory[at + 5] === 3 && (unixMode & 0xf000) !== 0 && ![0x8000, 0x4000].includes(unixMode & 0xf000)) {
      throw new ArchiveError(`${JSON.stringify(path)} is neither a file nor a folder`);
    }
    entries.push({
      path,
      method: directory.readUInt16LE(at + 10),
      crc: directory.readUInt32LE(at + 16),
      compressedBytes: directory.readUInt32LE(at + 20),
      sizeBytes: directory.readUInt32LE(at + 24),
      localStart: directory.readUInt32LE(at + 42),
    });
    at += 46 + nameBytes + directory.readUInt16LE(at + 30) + directory.readUInt16LE(at + 32);
  }
  return entries;
}

async function contentStartOf(handle: FileHandle, { path, localStart }: ZipEntry): Promise<number> {
  const head = Buffer.alloc(30);
  const { bytesRead } = await handle.read(head, 0, 30, localStart);
  if (bytesRead < 30 || head.readUInt32LE(0) !== localMagic) {
    throw new ArchiveError(`the zip archive has no ${JSON.stringify(path)} where its directory says`);
  }
  return localStart + 30 + head.readUInt16LE(26) + head.readUInt16LE(28);
}

async function* contentOf(path: string, entry: ZipEntry, start: number): AsyncGenerator<Uint8Array> {
  const { compressedBytes, sizeBytes, method } = entry;
  if (compressedBytes === 0 && sizeBytes === 0) return;
  const name = JSON.stringify(entry.path);
  if (method !== 0 && method !== 8)
    throw new ArchiveError(`${name} is compressed by a method that is not known: ${method}`);
  const file = createReadStream(path, { start, end: start + compressedBytes - 1 });
  const stream = method === 0 ? file : file.pipe(createInflateRaw());
  // A pipe hands on no errors: whoever reads its end would wait for ever.
  if (stream !== file) file.on("error", (error) => stream.destroy(error));
  let crc = 0;
  let bytes = 0;
  try {
    for await (const chunk of stream as AsyncIterable<Uint8Array>) {
      crc = crc32(chunk, crc);
      bytes += chunk.length;
      // One that unpacks to more than it says is made to fill a disk.
      if (bytes > sizeBytes) throw new ArchiveError(`${name} has more than the ${sizeBytes} bytes that it says`);
      yield chunk;
    }
  } catch (error) {
    if (error instanceof ArchiveError) throw error;
    throw new ArchiveError(`${name} is damaged: ${error instanceof Error ? error.message : String(error)}`, {
      cause: error,
    });
  } finally {
    file.destroy();
    stream.destroy();
  }
  if (bytes !== sizeBytes || crc !== entry.crc) throw new ArchiveError(`${name} is damaged: its checksum is wrong`);
}
