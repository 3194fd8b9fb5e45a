/** The questions that wal-g is asked, each with its parser. */
import type { Run, RunResult } from "holdfast";
import { RunError } from "holdfast";
import type { Environment } from "../common/postgres/conninfo.ts";
import { type BackupList, noBackups, parseBackupList, withKnownDetails } from "./backups.ts";
import { parseStorageUsage, type StorageUsage } from "./storage-usage.ts";
import { parseTimelines, type StoredTimeline } from "./timelines.ts";
import { parseVerification, type Verification } from "./verification.ts";
import { parseStoredSegments, type StoredSegment } from "./wal-files.ts";

/** How wal-g is called; the same for all questions of an instance. */
export interface Caller {
  readonly prefix: readonly string[];
  readonly path: string;
  readonly configPath: string | undefined;
  readonly environment: Environment;
  readonly workingDirectory: string | undefined;
  readonly maxOutputBytes: number;
}

/** What a run needs: the means to run commands, and until when. */
export interface Asking {
  readonly run: Run;
  readonly timeoutMs: number;
}

/**
 * Runs wal-g. The arguments stay exactly as the original exporter had them, `--config` last, for rules of sudo match them.
 * @throws {RunError} No answer.
 */
export function askWalg(caller: Caller, words: readonly string[], { run, timeoutMs }: Asking): Promise<RunResult> {
  const { prefix, path, configPath, environment, workingDirectory, maxOutputBytes } = caller;
  const config = configPath === undefined ? [] : ["--config", configPath];
  const [program = path, ...rest] = [...prefix, path, ...words, ...config];
  return run([program, ...rest], {
    timeoutMs,
    maxOutputBytes,
    env: environment,
    ...(workingDirectory === undefined ? {} : { cwd: workingDirectory }),
  });
}

/**
 * All backups. One without its metadata makes wal-g refuse the whole detailed list; then the short one is taken, with
 * what is known from before, and `onRefused` is told.
 * @param known The list before this one.
 * @throws {RunError | SyntaxError} No list; where both questions fail, the failure of the first.
 * Source: wal-g issue 556.
 */
export async function listBackups(
  caller: Caller,
  asking: Asking,
  known: BackupList | undefined,
  onRefused: (error: RunError) => void,
): Promise<BackupList> {
  try {
    return readList(await askWalg(caller, ["backup-list", "--detail", "--json"], asking));
  } catch (error) {
    if (!(error instanceof RunError) || error.reason !== "exit") throw error;
    if (saysNoBackups(error)) return noBackups;
    const short = await askWalg(caller, ["backup-list", "--json"], asking)
      .then(readList)
      .catch(() => undefined);
    if (!short) throw error;
    onRefused(error);
    return withKnownDetails(short, known);
  }
}

function readList(result: RunResult): BackupList {
  return saysNoBackups(result) ? noBackups : parseBackupList(result.stdout);
}

/** Before 3.0.6 wal-g printed nothing for an empty storage, and said so on stderr only, in some versions as an error. */
function saysNoBackups({ stdout, stderr }: Pick<RunResult, "stdout" | "stderr">): boolean {
  return stdout.trim() === "" && /No backups found\W*$/.test(stderr);
}

/**
 * All timelines. wal-g adds the backups to each, and fails when one is without its metadata; then it is asked without.
 * @throws {RunError | SyntaxError} No answer; where both questions fail, the failure of the first.
 * Source: wal-g issues 556 and 1078.
 */
export async function showTimelines(
  caller: Caller,
  asking: Asking,
  withoutBackups: boolean,
): Promise<StoredTimeline[]> {
  const words = ["wal-show", "--detailed-json"];
  const show = async (...more: string[]) => parseTimelines((await askWalg(caller, [...words, ...more], asking)).stdout);
  if (withoutBackups) return show("--without-backups");
  try {
    return await show();
  } catch (error) {
    if (!(error instanceof RunError) || error.reason !== "exit" || !/backups? info/.test(error.stderr)) throw error;
    return show("--without-backups").catch(() => {
      throw error;
    });
  }
}

export async function verifyWal(caller: Caller, asking: Asking): Promise<Verification> {
  return parseVerification((await askWalg(caller, ["wal-verify", "integrity", "timeline", "--json"], asking)).stdout);
}

/** Ways to learn whether the storage answers, best first: `st check` came with wal-g 2.0.1, `st` not long before. */
export const readProbes = [["st", "check", "read"], ["st", "ls"], ["backup-list"]] as const;
export const writeProbes = [["st", "check", "write"]] as const;

/**
 * Asks in the first way that this wal-g understands.
 * @throws {RunError} The storage does not answer. @throws {Error} wal-g understands none of the ways.
 */
export async function probeStorage(
  caller: Caller,
  asking: Asking,
  ways: readonly (readonly string[])[],
): Promise<void> {
  for (const words of ways) if (await isAnswered(caller, words, asking)) return;
  const wanted = JSON.stringify(ways[0]?.join(" "));
  throw new Error(`Cannot probe the storage: this wal-g has no command ${wanted}; 2.0.1 and newer ones have it`);
}

/** False: wal-g knows no such command. It says so in an error, or, below another command, prints its help as a success. */
async function isAnswered(caller: Caller, words: readonly string[], asking: Asking): Promise<boolean> {
  try {
    return !(await askWalg(caller, words, asking)).stdout.includes("Available Commands:");
  } catch (error) {
    if (error instanceof RunError && /unknown command/.test(error.stdout + error.stderr)) return false;
    throw error;
  }
}

/** The newest stored segment of each timeline. */
export async function listSegments(caller: Caller, asking: Asking): Promise<ReadonlyMap<number, StoredSegment>> {
  return parseStoredSegments((await askWalg(caller, ["st", "ls", "wal_005"], asking)).stdout);
}

/** One stored segment; undefined when it is not stored under that name, or wal-g (before 3.0.9) has no such command. */
export async function findSegment(
  caller: Caller,
  asking: Asking,
  fileName: string,
): Promise<StoredSegment | undefined> {
  try {
    const { stdout } = await askWalg(caller, ["st", "stat", `wal_005/${fileName}`], asking);
    return parseStoredSegments(stdout).values().next().value;
  } catch (error) {
    if (error instanceof RunError && error.reason === "exit") return undefined;
    throw error;
  }
}

export async function measureStorage(caller: Caller, asking: Asking): Promise<StorageUsage> {
  return parseStorageUsage((await askWalg(caller, ["st", "ls", "-r"], asking)).stdout);
}

/** `wal-g version v3.0.8 <revision> <date> PostgreSQL`, separated by tabs; undefined when it says something else. */
export async function askVersion(caller: Caller, asking: Asking): Promise<string | undefined> {
  const { stdout } = await askWalg({ ...caller, configPath: undefined }, ["--version"], asking);
  return /version (\S+)/.exec(stdout)?.[1];
}
