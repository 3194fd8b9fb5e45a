/**
 * The folder in which segments wait for a recovery, beside the file that PostgreSQL wants: `.holdfast-prefetch/KEY/` with
 *
 * | | |
 * | --- | --- |
 * | `0000…` | a whole, checked and synced segment |
 * | `0000….part` | one that is being fetched |
 * | `position` | the segment that was given to PostgreSQL last; touched at each question |
 * | `prefetcher` | process id and start of the prefetcher, which also has the folder locked |
 *
 * KEY stands for the source, so that two recoveries from different archives never share a segment. This module is on the
 * way of every segment: it loads nothing but the file system.
 */
import {
  closeSync,
  existsSync,
  fsyncSync,
  lstatSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  statSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { checkSegmentFile } from "./segment-file.ts";

const parentName = ".holdfast-prefetch";

/** @param source Whatever tells one archive from another. */
export function prefetchFolder(destination: string, source: string): string {
  return join(dirname(destination), parentName, Bun.hash(source).toString(16).padStart(16, "0"));
}

/**
 * Moves a prefetched segment to where PostgreSQL wants it, durably. Of two that want the same one gets it.
 * @returns Its size; undefined where there is none, or what there is turns out to be no such segment.
 */
export function takePrefetched(
  folder: string,
  name: string,
  destination: string,
  systemIdentifier?: string,
): number | undefined {
  const path = join(folder, name);
  let sizeBytes: number;
  try {
    // In a folder that others may write to, as /tmp, somebody else could have put it there.
    if (lstatSync(folder).uid !== process.geteuid?.()) return undefined;
    ({ sizeBytes } = checkSegmentFile(path, name, systemIdentifier));
    renameSync(path, destination);
  } catch {
    return undefined;
  }
  syncFolder(dirname(destination));
  return sizeBytes;
}

export interface Position {
  readonly name: string;
  readonly segmentSizeBytes: number;
}

/** Tells the prefetcher what PostgreSQL has now. Never fails: without it there is only no prefetching. */
export function notePosition(folder: string, { name, segmentSizeBytes }: Position): boolean {
  const path = join(folder, "position");
  const temporary = `${path}.${process.pid}`;
  try {
    writeFileSync(temporary, `${name} ${segmentSizeBytes}\n`, { mode: 0o600 });
    renameSync(temporary, path);
    return true;
  } catch {
    return false;
  }
}

/** Makes the folder. @returns False: it cannot be made. */
export function makePrefetchFolder(folder: string): boolean {
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    return true;
  } catch {
    return false;
  }
}

/** Tells the prefetcher that the recovery goes on although it got nothing new. */
export function touchPosition(folder: string): void {
  try {
    const now = new Date();
    utimesSync(join(folder, "position"), now, now);
  } catch {
    // Nobody prefetches.
  }
}

/** @returns Undefined where nothing is noted. */
export function readPosition(folder: string): Position | undefined {
  try {
    const [name = "", size] = readFileSync(join(folder, "position"), "utf8").trim().split(" ");
    return { name, segmentSizeBytes: Number(size) };
  } catch {
    return undefined;
  }
}

/** Whether a prefetcher is at work here. */
export function isPrefetching(folder: string): boolean {
  try {
    const noted = readFileSync(join(folder, "prefetcher"), "utf8");
    return noted === prefetcherMark(Number(noted.split(" ")[0]));
  } catch {
    return false;
  }
}

/** Process id and start, so that a later process of the same id is none. */
export function prefetcherMark(pid: number): string {
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  return `${pid} ${stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19]}`;
}

const lookEveryMs = 2;
const mostSilentMs = 3_000;

/**
 * Waits for a segment that is just being prefetched. Fetching it a second time would take longer, but one that comes no
 * further for three seconds is not waited for.
 */
export async function waitForPrefetch(folder: string, name: string): Promise<void> {
  const part = join(folder, `${name}.part`);
  let seen = "";
  let changedAt = performance.now();
  while (!existsSync(join(folder, name))) {
    const about = statSync(part, { throwIfNoEntry: false });
    if (about === undefined) return;
    const state = `${about.size} ${about.mtimeMs}`;
    if (state !== seen) {
      seen = state;
      changedAt = performance.now();
    } else if (performance.now() - changedAt > mostSilentMs) return;
    await Bun.sleep(lookEveryMs);
  }
}

/** Makes names in a folder durable. */
export function syncFolder(path: string): void {
  const fd = openSync(path, "r");
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}
