/** An archive of a snapshot in a file: which kind it is, told by its first bytes, and its members. */
import { type FileHandle, open } from "node:fs/promises";
import { type Bytes, stretchOf } from "../tsdb/bytes.ts";
import { decompressed } from "./decompress.ts";
import { blockBytes, paddingOf } from "./tar-header.ts";
import { ArchiveError, readTar, type StreamedMember, TarHeaders, type TarMember } from "./tar-read.ts";
import { readZip } from "./zip-read.ts";

export type ArchiveKind = "tar" | "tgz" | "tzst" | "zip";

/** @throws {ArchiveError} None of the four. */
export async function archiveKind(path: string): Promise<ArchiveKind> {
  await using handle = await open(path, "r");
  const head = Buffer.alloc(blockBytes);
  const { bytesRead } = await handle.read(head, 0, blockBytes, 0);
  if (head.readUInt16BE(0) === 0x1f8b) return "tgz";
  if (head.readUInt32BE(0) === 0x28b52ffd) return "tzst";
  if (head.readUInt32BE(0) === 0x504b0304) return "zip";
  if (bytesRead === blockBytes && head.toString("latin1", 257, 262) === "ustar") return "tar";
  throw new ArchiveError(`${path} is no archive: expected tar, tar.gz, tar.zst or zip`);
}

/** The members of an archive in order. @throws {ArchiveError} @throws {Error} It cannot be read. */
export async function* membersOf(path: string): AsyncGenerator<StreamedMember> {
  const kind = await archiveKind(path);
  if (kind === "zip") yield* readZip(path);
  else yield* readTar(decompressed(path, kind));
}

/** A plain tar whose members are read where they are. */
export class TarFile implements AsyncDisposable {
  readonly #handle: FileHandle;
  readonly members: readonly TarMember[];

  private constructor(handle: FileHandle, members: readonly TarMember[]) {
    this.#handle = handle;
    this.members = members;
  }

  /** @throws {ArchiveError} */
  static async open(path: string): Promise<TarFile> {
    const handle = await open(path, "r");
    try {
      return new TarFile(handle, await listMembers(handle));
    } catch (error) {
      await handle.close();
      throw error;
    }
  }

  content({ contentStart, sizeBytes }: TarMember): Bytes {
    return stretchOf(this.#handle, contentStart, sizeBytes);
  }
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#handle.close();
  }
}

async function listMembers(handle: FileHandle): Promise<TarMember[]> {
  const { size } = await handle.stat();
  const headers = new TarHeaders();
  const members: TarMember[] = [];
  const read = async (at: number, length: number): Promise<Buffer> => {
    const buffer = Buffer.alloc(length);
    if (at + length > size) throw new ArchiveError(`the archive ends at ${size}, expected more: it was cut short`);
    await handle.read(buffer, 0, length, at);
    return buffer;
  };
  for (let at = 0; ; ) {
    const found = headers.read(await read(at, blockBytes), at);
    if (found === "end") return members;
    at += blockBytes;
    if ("recordBytes" in found) {
      headers.records(found.type, await read(at, found.recordBytes));
      at += found.recordBytes + paddingOf(found.recordBytes);
    } else {
      if (at + found.sizeBytes > size) {
        throw new ArchiveError(`${JSON.stringify(found.path)} has ${found.sizeBytes} bytes, more than the archive`);
      }
      members.push(found);
      at += found.sizeBytes + paddingOf(found.sizeBytes);
    }
  }
}
