/** The folder that Prometheus writes its snapshots to: what is there, and how one is removed. */
import { renameSync } from "node:fs";
import { readdir, readFile, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { parseMeta } from "../common/tsdb/meta.ts";
import { isExactName, snapshotTime } from "../common/tsdb/snapshot-name.ts";
import { isUlid } from "../common/tsdb/ulid.ts";
import { listSnapshot, stateOf } from "./snapshot-entries.ts";

export interface SnapshotInfo {
  readonly name: string;
  readonly timeMs: number;
  readonly sizeBytes: number;
  /** Bytes that no other snapshot and no block of Prometheus shares: what removing it would free. */
  readonly exclusiveBytes: number;
  readonly blocks: number;
  /** Of all its blocks, Unix milliseconds; undefined where there are none, or their meta.json cannot be read. */
  readonly minTimeMs: number | undefined;
  readonly maxTimeMs: number | undefined;
  /** Changes with any change of a file. */
  readonly state: string;
  /** Whether a block lacks one of its files, or something cannot be read: Prometheus writes it, or failed to. */
  readonly isComplete: boolean;
}

/** What Prometheus calls a block while it writes the head. Source: tsdb/compact.go, `tmpForCreationBlockDirSuffix`. */
const unfinishedBlock = /^[0-9A-Z]{26}\.tmp-for-creation$/;
const removing = /^\.deleting-(.+)$/;

export class SnapshotStore {
  readonly folder: string;

  constructor(folder: string) {
    this.folder = folder;
  }

  /** Exact names of snapshots, in order; a link to a folder is none. A missing folder is empty: no snapshot was taken yet. */
  async names(): Promise<string[]> {
    const entries = await readdir(this.folder, { withFileTypes: true }).catch((error: { code?: string }) => {
      if (error.code === "ENOENT") return [];
      throw error;
    });
    return entries
      .filter((entry) => entry.isDirectory() && isExactName(entry.name))
      .map(({ name }) => name)
      .sort();
  }

  /** @returns Undefined where it has vanished. */
  async info(name: string): Promise<SnapshotInfo | undefined> {
    const listing = await listSnapshot(this.folder, name).catch(() => undefined);
    if (!listing) return undefined;
    const files = listing.entries.filter(({ kind }) => kind === "file");
    const sum = (some: typeof files) => some.reduce((bytes, { sizeBytes }) => bytes + sizeBytes, 0);
    const below = new Set(listing.entries.map(({ path }) => path.slice(name.length + 1)));
    const blocks = [...below].filter(isUlid);
    const lacks = (block: string) =>
      ["meta.json", "index", "tombstones", "chunks"].some((part) => !below.has(`${block}/${part}`));
    const times = await Promise.all(blocks.map((block) => this.#times(name, block)));
    const known = times.filter((range) => range !== undefined);
    const isKnown = known.length > 0 && known.length === blocks.length;
    return {
      name,
      timeMs: snapshotTime(name) ?? 0,
      sizeBytes: sum(files),
      exclusiveBytes: sum(files.filter(({ links }) => links === 1)),
      blocks: blocks.length,
      minTimeMs: isKnown ? Math.min(...known.map(([from]) => from)) : undefined,
      maxTimeMs: isKnown ? Math.max(...known.map(([, to]) => to)) : undefined,
      state: stateOf(listing.entries),
      isComplete:
        listing.problems.length === 0 && !blocks.some(lacks) && ![...below].some((path) => unfinishedBlock.test(path)),
    };
  }

  async all(): Promise<SnapshotInfo[]> {
    const found: SnapshotInfo[] = [];
    for (const name of await this.names()) {
      const info = await this.info(name);
      if (info) found.push(info);
    }
    return found;
  }

  /** When the folder last changed, Unix milliseconds; 0 where it is gone. */
  async changedAt(name: string): Promise<number> {
    return await stat(join(this.folder, name)).then(
      ({ mtimeMs }) => mtimeMs,
      () => 0,
    );
  }

  /**
   * Takes a snapshot out of the folder, at once and whole: a download that begins later finds none. The files go with
   * {@link sweep}. @throws {Error} It cannot be renamed, or its name is not one that Prometheus gives.
   */
  takeOut(name: string): void {
    if (!isExactName(name))
      throw new Error(`Cannot remove ${JSON.stringify(name)}: no name that Prometheus gives a snapshot`);
    renameSync(join(this.folder, name), join(this.folder, `.deleting-${name}`));
  }

  /** Removes what was taken out, now or before a crash. @returns What could not be removed, and why. */
  async sweep(): Promise<{ name: string; error: unknown }[]> {
    const failed: { name: string; error: unknown }[] = [];
    const entries = await readdir(this.folder, { withFileTypes: true }).catch(() => []);
    for (const entry of entries) {
      const name = removing.exec(entry.name)?.[1];
      if (name === undefined || !isExactName(name) || !entry.isDirectory()) continue;
      await rm(join(this.folder, entry.name), { recursive: true, force: true }).catch((error: unknown) => {
        failed.push({ name, error });
      });
    }
    return failed;
  }

  async #times(name: string, block: string): Promise<readonly [number, number] | undefined> {
    try {
      const { minTime, maxTime } = parseMeta(await readFile(join(this.folder, name, block, "meta.json"), "utf8"));
      return [minTime, maxTime];
    } catch {
      return undefined;
    }
  }
}
