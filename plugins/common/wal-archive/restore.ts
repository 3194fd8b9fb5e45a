/** Brings one file to where PostgreSQL wants it: whole, checked and durable, or not at all. */
import { readdirSync, renameSync, rmSync, statSync } from "node:fs";
import { open, readFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { parseTimelineHistory } from "../postgres/timeline-history.ts";
import { codeOf, messageOf } from "../storage/errors.ts";
import { pause } from "../storage/retry.ts";
import { failureReason } from "./errors.ts";
import { syncFolder } from "./prefetch-folder.ts";
import { checkSegmentFile, SegmentError } from "./segment-file.ts";
import { type Found, type WalSource, WalSourceError } from "./wal-source.ts";

/**
 * - `outage`: the archive or the agent cannot be reached, or is not well.
 * - `misconfigured`: no repetition helps: keys, passphrase, address, the WAL of another cluster.
 * - `damaged`: what is archived is not what it should be.
 * - `local`: the file cannot be written on this machine.
 * - `unexpected`: a fault of ours.
 */
export type RestoreFailure = "outage" | "misconfigured" | "damaged" | "local" | "unexpected";

export interface RestoreOptions {
  readonly source: WalSource;
  readonly name: string;
  readonly destination: string;
  /** Of the cluster that is recovered, where it is known. */
  readonly systemIdentifier?: string | undefined;
  /** How long an outage is waited for; attempts that have begun may take longer. */
  readonly retryMs: number;
  readonly signal: AbortSignal;
  /** Told of each attempt that failed and will be repeated. */
  onRetry?(message: string): void;
}

export interface Restored {
  readonly found: Found;
  readonly sizeBytes: number;
}

const firstPauseMs = 200;
const longestPauseMs = 5_000;
/** What came damaged may have been damaged on its way. */
const mostDamaged = 3;

/** @returns Undefined only where the source was reached and truly has no such file. */
export async function restoreFile(options: RestoreOptions): Promise<Restored | undefined> {
  const { signal, retryMs, onRetry } = options;
  removeLeftOvers(options.destination);
  const startedAt = performance.now();
  let damaged = 0;
  for (let pauseMs = firstPauseMs; ; pauseMs = Math.min(pauseMs * 2, longestPauseMs)) {
    try {
      return await attempt(options);
    } catch (error) {
      signal.throwIfAborted();
      const failure = restoreFailure(error);
      damaged += failure === "damaged" ? 1 : 0;
      const isOver = performance.now() - startedAt + pauseMs > retryMs;
      if (isOver || damaged >= mostDamaged || (failure !== "outage" && failure !== "damaged")) throw error;
      onRetry?.(messageOf(error));
      await pause(pauseMs * (0.5 + Math.random() / 2), signal);
    }
  }
}

export function restoreFailure(error: unknown): RestoreFailure {
  if (error instanceof WalSourceError) return error.kind;
  if (error instanceof SegmentError) return error.kind === "foreign" ? "misconfigured" : "damaged";
  switch (failureReason(error)) {
    case "unavailable":
      return "outage";
    case "access_denied":
    case "misconfigured":
    case "password":
      return "misconfigured";
    case "local":
      return "local";
    case "internal":
      return "unexpected";
    default:
      return "damaged";
  }
}

async function attempt(options: RestoreOptions): Promise<Restored | undefined> {
  const { source, name, destination, systemIdentifier, signal } = options;
  const temporary = `${destination}.${process.pid}.holdfast-tmp`;
  try {
    const found = await source.fetch(name, temporary, { signal });
    if (found === undefined) return undefined;
    const sizeBytes = await checkFile(temporary, name, found, systemIdentifier);
    await syncFile(temporary);
    renameSync(temporary, destination);
    syncFolder(dirname(destination));
    return { found, sizeBytes };
  } catch (error) {
    if (restoreFailure(error) !== "local" || !isOfWriting(error, destination)) throw error;
    throw Object.assign(new Error(`Cannot write ${destination}: ${messageOf(error)}`, { cause: error }), {
      code: codeOf(error),
    });
  } finally {
    rmSync(temporary, { force: true });
  }
}

/** Of the system's errors; one of a write, for want of space say, names no path. */
function isOfWriting(error: unknown, destination: string): boolean {
  const { path, dest, syscall } = error as { path?: string; dest?: string; syscall?: string };
  return (dest ?? path)?.startsWith(destination) ?? syscall !== "read";
}

/** @returns Its size. @throws {SegmentError} @throws {WalSourceError} damaged: it is no timeline history. */
async function checkFile(path: string, name: string, found: Found, systemIdentifier?: string): Promise<number> {
  if (/^[0-9A-F]{24}(\.partial)?$/.test(name)) {
    const kind = found === "partial" ? `${name.slice(0, 24)}.partial` : name;
    return checkSegmentFile(path, kind, systemIdentifier).sizeBytes;
  }
  if (name.endsWith(".history")) {
    try {
      parseTimelineHistory(await readFile(path, "latin1"));
    } catch (cause) {
      throw new WalSourceError("damaged", `Cannot use ${name}: ${messageOf(cause)}`, { cause });
    }
  }
  return statSync(path).size;
}

async function syncFile(path: string): Promise<void> {
  await using file = await open(path, "r+");
  await file.sync();
}

function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return codeOf(error) === "EPERM";
  }
}

/** Removes what earlier calls for the same destination have left behind that were ended by force. */
function removeLeftOvers(destination: string): void {
  const folder = dirname(destination);
  const beginning = `${basename(destination)}.`;
  let names: string[];
  try {
    names = readdirSync(folder);
  } catch (cause) {
    if (codeOf(cause) !== "ENOENT") throw cause;
    throw Object.assign(new Error(`Cannot write ${destination}: there is no folder ${folder}`), { code: "ENOENT" });
  }
  for (const name of names) {
    const rest = name.replace(/^\./, "");
    const [, pid] = rest.startsWith(beginning) ? (/^(\d+)\.holdfast-tmp/.exec(rest.slice(beginning.length)) ?? []) : [];
    if (pid !== undefined && !isRunning(Number(pid))) rmSync(join(folder, name), { force: true });
  }
}
