/** The calls that make files durable, and what goes wrong with them. */
import {
  closeSync,
  constants,
  fchmodSync,
  fdatasyncSync,
  fstatSync,
  fsyncSync,
  ftruncateSync,
  lstatSync,
  mkdirSync,
  openSync,
  readSync,
  renameSync,
  unlinkSync,
  writeSync,
} from "node:fs";
import { dirname } from "node:path";
import { allocate, beginWriting } from "../../common/system/libc.ts";

/** The disk refused. `isFull`: there will be room again, or somebody has to make some. */
export class DiskError extends Error {
  override readonly name = "DiskError";
  readonly isFull: boolean;

  constructor(operation: string, path: string, cause: unknown) {
    const { code = "", message = String(cause) } = cause as NodeJS.ErrnoException;
    super(`Cannot ${operation} ${path}: ${explanations[code] ?? message}`, { cause });
    this.isFull = code === "ENOSPC" || code === "EDQUOT";
  }
}

const explanations: Readonly<Record<string, string>> = {
  ENOSPC: "no space left on the disk (ENOSPC); reception goes on once there is room for a segment",
  EDQUOT: "the disk quota is exhausted (EDQUOT); reception goes on once there is room for a segment",
  EIO: "the disk reported an input/output error (EIO); look at the kernel's log",
  EROFS: "the file system is mounted read-only (EROFS)",
  EACCES: "permission denied (EACCES); the agent's user must own the folder",
};

/** What the receiver asks of a file system; the tests of broken disks hand in others. */
export interface DiskCalls {
  open(path: string, flags: number, mode?: number): number;
  close(fd: number): void;
  read(fd: number, into: Uint8Array, offset: number, length: number, position: number): number;
  write(fd: number, from: Uint8Array, offset: number, length: number, position: number): number;
  /** Data and whatever of the metadata is needed to read it. */
  syncData(fd: number): void;
  sync(fd: number): void;
  /** A hint: the disk may begin to write these bytes. */
  beginWriting(fd: number, offset: number, sizeBytes: number): void;
  truncate(fd: number, sizeBytes: number): void;
  chmod(fd: number, mode: number): void;
  /** `isNamed`: some folder has a name for it; without one, it is gone when it is closed. */
  size(fd: number): { readonly isFile: boolean; readonly sizeBytes: number; readonly isNamed: boolean };
  /** Reserves space. @returns The code of the error, `"unsupported"` where space cannot be reserved. */
  allocate(fd: number, sizeBytes: number): string | undefined;
  rename(from: string, to: string): void;
  unlink(path: string): void;
  /** Whether a folder has this name, whatever it is. */
  exists(path: string): boolean;
  /** With its parents. @returns The first folder that was made, undefined when all were there. */
  makeFolder(path: string, mode: number): string | undefined;
}

export const realDisk: DiskCalls = {
  open: openSync,
  close: closeSync,
  read: readSync,
  write: writeSync,
  syncData: fdatasyncSync,
  sync: fsyncSync,
  beginWriting,
  truncate: ftruncateSync,
  chmod: fchmodSync,
  size: (fd) => {
    const about = fstatSync(fd);
    return { isFile: about.isFile(), sizeBytes: about.size, isNamed: about.nlink > 0 };
  },
  allocate,
  rename: renameSync,
  unlink: unlinkSync,
  exists: (path) => lstatSync(path, { throwIfNoEntry: false }) !== undefined,
  makeFolder: (path, mode) => mkdirSync(path, { recursive: true, mode }),
};

const { O_CREAT, O_EXCL, O_RDONLY, O_RDWR, O_TRUNC, O_WRONLY, O_DIRECTORY, O_NOFOLLOW, O_NONBLOCK } = constants;
const create = O_CREAT | O_EXCL | O_RDWR;
/** Never through a link: what is at the other end is not ours to overwrite. Never waiting for the other end of a pipe. */
const careful = O_NOFOLLOW | O_NONBLOCK;
const replace = O_CREAT | O_TRUNC | O_WRONLY | careful;
/** What opening says of links, folders, and sockets. */
const noFileCodes: ReadonlySet<unknown> = new Set(["ELOOP", "EISDIR", "ENXIO"]);

/** {@link DiskCalls} whose errors say what could not be done to which path, and what is made of them. */
export class Disk {
  readonly #calls: DiskCalls;

  constructor(calls: DiskCalls = realDisk) {
    this.#calls = calls;
  }

  /** A file that must not exist yet, with exactly this mode, whatever the umask. */
  create(path: string, mode: number): number {
    const fd = this.#try("create", path, () => this.#calls.open(path, create, mode));
    try {
      this.#try("set the mode of", path, () => this.#calls.chmod(fd, mode));
      return fd;
    } catch (error) {
      this.close(fd);
      throw error;
    }
  }
  /** An existing file, for reading and writing; undefined when there is none, "no file" when it is a link, a folder … */
  reopen(path: string): number | "no file" | undefined {
    return this.#openExisting(path, O_RDWR | careful);
  }
  /** Like {@link reopen}, for reading only: archived files may be protected. */
  openToRead(path: string): number | "no file" | undefined {
    return this.#openExisting(path, O_RDONLY | careful);
  }
  #openExisting(path: string, flags: number): number | "no file" | undefined {
    try {
      return this.#calls.open(path, flags);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === "ENOENT") return undefined;
      if (noFileCodes.has(code)) return "no file";
      throw new DiskError("open", path, error);
    }
  }
  /** Whether a folder has this name, whatever it is. */
  isThere(path: string): boolean {
    return this.#try("look at", path, () => this.#calls.exists(path));
  }
  close(fd: number): void {
    // What matters was synced before; a second close could hit somebody else's file.
    try {
      this.#calls.close(fd);
    } catch {}
  }

  about(fd: number, path: string): ReturnType<DiskCalls["size"]> {
    return this.#try("look at", path, () => this.#calls.size(fd));
  }

  /** @returns How much could be read: less than asked for at the end of the file. */
  read(fd: number, path: string, into: Uint8Array, position: number): number {
    let done = 0;
    while (done < into.length) {
      const count = this.#try("read", path, () =>
        this.#calls.read(fd, into, done, into.length - done, position + done),
      );
      if (count === 0) break;
      done += count;
    }
    return done;
  }
  write(fd: number, path: string, from: Uint8Array, offset: number, length: number, position: number): void {
    let done = 0;
    while (done < length) {
      const count = this.#try("write", path, () =>
        this.#calls.write(fd, from, offset + done, length - done, position + done),
      );
      if (count === 0) throw new DiskError("write", path, new Error("nothing was written"));
      done += count;
    }
  }

  /**
   * Gives an empty file its size on disk, so that nothing that is later written into it can find the disk full.
   * @param zeros True: real zeros, which make later syncs cheaper; false: reserved space where the file system has that.
   */
  fill(fd: number, path: string, sizeBytes: number, zeros: boolean): void {
    const code = zeros ? "unsupported" : this.#calls.allocate(fd, sizeBytes);
    if (code === undefined) return;
    if (code !== "unsupported")
      throw new DiskError("reserve space for", path, Object.assign(new Error(code), { code }));
    const piece = new Uint8Array(Math.min(sizeBytes, 2 ** 20));
    for (let at = 0; at < sizeBytes; at += piece.length) this.write(fd, path, piece, 0, piece.length, at);
  }
  /** Gives an existing file its whole size on disk, with zeros where nothing was written: it may be short, or have holes. */
  complete(fd: number, path: string, presentBytes: number, sizeBytes: number): void {
    if (presentBytes < sizeBytes) this.#try("extend", path, () => this.#calls.truncate(fd, sizeBytes));
    const code = this.#calls.allocate(fd, sizeBytes);
    if (code !== undefined && code !== "unsupported")
      throw new DiskError("reserve space for", path, Object.assign(new Error(code), { code }));
  }

  syncData(fd: number, path: string): void {
    this.#try("sync", path, () => this.#calls.syncData(fd));
  }
  sync(fd: number, path: string): void {
    this.#try("sync", path, () => this.#calls.sync(fd));
  }
  /** A hint, so that the next sync has less to wait for. */
  beginWriting(fd: number, offset: number, sizeBytes: number): void {
    this.#calls.beginWriting(fd, offset, sizeBytes);
  }
  /** Makes the names in a folder durable. */
  syncFolder(path: string): void {
    const fd = this.#try("open", path, () => this.#calls.open(path, O_RDONLY | O_DIRECTORY));
    try {
      this.sync(fd, path);
    } catch (error) {
      // Some network and user-space file systems cannot: their names are durable by other means, as PostgreSQL holds too.
      const { code } = (error as DiskError).cause as NodeJS.ErrnoException;
      if (code !== "EINVAL" && code !== "EBADF" && code !== "ENOTSUP") throw error;
    } finally {
      this.close(fd);
    }
  }
  /** Makes the content of a file that somebody else wrote durable. */
  syncFile(path: string): void {
    const fd = this.#try("open", path, () => this.#calls.open(path, O_RDONLY));
    try {
      this.sync(fd, path);
    } finally {
      this.close(fd);
    }
  }

  rename(from: string, to: string): void {
    this.#try("rename", `${from} to ${to}`, () => this.#calls.rename(from, to));
  }
  unlink(path: string): void {
    this.#try("remove", path, () => this.#calls.unlink(path));
  }
  /** With its parents, all their names durable; does nothing when it is there. */
  makeFolder(path: string, mode: number): void {
    const first = this.#try("create the folder", path, () => this.#calls.makeFolder(path, mode));
    if (first === undefined) {
      // We may have died before we came to this; whoever else made it may keep us from reading the folder above.
      try {
        this.syncFolder(dirname(path));
      } catch {}
      return;
    }
    for (let folder = path; folder.length >= first.length && folder !== dirname(folder); folder = dirname(folder))
      this.syncFolder(dirname(folder));
  }

  /** A small file, whole and durable under its name or not there: written beside, synced, renamed, its folder synced. */
  writeWhole(path: string, content: Uint8Array, mode: number): void {
    const beside = `${path}.tmp`;
    const fd = this.#try("create", beside, () => this.#calls.open(beside, replace, mode));
    try {
      this.#try("set the mode of", beside, () => this.#calls.chmod(fd, mode));
      this.write(fd, beside, content, 0, content.length, 0);
      this.sync(fd, beside);
    } finally {
      this.close(fd);
    }
    this.rename(beside, path);
    this.syncFolder(dirname(path));
  }

  #try<Result>(operation: string, path: string, call: () => Result): Result {
    try {
      return call();
    } catch (error) {
      throw new DiskError(operation, path, error);
    }
  }
}
