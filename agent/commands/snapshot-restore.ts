/** `holdfast snapshot restore`: a verified snapshot in an empty data folder, or nothing. */
import { renameSync, rmdirSync, rmSync } from "node:fs";
import { cp, mkdir, readdir, rm, rmdir, stat } from "node:fs/promises";
import { basename, dirname, join, relative, resolve } from "node:path";
import { unpackSnapshot } from "../../plugins/common/archive/snapshot-archive.ts";
import { syncFolder, syncTree } from "../../plugins/common/archive/write-all.ts";
import { LocalStorage } from "../../plugins/common/storage/local.ts";
import type { Storage } from "../../plugins/common/storage/storage.ts";
import { snapshotFolder } from "../../plugins/common/tsdb/block-files.ts";
import { isUlid } from "../../plugins/common/tsdb/ulid.ts";
import { type SnapshotReport, verifySnapshot } from "../../plugins/common/tsdb/verify.ts";
import { parseDuration } from "../sdk/index.ts";
import { endOnStop } from "../system/signals.ts";
import { type Command, type FlagValues, UsageError } from "./command.ts";
import { copyBackup, findBackup, readManifest } from "./snapshot/backup-files.ts";
import { claimDataFolder, stagingPrefix } from "./snapshot/data-folder.ts";
import { reportText } from "./snapshot/inspect.ts";
import { Progress } from "./snapshot/progress.ts";
import { openTarget, targetFlags } from "./snapshot/target.ts";

export const command: Command = {
  name: "snapshot restore",
  summary: "Unpacks a snapshot into an empty Prometheus data folder, once everything in it has been verified.",
  goStyle: true,
  operands: { usage: "ARCHIVE|FOLDER|MANIFEST|BACKUP DIR", least: 2, most: 2 },
  flags: [
    { name: "blocks", value: "ULID,…", help: "Restore these blocks only." },
    {
      name: "from",
      value: "TIME",
      help: "Leave out blocks that end before this moment, such as 2026-11-01T00:00:00Z.",
    },
    { name: "to", value: "TIME", help: "Leave out blocks that begin after this moment." },
    { name: "owner", value: "USER[:GROUP]", help: "Give the blocks to this user. Default, as root: the owner of DIR" },
    {
      name: "retention",
      value: "DURATION",
      help: "Retention of the Prometheus to be started, to warn of blocks that it would delete. Default: 15d",
    },
    ...targetFlags,
    { name: "quiet", help: "Show no progress." },
  ],
  details:
    "With --target, BACKUP is the name of a backup there, or `latest`.\n" +
    "Stop Prometheus before, start it on DIR afterwards. External labels and rules are not in a snapshot.\n" +
    "Nothing is left in DIR when the snapshot is damaged.",
  async run(flags, [source = "", target = ""]) {
    endOnStop();
    const wanted = readWanted(flags);
    const folder = resolve(target);
    await using storage = await openTarget(flags);
    const wasMade = await claimDataFolder(folder);
    const staging = join(folder, `${stagingPrefix}${Bun.randomUUIDv7()}`);
    endOnStop(() => discard(staging, wasMade ? folder : undefined));
    try {
      await mkdir(staging);
      const progress = new Progress("Restoring", !flags.isSet("quiet"));
      if (storage) await fillFromTarget(storage, source, staging, wanted, progress);
      else await fill(resolve(source), staging, wanted, progress);
      const report = await verifySnapshot(await snapshotFolder(staging));
      if (report.problems.length > 0) {
        process.stderr.write(reportText(report));
        throw new Error(`Cannot restore ${source}: it is damaged, nothing was restored`);
      }
      requireNamed(source, report, wanted);
      await leaveOut(staging, report, wanted);
      await chown(staging, folder, flags.text("owner"));
      await syncTree(staging);
      const restored = await publish(staging, folder);
      if (restored.length === 0)
        throw new Error(`Cannot restore ${source}: no block in it is wanted, nothing was restored`);
      process.stdout.write(restored.map((ulid) => `restored ${ulid}\n`).join(""));
      for (const warning of warnings(report, restored, wanted)) process.stderr.write(`holdfast: warning: ${warning}\n`);
      return 0;
    } catch (error) {
      await rm(staging, { recursive: true, force: true });
      if (wasMade) await rmdir(folder).catch(() => {});
      throw error;
    }
  },
};

/** Removes what a restore has made that is told to stop. */
function discard(staging: string, made: string | undefined): void {
  // A file that was being made may come into a folder that is being removed.
  for (let attempts = 0; attempts < 10; attempts++) {
    try {
      rmSync(staging, { recursive: true, force: true });
      if (made !== undefined) rmdirSync(made);
      return;
    } catch {}
  }
}

interface Wanted {
  readonly blocks: ReadonlySet<string> | undefined;
  /** Unix milliseconds. */
  readonly from: number;
  readonly to: number;
  readonly retentionMs: number;
}

/** @throws {UsageError} */
function readWanted(flags: FlagValues): Wanted {
  const moment = (name: string, otherwise: number): number => {
    const text = flags.text(name);
    const value = text === undefined ? otherwise : Date.parse(text);
    if (Number.isNaN(value))
      throw new UsageError(`Cannot read --${name}=${text}: expected a time such as 2026-11-01T00:00:00Z`);
    return value;
  };
  const blocks = flags.text("blocks")?.split(",");
  const wrong = blocks?.find((ulid) => !isUlid(ulid));
  if (wrong !== undefined) throw new UsageError(`Cannot read --blocks: ${JSON.stringify(wrong)} is no ULID`);
  const retention = parseDuration((flags.text("retention") ?? "15d").replace(/y$/, "w"));
  if (retention === undefined) throw new UsageError(`Cannot read --retention: expected a duration such as 15d`);
  return {
    blocks: blocks && new Set(blocks),
    from: moment("from", Number.NEGATIVE_INFINITY),
    to: moment("to", Number.POSITIVE_INFINITY),
    retentionMs: retention * 1000,
  };
}

const wantsOf =
  ({ blocks }: Wanted) =>
  (ulid: string) =>
    blocks?.has(ulid) ?? true;

async function fillFromTarget(
  storage: Storage,
  name: string,
  staging: string,
  wanted: Wanted,
  progress: Progress,
): Promise<void> {
  try {
    const manifest = await findBackup(storage, name);
    await copyBackup(storage, manifest, staging, wantsOf(wanted), (bytes) => progress.add(bytes));
  } finally {
    progress.end();
  }
}

async function fill(source: string, staging: string, wanted: Wanted, progress: Progress): Promise<void> {
  const wants = wantsOf(wanted);
  const found = await stat(source).catch((cause: { code?: string }) => {
    throw new Error(`Cannot restore ${source}: ${cause.code === "ENOENT" ? "no such file or folder" : cause.code}`, {
      cause,
    });
  });
  try {
    if (source.endsWith(".json")) {
      const storage = new LocalStorage(dirname(dirname(source)));
      const manifest = await readManifest(storage, relative(storage.description, source));
      return await copyBackup(storage, manifest, staging, wants, (bytes) => progress.add(bytes));
    }
    if (!found.isDirectory())
      return await unpackSnapshot(source, staging, { wants, wrote: (bytes) => progress.add(bytes) });
    const names = (await readdir(source, { withFileTypes: true })).filter(
      (entry) => entry.isDirectory() && wants(entry.name),
    );
    if (!names.some(({ name }) => isUlid(name))) throw new Error(`Cannot restore ${source}: there is no block in it`);
    for (const { name } of names)
      await cp(join(source, name), join(staging, name), { recursive: true, verbatimSymlinks: true });
  } finally {
    progress.end();
  }
}

/** @throws {Error} A block that was named is not there: who names it counts on it. */
function requireNamed(source: string, { blocks }: SnapshotReport, wanted: Wanted): void {
  const missing = wanted.blocks?.difference(new Set(blocks.map(({ ulid }) => ulid))) ?? new Set();
  if (missing.size === 0) return;
  const named = [...missing].join(", ");
  throw new Error(`Cannot restore ${source}: there is no block ${named} in it, nothing was restored`);
}

/** Removes the blocks whose time is not wanted: they had to be unpacked for it to be known. */
async function leaveOut(staging: string, { blocks }: SnapshotReport, { from, to }: Wanted): Promise<void> {
  for (const { ulid, meta } of blocks) {
    if (meta && (meta.maxTime <= from || meta.minTime > to)) await rm(join(staging, ulid), { recursive: true });
  }
}

/** @throws {Error} The owner cannot be set. */
async function chown(staging: string, folder: string, owner: string | undefined): Promise<void> {
  const { uid, gid } = await stat(folder);
  if (owner === undefined && (process.getuid?.() !== 0 || uid === 0)) return;
  const child = Bun.spawn(["chown", "-R", owner ?? `${uid}:${gid}`, staging], {
    stdin: "ignore",
    stdout: "ignore",
    stderr: "pipe",
  });
  const complaint = await new Response(child.stderr).text();
  if ((await child.exited) !== 0) throw new Error(`Cannot set the owner: ${complaint.trim()}`);
}

/** Moves the blocks to their place, each in one step; all of them or none. @returns Their ULIDs. @throws {Error} */
async function publish(staging: string, folder: string): Promise<string[]> {
  const blocks = (await readdir(staging)).sort();
  // Looked at again: a Prometheus may have been started on the folder meanwhile.
  await claimDataFolder(folder, basename(staging));
  const moved: string[] = [];
  try {
    // In one turn, so that no signal comes in between.
    for (const ulid of blocks) {
      renameSync(join(staging, ulid), join(folder, ulid));
      moved.push(ulid);
    }
  } catch (error) {
    for (const ulid of moved) await rm(join(folder, ulid), { recursive: true, force: true });
    throw error;
  }
  await rmdir(staging);
  await syncFolder(folder);
  return blocks;
}

function warnings(report: SnapshotReport, restored: readonly string[], { retentionMs }: Wanted): string[] {
  const oldest = Date.now() - retentionMs;
  const lost = report.blocks.filter(({ ulid, meta }) => restored.includes(ulid) && meta && meta.maxTime < oldest);
  if (lost.length === 0) return [...report.warnings];
  const days = Math.round(retentionMs / 86_400_000);
  const names = lost.map(({ ulid }) => ulid).join(", ");
  return [
    ...report.warnings,
    `a Prometheus with a retention of ${days} days deletes what is older when it starts: ${names}; start it with a larger --storage.tsdb.retention.time`,
  ];
}
