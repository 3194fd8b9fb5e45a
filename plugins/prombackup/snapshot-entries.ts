/** The content of one snapshot folder, in the order of the original's archives, and what tells one state of it from another. */
import { type BigIntStats, constants, readSync } from "node:fs";
import { type FileHandle, lstat, open, readdir } from "node:fs/promises";
import { join } from "node:path";
import { type ArchiveEntry, roundedSeconds } from "../common/archive/entry.ts";
import type { Content } from "../common/archive/tar-stream.ts";

export interface SnapshotEntry extends ArchiveEntry {
  readonly file: string;
  readonly mtimeNs: bigint;
  readonly inode: bigint;
  /** How many names the file has: 1 where only this snapshot holds it. */
  readonly links: number;
}

export interface SnapshotListing {
  readonly entries: readonly SnapshotEntry[];
  /** What cannot be part of an archive, in the words of the original: `unsupported file type: NAME/link (L---------)`. */
  readonly problems: readonly string[];
}

/** What is wrong with an entry; the message names it by its path in the archive, never by one of this machine. */
export class EntryError extends Error {
  override readonly name = "EntryError";
}

/**
 * Lists a snapshot: the folder itself first, each folder's entries in the order of their bytes, a folder's before what follows it.
 * @throws {EntryError} The folder itself cannot be looked at.
 */
export async function listSnapshot(folder: string, name: string): Promise<SnapshotListing> {
  const entries: SnapshotEntry[] = [];
  const problems: string[] = [];
  const walk = async (file: string, path: string): Promise<void> => {
    let names: string[];
    try {
      names = await readdir(file);
    } catch (error) {
      problems.push(`open ${path}: ${reasonOf(error)}`);
      return;
    }
    names.sort((one, other) => Buffer.compare(Buffer.from(one), Buffer.from(other)));
    for (const below of names) await look(join(file, below), `${path}/${below}`);
  };
  const look = async (file: string, path: string): Promise<void> => {
    let stats: BigIntStats;
    try {
      stats = await lstat(file, { bigint: true });
    } catch (error) {
      problems.push(`${path}: ${reasonOf(error)}`);
      return;
    }
    if (!stats.isFile() && !stats.isDirectory()) {
      problems.push(`unsupported file type: ${path} (${goMode(stats)})`);
      return;
    }
    entries.push(entryOf(stats, file, path));
    if (stats.isDirectory()) await walk(file, path);
  };
  // A link to the folder is followed, as the original does; one within is not.
  const root = join(folder, name);
  const stats = await lstat(join(root, "."), { bigint: true }).catch((error: unknown) => {
    throw new EntryError(`${name}: ${reasonOf(error)}`, { cause: error });
  });
  entries.push(entryOf(stats, root, name));
  await walk(root, name);
  return { entries, problems };
}

function entryOf(stats: BigIntStats, file: string, path: string): SnapshotEntry {
  return {
    path,
    file,
    kind: stats.isDirectory() ? "folder" : "file",
    sizeBytes: stats.isDirectory() ? 0 : Number(stats.size),
    mtimeSeconds: roundedSeconds(stats.mtimeNs),
    mtimeNs: stats.mtimeNs,
    inode: stats.ino,
    links: Number(stats.nlink),
  };
}

/**
 * A digest of the state of all entries: equal digests mean equal archives, for Prometheus never changes a file in place.
 * 32 hexadecimal digits.
 */
export function stateOf(entries: readonly SnapshotEntry[]): string {
  const hash = new Bun.CryptoHasher("sha256");
  for (const { path, kind, sizeBytes, mtimeNs, inode } of entries) {
    // Folders are made anew with each snapshot; their inode changes nothing in an archive.
    hash.update(`${path}\0${kind}\0${sizeBytes}\0${mtimeNs}\0${kind === "file" ? inode : ""}\n`);
  }
  return hash.digest("hex").slice(0, 32);
}

/** Opens a file of a snapshot for an archive that announced it. @throws {EntryError} It is not as it was listed. */
export async function openContent(entry: SnapshotEntry): Promise<Content> {
  const { path, file, sizeBytes } = entry;
  let handle: FileHandle;
  try {
    // Not a link, and no waiting for the writer of a pipe that took the file's place.
    handle = await open(file, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (error) {
    throw new EntryError(`open ${path}: ${reasonOf(error)}`, { cause: error });
  }
  const check = async (): Promise<void> => {
    const stats = await handle.stat({ bigint: true });
    if (!stats.isFile() || stats.ino !== entry.inode)
      throw new EntryError(`${path}: it was replaced while it was sent`);
    const size = Number(stats.size);
    if (size !== sizeBytes) {
      throw new EntryError(
        `${path}: it ${size < sizeBytes ? "shrank" : "grew"} from ${sizeBytes} to ${size} bytes while it was sent`,
      );
    }
    if (stats.mtimeNs !== entry.mtimeNs) throw new EntryError(`${path}: it was written to while it was sent`);
  };
  try {
    await check();
  } catch (error) {
    await handle.close();
    throw error;
  }
  return {
    fd: handle.fd,
    // Not async: for each chunk that costs three times what the reading does, and the kernel reads ahead.
    fill(buffer, position) {
      for (let done = 0; done < buffer.length; ) {
        const bytesRead = readAt(handle.fd, buffer.subarray(done), position + done, path);
        if (bytesRead === 0) throw shrunk(path, position + done);
        done += bytesRead;
      }
    },
    settle: check,
    [Symbol.asyncDispose]: () => handle.close(),
  };
}

export const shrunk = (path: string, sizeBytes: number) =>
  new EntryError(`${path}: it shrank to ${sizeBytes} bytes while it was sent`);

/** @returns How many bytes there were: 0 at the end of the file. @throws {EntryError} */
export function readAt(descriptor: number, buffer: Uint8Array, position: number, path: string): number {
  try {
    return readSync(descriptor, buffer, 0, buffer.length, position);
  } catch (error) {
    throw new EntryError(`read ${path}: ${reasonOf(error)}`, { cause: error });
  }
}

const reasons: Readonly<Record<string, string>> = {
  EACCES: "permission denied",
  EPERM: "operation not permitted",
  ENOENT: "no such file or directory",
  ENOTDIR: "not a directory",
  ELOOP: "too many levels of symbolic links",
  EIO: "input/output error",
  EMFILE: "too many open files",
};

/** The system's reason alone: its message would show where on this machine the folder is. */
export function reasonOf(error: unknown): string {
  const { code } = error as { code?: string };
  return code === undefined ? (error instanceof Error ? error.message : String(error)) : (reasons[code] ?? code);
}

/** Source: Go's `fs.FileMode.String()`, without the permissions, which the original leaves out here. */
function goMode(stats: BigIntStats): string {
  const kind = stats.isSymbolicLink()
    ? "L"
    : stats.isFIFO()
      ? "p"
      : stats.isSocket()
        ? "S"
        : stats.isCharacterDevice()
          ? "Dc"
          : stats.isBlockDevice()
            ? "D"
            : "?";
  return `${kind}---------`;
}
