/**
 * Fetches the segments that a recovery will ask for next, in a process of its own beside it: one for each folder. It ends when
 * nobody has asked for so long that the recovery must be over, or when the folder is gone, and leaves nothing behind.
 */
import {
  closeSync,
  type FSWatcher,
  openSync,
  readdirSync,
  renameSync,
  rmdirSync,
  rmSync,
  statfsSync,
  statSync,
  watch,
  writeFileSync,
} from "node:fs";
import { open } from "node:fs/promises";
import { dirname, join } from "node:path";
import { formatSegmentName, isSegmentName, parseSegmentName } from "../postgres/wal-segments.ts";
import { tryLock } from "../system/libc.ts";
import { prefetcherMark, readPosition, syncFolder } from "./prefetch-folder.ts";
import { checkSegmentFile } from "./segment-file.ts";
import type { WalSource } from "./wal-source.ts";

export interface PrefetchOptions {
  readonly source: WalSource;
  /** That of prefetch-folder.ts; it is there. */
  readonly folder: string;
  /** Most segments that wait in it. */
  readonly count: number;
  readonly systemIdentifier?: string | undefined;
  /** Ends after so long without a question. */
  readonly idleMs: number;
  readonly signal: AbortSignal;
}

/** Fetched at once. */
const mostAtOnce = 4;
const tickMs = 500;
/** Where nothing tells of changes. */
const unwatchedTickMs = 50;
const firstPauseMs = 500;
const longestPauseMs = 15_000;
/** Of the file system stays free: a tenth, at most 4 GiB, and at least so many segments. */
const freeShare = 0.1;
const mostFreeBytes = 4 * 2 ** 30;
const freeSegments = 8;

/** Returns when there is nothing more to do. Failures to fetch are repeated, and nobody hears of them: who needs the file finds out. */
export async function prefetch(options: PrefetchOptions): Promise<void> {
  const { folder } = options;
  let fd: number;
  try {
    fd = openSync(folder, "r");
  } catch {
    return;
  }
  try {
    if (!tryLock(fd)) return;
    await new Prefetcher(options).run();
  } catch (error) {
    // The folder is gone, and the recovery with it.
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
  } finally {
    closeSync(fd);
  }
}

class Prefetcher {
  readonly #options: PrefetchOptions;
  /** By the segment's name. */
  readonly #running = new Map<string, AbortController>();
  #wake: () => void = () => {};
  #askedAt = performance.now();
  #seen = "";
  /** The first segment that the archive does not have; asked for again when the recovery has come further. */
  #absent: { readonly name: string; readonly position: string } | undefined;
  #pauseMs = 0;
  #pausedUntil = 0;

  constructor(options: PrefetchOptions) {
    this.#options = options;
  }

  async run(): Promise<void> {
    const { folder, signal, idleMs } = this.#options;
    // Whatever one that was killed has left; also beside what it was just writing.
    for (const name of readdirSync(folder))
      if (name !== "position" && !isSegmentName(name)) removeQuietly(join(folder, name));
    writeFileSync(join(folder, "prefetcher"), prefetcherMark(process.pid), { mode: 0o600 });
    const wake = () => this.#wake();
    const watcher = watchFolder(folder, wake);
    signal.addEventListener("abort", wake, { once: true });
    try {
      while (!signal.aborted) {
        this.#listen();
        if (performance.now() - this.#askedAt > idleMs) break;
        this.#plan();
        await this.#sleep(watcher ? tickMs : unwatchedTickMs);
      }
    } finally {
      watcher?.close();
      for (const running of this.#running.values()) running.abort();
      this.#leave();
    }
  }

  /** Until something changes, or a moment later. */
  #sleep(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  /** @throws {Error} ENOENT: the folder is gone. */
  #listen(): void {
    const { folder } = this.#options;
    statSync(folder);
    const about = statSync(join(folder, "position"), { throwIfNoEntry: false });
    const seen = `${about?.mtimeMs} ${about?.ino}`;
    if (seen === this.#seen) return;
    this.#seen = seen;
    this.#askedAt = performance.now();
  }

  #plan(): void {
    const { folder, count } = this.#options;
    const position = readPosition(folder);
    const last = position && parseSegmentName(position.name, position.segmentSizeBytes);
    if (position === undefined || last === undefined) return;
    const { segmentSizeBytes } = position;
    const wanted = Array.from({ length: count }, (_, index) =>
      formatSegmentName({ timeline: last.timeline, number: last.number + index + 1 }, segmentSizeBytes),
    );
    const there = new Set(readdirSync(folder));
    for (const name of there) {
      if (isSegmentName(name) && !wanted.includes(name)) rmSync(join(folder, name), { force: true });
    }
    for (const [name, running] of this.#running) if (!wanted.includes(name)) running.abort();
    if (this.#absent?.position !== position.name) this.#absent = undefined;
    if (performance.now() < this.#pausedUntil) return;
    for (const name of wanted) {
      if (this.#running.size >= mostAtOnce || (this.#absent && name >= this.#absent.name)) return;
      if (there.has(name) || this.#running.has(name)) continue;
      if (!this.#hasRoom(segmentSizeBytes)) return;
      void this.#fetch(name, position.name);
    }
  }

  #hasRoom(segmentSizeBytes: number): boolean {
    const { bavail, blocks, bsize } = statfsSync(this.#options.folder);
    const kept = Math.max(Math.min(blocks * bsize * freeShare, mostFreeBytes), freeSegments * segmentSizeBytes);
    return bavail * bsize - (this.#running.size + 1) * segmentSizeBytes > kept;
  }

  async #fetch(name: string, position: string): Promise<void> {
    const { folder, source, systemIdentifier, signal } = this.#options;
    const stopping = new AbortController();
    this.#running.set(name, stopping);
    const part = join(folder, `${name}.part`);
    try {
      writeFileSync(part, "", { mode: 0o600 });
      const either = AbortSignal.any([signal, stopping.signal]);
      const found = await source.fetch(name, part, { signal: either, wholeOnly: true });
      if (found === undefined) {
        if (this.#absent === undefined || name < this.#absent.name) this.#absent = { name, position };
      } else if (!either.aborted) {
        checkSegmentFile(part, name, systemIdentifier);
        await sync(part);
        renameSync(part, join(folder, name));
        syncFolder(folder);
      }
      this.#pauseMs = 0;
    } catch {
      if (!stopping.signal.aborted) {
        this.#pauseMs = Math.min(Math.max(this.#pauseMs * 2, firstPauseMs), longestPauseMs);
        this.#pausedUntil = performance.now() + this.#pauseMs;
      }
    } finally {
      removeQuietly(part);
      this.#running.delete(name);
      this.#wake();
    }
  }

  #leave(): void {
    const { folder } = this.#options;
    try {
      for (const name of readdirSync(folder)) removeQuietly(join(folder, name));
      rmdirSync(folder);
      rmdirSync(dirname(folder));
    } catch {
      // It is gone already, or another recovery has just begun to use it.
    }
  }
}

/** Undefined where the system has no watch left, or Bun does not find the folder, which it resolves by its text. */
function watchFolder(folder: string, wake: () => void): FSWatcher | undefined {
  try {
    return watch(folder, wake).on("error", wake);
  } catch {
    return undefined;
  }
}

function removeQuietly(path: string): void {
  try {
    rmSync(path, { force: true });
  } catch {
    // Whatever it is, it is not ours to wait for.
  }
}

async function sync(path: string): Promise<void> {
  await using file = await open(path, "r+");
  await file.sync();
}
