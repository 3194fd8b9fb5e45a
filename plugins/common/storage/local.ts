/** A folder of this machine as a storage: files are written beside, synced and renamed, so that no reader sees half of one. */
import { type FileHandle, link, lstat, mkdir, open, readdir, rename, rm, rmdir, stat, unlink } from "node:fs/promises";
import { dirname, join } from "node:path";
import { measure } from "./content.ts";
import { clampRange, downloadStream } from "./download.ts";
import { codeOf, messageOf, StorageError, type StorageErrorKind } from "./errors.ts";
import { checkName, compareNames, folderPrefix, isTemporary, temporaryName } from "./names.ts";
import { probe } from "./probe.ts";
import type {
  Content,
  Download,
  GetOptions,
  ListOptions,
  OperationOptions,
  PutOptions,
  PutResult,
  RemoveOptions,
  Storage,
  StoredObject,
} from "./storage.ts";

/** Bytes read at once. */
const chunkBytes = 256 * 1024;
const fileMode = 0o640;
const folderMode = 0o750;

export class LocalStorage implements Storage {
  readonly description: string;
  readonly #root: string;
  /** The outermost folder that was missing; what follows a check needs it, so it goes at the end. */
  #madeByCheck: string | undefined;

  /** @param directory Absolute. Made by the first `put` where it is missing; until then everything else is an error. */
  constructor(directory: string) {
    this.#root = directory;
    this.description = directory;
  }

  async put(name: string, content: Content, options: PutOptions = {}): Promise<PutResult> {
    checkName(name);
    const path = join(this.#root, name);
    const temporary = join(this.#root, temporaryName(name));
    const { chunks, sizeBytes, sha256 } = measure(content, options);
    try {
      const file = await this.#act("create", temporary, () => this.#create(temporary));
      try {
        // An error of the content passes as it is; one of the disk is ours.
        for await (const chunk of chunks) await this.#act("write", temporary, () => writeWhole(file, chunk));
        await this.#act("sync", temporary, () => file.sync());
      } finally {
        await file.close();
      }
      await this.#act("rename a file to", path, async () => {
        if (options.ifAbsent) await link(temporary, path);
        else await rename(temporary, path);
      });
      if (options.ifAbsent) await this.#act("remove", temporary, () => unlink(temporary));
      await this.#act("sync the folder of", path, () => syncFolder(dirname(path)));
    } catch (error) {
      await chunks.return(undefined).catch(() => {});
      await rm(temporary, { force: true }).catch(() => {});
      throw error;
    }
    const { mtime } = await this.#act("read", path, () => stat(path));
    return { name, sizeBytes: sizeBytes(), modified: mtime, sha256: sha256() };
  }

  async get(name: string, { range, signal }: GetOptions = {}): Promise<Download> {
    checkName(name);
    const path = join(this.#root, name);
    const file = await this.#read(path, () => open(path, "r"));
    try {
      const found = await file.stat();
      if (!found.isFile()) throw new StorageError("not-found", `Cannot read ${path}: it is no file`);
      const { start, end } = clampRange(range, found.size);
      let position = start;
      const read = async () => {
        signal?.throwIfAborted();
        const length = Math.min(chunkBytes, end - position);
        if (length === 0) return undefined;
        const { bytesRead, buffer } = await this.#act("read", path, () =>
          file.read(new Uint8Array(length), 0, length, position),
        );
        position += bytesRead;
        return bytesRead === 0 ? undefined : buffer.subarray(0, bytesRead);
      };
      const shortened = (received: number) =>
        new StorageError(
          "unavailable",
          `Cannot read ${path}: expected ${end - start} bytes, it ended after ${received}`,
        );
      const stream = downloadStream({ read, close: () => file.close() }, end - start, shortened);
      return { object: { name, sizeBytes: found.size, modified: found.mtime }, sizeBytes: end - start, stream };
    } catch (error) {
      await file.close();
      throw error;
    }
  }

  async stat(name: string, { signal }: OperationOptions = {}): Promise<StoredObject | undefined> {
    checkName(name);
    signal?.throwIfAborted();
    const path = join(this.#root, name);
    try {
      const found = await this.#read(path, () => stat(path));
      return found.isFile() ? { name, sizeBytes: found.size, modified: found.mtime } : undefined;
    } catch (error) {
      if (error instanceof StorageError && error.kind === "not-found") return undefined;
      throw error;
    }
  }

  async *list(folder: string, { startsWith = "", signal }: ListOptions = {}): AsyncGenerator<StoredObject> {
    for await (const name of this.#walk(folderPrefix(folder), startsWith, signal)) {
      if (isTemporary(name.slice(name.lastIndexOf("/") + 1))) continue;
      const found = await this.#act("read", join(this.#root, name), () => lstatIfThere(join(this.#root, name)));
      if (found?.isFile()) yield { name, sizeBytes: found.size, modified: found.mtime };
    }
  }

  async delete(names: Iterable<string> | AsyncIterable<string>, { signal }: OperationOptions = {}): Promise<void> {
    const changed = new Set<string>();
    try {
      for await (const name of names) {
        checkName(name);
        signal?.throwIfAborted();
        const path = join(this.#root, name);
        await this.#act("delete", path, async () => {
          try {
            await unlink(path);
            changed.add(dirname(path));
          } catch (error) {
            if (!isAbsence(error)) throw error;
            await this.#requireRoot();
          }
        });
      }
    } finally {
      for (const path of changed) await this.#act("sync", path, () => syncFolder(path));
    }
  }

  async removeUnfinished(before: Date, { folder = "", signal }: RemoveOptions = {}): Promise<number> {
    let removed = 0;
    for await (const name of this.#walk(folderPrefix(folder), "", signal)) {
      const path = join(this.#root, name);
      if (!isTemporary(name.slice(name.lastIndexOf("/") + 1))) continue;
      const found = await this.#act("read", path, () => lstatIfThere(path));
      if (found === undefined || found.mtime >= before) continue;
      await this.#act("delete", path, () => rm(path, { force: true }));
      removed++;
    }
    return removed;
  }

  async check(options: OperationOptions = {}): Promise<string[]> {
    // What cannot be looked at, the probe will name.
    this.#madeByCheck = await outermostMissing(this.#root).catch(() => undefined);
    await probe(this, options);
    return [];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const first = this.#madeByCheck;
    // Who checks may be root: an empty folder of root's would be in the way of the agent's user.
    for (let path = this.#root; first !== undefined && path.length >= first.length; path = dirname(path)) {
      if (!(await removeEmptyFolder(path))) return;
    }
  }

  /** Names of all files below a prefix, temporary ones too; links are neither followed nor named. */
  async *#walk(prefix: string, startsWith: string, signal?: AbortSignal): AsyncGenerator<string> {
    signal?.throwIfAborted();
    const path = join(this.#root, prefix);
    const entries = await this.#act("list", path, async () => {
      try {
        return await readdir(path, { withFileTypes: true });
      } catch (error) {
        if (!isAbsence(error)) throw error;
        await this.#requireRoot();
        return [];
      }
    });
    const names = entries
      .filter((entry) => entry.name.startsWith(startsWith) && (entry.isFile() || entry.isDirectory()))
      .map((entry) => (entry.isDirectory() ? `${entry.name}/` : entry.name))
      .sort(compareNames);
    for (const name of names) {
      if (name.endsWith("/")) yield* this.#walk(prefix + name, "", signal);
      else yield prefix + name;
    }
  }

  async #create(path: string): Promise<FileHandle> {
    try {
      return await open(path, "wx", fileMode);
    } catch (error) {
      if (codeOf(error) !== "ENOENT") throw error;
      await makeFolder(dirname(path));
      return await open(path, "wx", fileMode);
    }
  }

  /** An absent object is `not-found`, but not where the whole root is missing: that may be a disk which is not mounted. */
  #read<Value>(path: string, work: () => Promise<Value>): Promise<Value> {
    return this.#act("read", path, async () => {
      try {
        return await work();
      } catch (cause) {
        if (!isAbsence(cause)) throw cause;
        await this.#requireRoot();
        throw new StorageError("not-found", `Cannot read ${path}: there is no such file`, { cause });
      }
    });
  }

  async #requireRoot(): Promise<void> {
    const isFolder = await stat(this.#root).then(
      (found) => found.isDirectory(),
      (error) => !isAbsence(error),
    );
    if (isFolder) return;
    const remedy = "make the folder, or mount the disk that it is on";
    throw new StorageError("misconfigured", `Cannot use ${this.#root}: there is no such folder; ${remedy}`);
  }

  async #act<Value>(what: string, path: string, work: () => Promise<Value>): Promise<Value> {
    try {
      return await work();
    } catch (cause) {
      if (cause instanceof StorageError) throw cause;
      const code = codeOf(cause);
      const { kind, remedy } = failures[String(code)] ?? { kind: "unavailable" };
      const message = `Cannot ${what} ${path}: ${messageOf(cause)}`;
      throw new StorageError(kind, remedy === undefined ? message : `${message}; ${remedy}`, { cause });
    }
  }
}

const failures: Readonly<Record<string, { kind: StorageErrorKind; remedy?: string } | undefined>> = {
  EEXIST: { kind: "exists" },
  EACCES: { kind: "access-denied", remedy: "give the agent's user the right to read and write the folder" },
  EPERM: { kind: "access-denied", remedy: "give the agent's user the right to read and write the folder" },
  EROFS: { kind: "misconfigured", remedy: "mount the file system writable" },
  ENOTDIR: { kind: "misconfigured", remedy: "a file stands where a folder is needed" },
  EISDIR: { kind: "misconfigured", remedy: "a folder stands where a file is needed" },
  ENOSPC: { kind: "unavailable", remedy: "free some space" },
  EDQUOT: { kind: "unavailable", remedy: "free some space, or raise the quota" },
};

/** A part of the path that is a file means the same as one that is missing. */
const isAbsence = (error: unknown): boolean => codeOf(error) === "ENOENT" || codeOf(error) === "ENOTDIR";

const lstatIfThere = (path: string) =>
  lstat(path).catch((error: unknown) => {
    if (isAbsence(error)) return undefined;
    throw error;
  });

/** The folder, or the one above it that `mkdir -p` would make first; undefined where it is there. */
async function outermostMissing(path: string): Promise<string | undefined> {
  if ((await lstatIfThere(path)) !== undefined) return undefined;
  return (await outermostMissing(dirname(path))) ?? path;
}

const removeEmptyFolder = (path: string): Promise<boolean> =>
  rmdir(path).then(
    () => true,
    () => false,
  );

async function writeWhole(file: FileHandle, chunk: Uint8Array): Promise<void> {
  for (let written = 0; written < chunk.byteLength; ) {
    const { bytesWritten } = await file.write(chunk, written, chunk.byteLength - written);
    written += bytesWritten;
  }
}

/** Makes names in a folder durable. */
async function syncFolder(path: string): Promise<void> {
  await using folder = await open(path, "r");
  await folder.sync();
}

/** Like `mkdir -p`, durable. */
async function makeFolder(path: string): Promise<void> {
  const first = await mkdir(path, { recursive: true, mode: folderMode });
  if (first === undefined) return;
  for (let made = path; made.length >= first.length; made = dirname(made)) await syncFolder(dirname(made));
}
