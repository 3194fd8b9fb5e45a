/** Where backups are kept: named objects, each of them whole or not there. A folder for now; other storages fit behind it. */
import { mkdir, open, readdir, rename, rm, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { syncFolder, writeAll } from "../common/archive/write-all.ts";

export interface StoredObject {
  /** With slashes, such as `files/ab/abcd…`. */
  readonly name: string;
  readonly sizeBytes: number;
}

export interface Target {
  /** The kind, for the label of metrics. */
  readonly kind: string;
  /** Stores an object, replacing one of that name. When it returns, the object is durable. */
  put(name: string, content: AsyncIterable<Uint8Array>): Promise<void>;
  /** The bytes of an object. @throws {Error} There is none. */
  get(name: string): AsyncIterable<Uint8Array>;
  /** Undefined where there is none. */
  stat(name: string): Promise<StoredObject | undefined>;
  /** All objects whose names begin so. */
  list(prefix: string): Promise<StoredObject[]>;
  /** That there is none is no error. */
  delete(name: string): Promise<void>;
}

const unfinished = /\.[0-9a-f-]{36}\.unfinished$/;

export class FolderTarget implements Target {
  readonly kind = "folder";
  readonly #folder: string;

  constructor(folder: string) {
    this.#folder = folder;
  }

  async put(name: string, content: AsyncIterable<Uint8Array>): Promise<void> {
    const path = join(this.#folder, name);
    const partial = `${path}.${Bun.randomUUIDv7()}.unfinished`;
    await mkdir(dirname(path), { recursive: true });
    try {
      await using file = await open(partial, "wx", 0o644);
      for await (const chunk of content) await writeAll(file, chunk);
      await file.sync();
      await rename(partial, path);
      await syncFolder(dirname(path));
    } catch (error) {
      await rm(partial, { force: true });
      throw error;
    }
  }

  get(name: string): AsyncIterable<Uint8Array> {
    return Bun.file(join(this.#folder, name)).stream();
  }

  async stat(name: string): Promise<StoredObject | undefined> {
    return await stat(join(this.#folder, name)).then(
      ({ size }) => ({ name, sizeBytes: size }),
      (error: { code?: string }) => {
        if (error.code === "ENOENT") return undefined;
        throw error;
      },
    );
  }

  async list(prefix: string): Promise<StoredObject[]> {
    const entries = await readdir(join(this.#folder, prefix), { recursive: true, withFileTypes: true }).catch(
      (error: { code?: string }) => {
        if (error.code === "ENOENT") return [];
        throw error;
      },
    );
    const found: StoredObject[] = [];
    for (const entry of entries) {
      if (!entry.isFile()) continue;
      const path = join(entry.parentPath, entry.name);
      // What a crash left behind; nothing else writes here.
      if (unfinished.test(entry.name)) await rm(path, { force: true });
      else found.push({ name: path.slice(this.#folder.length + 1), sizeBytes: (await stat(path)).size });
    }
    return found.sort((one, other) => (one.name < other.name ? -1 : 1));
  }

  async delete(name: string): Promise<void> {
    await rm(join(this.#folder, name), { force: true });
  }
}
