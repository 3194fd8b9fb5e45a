/** The snapshot in an archive: its blocks, whichever folder stands before them. */
import { mkdir, open, statfs } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { SnapshotFiles } from "../tsdb/block-files.ts";
import { isUlid } from "../tsdb/ulid.ts";
import { membersOf, TarFile } from "./open-archive.ts";
import { ArchiveError, type TarMember } from "./tar-read.ts";
import { writeAll } from "./write-all.ts";

/** The path below the snapshot: without its name, where the archive has that first. Empty for the snapshot itself. */
function belowSnapshot(path: string): string {
  const [first = "", ...rest] = path.split("/");
  return isUlid(first) ? path : rest.join("/");
}

/** The files of a plain tar, read where they are. @throws {ArchiveError} */
export async function snapshotInTar(path: string): Promise<SnapshotFiles & AsyncDisposable> {
  const tar = await TarFile.open(path);
  const members = new Map<string, TarMember>();
  const folders = new Set<string>();
  try {
    for (const member of tar.members) {
      const below = belowSnapshot(member.path);
      if (below === "") continue;
      if (member.kind === "folder") folders.add(below);
      else if (members.has(below)) throw new ArchiveError(`${JSON.stringify(member.path)} is in it twice`);
      else members.set(below, member);
    }
  } catch (error) {
    await tar[Symbol.asyncDispose]();
    throw error;
  }
  return {
    files: new Map([...members].map(([below, { sizeBytes }]) => [below, sizeBytes])),
    folders,
    others: [],
    async open(below) {
      const member = members.get(below);
      if (!member) throw new ArchiveError(`no ${below} in the archive`);
      return tar.content(member);
    },
    [Symbol.asyncDispose]: () => tar[Symbol.asyncDispose](),
  };
}

export interface UnpackOptions {
  /** Which blocks to unpack. Default: all. */
  wants?(ulid: string): boolean;
  /** Called with each piece that was written. */
  wrote?(bytes: number): void;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Unpacks a snapshot into an existing, empty folder; each file is synced. Owners, modes and times are not the archive's.
 * @throws {ArchiveError} It is none, is damaged, or has something that must not be unpacked; what was written stays.
 */
export async function unpackSnapshot(archive: string, folder: string, options: UnpackOptions = {}): Promise<void> {
  const { wants = () => true, wrote, signal } = options;
  const seen = new Set<string>();
  for await (const member of membersOf(archive)) {
    signal?.throwIfAborted();
    const below = belowSnapshot(member.path);
    if (below === "") {
      if (member.kind === "file")
        throw new ArchiveError(`${JSON.stringify(member.path)} is no snapshot: a file where its folder is expected`);
      continue;
    }
    if (seen.has(below) && member.kind === "file")
      throw new ArchiveError(`${JSON.stringify(member.path)} is in it twice`);
    seen.add(below);
    if (!wants(below.split("/")[0] ?? "")) continue;
    const target = join(folder, below);
    if (member.kind === "folder") {
      await mkdir(target, { recursive: true, mode: 0o755 });
      continue;
    }
    await mkdir(dirname(target), { recursive: true, mode: 0o755 });
    const { bavail, bsize } = await statfs(folder);
    if (member.sizeBytes > bavail * bsize) {
      throw new ArchiveError(
        `${JSON.stringify(member.path)} has ${member.sizeBytes} bytes, more than there is space for`,
      );
    }
    await using file = await open(target, "wx", 0o644);
    for await (const chunk of member.content()) {
      signal?.throwIfAborted();
      await writeAll(file, chunk);
      wrote?.(chunk.length);
    }
    await file.sync();
  }
}
