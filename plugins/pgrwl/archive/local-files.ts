/** What the receive folder has that belongs into the archive: what waits, what is stored there, and what may go here. */
import { closeSync, fsyncSync, openSync, renameSync, statSync, unlinkSync, writeFileSync } from "node:fs";
import { readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { z } from "holdfast";
import { parseWalFileName } from "../../common/wal-archive/object-names.ts";
import type { KeepLocal } from "./settings.ts";

export interface LocalFile {
  readonly name: string;
  readonly kind: "segment" | "history";
  readonly sizeBytes: number;
  /** Unix milliseconds of the last write. */
  readonly modifiedMs: number;
  /** Where it is in the archive, once that is certain. */
  archived?: Archived | undefined;
}

/** The object that was found equal, or stored and confirmed. */
export interface Archived {
  readonly objectName: string;
  readonly storedBytes: number;
}

/** Beside the segments. What it says is looked up again before anything is deleted: losing it costs time only. */
export const recordName = ".holdfast-archived.json";

const recordSchema = z.object({
  archive: z.string(),
  files: z.array(z.tuple([z.string(), z.number(), z.number(), z.string(), z.number()])),
});

export class LocalFiles {
  readonly directory: string;
  readonly #archiveIdentity: string;
  readonly #files = new Map<string, LocalFile>();
  #isRecordStale = false;

  /** @param archiveIdentity Says of what the record tells; another archive has to be filled anew. */
  constructor(directory: string, archiveIdentity: string) {
    this.directory = directory;
    this.#archiveIdentity = archiveIdentity;
  }

  pathOf(name: string): string {
    return join(this.directory, name);
  }
  get(name: string): LocalFile | undefined {
    return this.#files.get(name);
  }

  /** Looks at the folder; with what an earlier process knew of it. @throws {Error} It cannot be read. */
  async load(): Promise<void> {
    await this.scan();
    const record = await readFile(this.pathOf(recordName), "utf8").catch(() => undefined);
    if (record === undefined) return;
    const { data } = recordSchema.safeParse(parseJson(record));
    if (data?.archive !== this.#archiveIdentity) return;
    for (const [name, sizeBytes, modifiedMs, objectName, storedBytes] of data.files) {
      const file = this.#files.get(name);
      if (file?.sizeBytes === sizeBytes && file.modifiedMs === modifiedMs) file.archived = { objectName, storedBytes };
    }
  }

  /** Finds what came and what went, whoever did it. @throws {Error} The folder cannot be read. */
  async scan(): Promise<void> {
    // What is noticed from here on need not be in the list.
    const known = [...this.#files.keys()];
    const found = await readdir(this.directory).catch((error: NodeJS.ErrnoException) => {
      // The receiver makes it, a moment later.
      if (error.code === "ENOENT") return [];
      throw error;
    });
    const names = new Set(found.filter(isWhole));
    for (const name of known) if (!names.has(name)) this.#files.delete(name);
    for (const name of names) if (!this.#files.has(name)) await this.notice(name);
  }

  /** Looks at one file. @returns Undefined: it is no longer there, or not of those that are archived. */
  async notice(name: string): Promise<LocalFile | undefined> {
    const kind = parseWalFileName(name)?.kind;
    const about = await stat(this.pathOf(name)).catch(() => undefined);
    if ((kind !== "segment" && kind !== "history") || !about?.isFile()) {
      this.#files.delete(name);
      return undefined;
    }
    const known = this.#files.get(name);
    if (known?.sizeBytes === about.size && known.modifiedMs === about.mtimeMs) return known;
    const file: LocalFile = { name, kind, sizeBytes: about.size, modifiedMs: about.mtimeMs };
    this.#files.set(name, file);
    return file;
  }

  /** What is not known to be in the archive. */
  *waiting(): Generator<LocalFile> {
    for (const file of this.#files.values()) if (file.archived === undefined) yield file;
  }

  /** Where the newest of those is that are archived; undefined: none is known to be. */
  lastArchived(): Archived | undefined {
    let last: LocalFile | undefined;
    for (const file of this.#files.values()) if (file.archived && (!last || newestFirst(file, last) < 0)) last = file;
    return last?.archived;
  }

  /** Complete segments, the newest first: by position, then by timeline. */
  segments(): LocalFile[] {
    return [...this.#files.values()].filter(({ kind }) => kind === "segment").sort(newestFirst);
  }

  /** Takes a file for archived. False: it has changed or gone meanwhile. */
  async setArchived(file: LocalFile, archived: Archived): Promise<boolean> {
    const now = await this.notice(file.name);
    if (now !== file) return false;
    file.archived = archived;
    this.#isRecordStale = true;
    return true;
  }
  setMissing(file: LocalFile): void {
    file.archived = undefined;
    this.#isRecordStale = true;
  }

  /**
   * Segments that may go once the archive has confirmed them again, the oldest first.
   * @param needBytes How much room is missing: for that `keep_local` is given up.
   */
  removable(keep: KeepLocal, nowMs: number, needBytes = 0): LocalFile[] {
    const segments = this.segments();
    const stays = kept(segments);
    const isOld = ({ modifiedMs }: LocalFile, index: number) =>
      keep.seconds === undefined ? index >= (keep.segments ?? 0) : modifiedMs < nowMs - keep.seconds * 1000;
    let missingBytes = needBytes;
    return segments
      .map((file, index) => ({ file, isOld: isOld(file, index) }))
      .reverse()
      .filter(({ file, isOld }) => {
        if (file.archived === undefined || stays.has(file)) return false;
        const goes = isOld || missingBytes > 0;
        if (goes) missingBytes -= file.sizeBytes;
        return goes;
      })
      .map(({ file }) => file);
  }

  /** Deletes a file if it is still the one that was archived. What was deleted is so only after {@link sync}. */
  remove(file: LocalFile): boolean {
    const path = this.pathOf(file.name);
    try {
      // One after the other, without a pause in between: the receiver could put another file there.
      const { size, mtimeMs } = statSync(path);
      if (size !== file.sizeBytes || mtimeMs !== file.modifiedMs) {
        this.#files.delete(file.name);
        return false;
      }
      unlinkSync(path);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
    }
    this.#files.delete(file.name);
    this.#isRecordStale = true;
    return true;
  }

  sync(): void {
    const folder = openSync(this.directory, "r");
    try {
      fsyncSync(folder);
    } finally {
      closeSync(folder);
    }
  }

  /** Writes down what is archived, where it has changed. On a full disk it is not. */
  writeRecord(): void {
    if (!this.#isRecordStale) return;
    const files = [...this.#files.values()].flatMap(({ name, sizeBytes, modifiedMs, archived }) =>
      archived ? [[name, sizeBytes, modifiedMs, archived.objectName, archived.storedBytes] as const] : [],
    );
    const path = this.pathOf(recordName);
    try {
      writeFileSync(`${path}.tmp`, JSON.stringify({ archive: this.#archiveIdentity, files }), { mode: 0o600 });
      renameSync(`${path}.tmp`, path);
      this.#isRecordStale = false;
    } catch {
      try {
        unlinkSync(`${path}.tmp`);
      } catch {}
    }
  }
}

/** Segments that tell the receiver where to go on: the one at the highest position, and the last of the newest timeline. */
function kept(newestFirst: readonly LocalFile[]): ReadonlySet<LocalFile | undefined> {
  const timelines = newestFirst.map(({ name }) => name.slice(0, 8)).sort();
  const newest = timelines.at(-1);
  return new Set([newestFirst[0], newestFirst.find(({ name }) => newest !== undefined && name.startsWith(newest))]);
}

function isWhole(name: string): boolean {
  const kind = parseWalFileName(name)?.kind;
  return kind === "segment" || kind === "history";
}

/** The part of a segment's name behind the timeline orders positions, whatever the segments' size. */
function newestFirst({ name: one }: LocalFile, { name: other }: LocalFile): number {
  const [a, b] = [one.slice(8) + one, other.slice(8) + other];
  return a < b ? 1 : a > b ? -1 : 0;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
