/** What can be restored, and to when, by what is known of the storage. */
import type { RestorableWindow } from "holdfast";
import { type Knowledge, type Operations, ownBackups } from "./knowledge.ts";
import { failureReason } from "./operation.ts";
import { finishedOrStoredAt } from "./recovery.ts";
import type { ArchivedWal } from "./wal-page.ts";

/** None before the list of backups was first asked for. */
export function restorableWindows(operations: Operations, known: Knowledge, wal: ArchivedWal): RestorableWindow[] {
  const { list, storage } = operations;
  if (list.outcome === undefined) return [];
  const window = { from: wal.recovery?.earliest, to: wal.latest };
  if (list.outcome.error !== undefined) {
    // Of a failing list alone the agent tells; here is more to say when the storage itself does not answer.
    if (storage.outcome === undefined || storage.isSound) return [window];
    const how = failureReason(storage.outcome.error);
    return [{ ...window, reason: "archive_unreachable", detail: `wal-g cannot read the storage (${how})` }];
  }
  return [{ ...window, ...judge(known, wal) }];
}

/** Why it cannot be counted on; where it can, perhaps something to know. */
function judge(known: Knowledge, wal: ArchivedWal): Partial<RestorableWindow> {
  const { backups, timelines, verification, nowSeconds, walPatienceSeconds } = known;
  if (backups === undefined) return { reason: "stale", detail: "The list of backups is older than stale_after" };
  if (backups.backups.length === 0) return { reason: "no_backup", detail: "There is no backup in the storage" };
  const own = ownBackups(known);
  if (own.length === 0) {
    const detail = `All backups are of another cluster than ${known.systemIdentifier}, as after pg_upgrade: take a new one`;
    return { reason: "no_backup", detail };
  }
  const counted = own.filter(({ permanent }) => !permanent);
  if (counted.length === 0) {
    return { reason: "no_backup", detail: "All backups are permanent: WAL that follows them is not kept for them" };
  }
  const { recovery, latest } = wal;
  if (recovery?.end === undefined) {
    const isTold = timelines !== undefined || verification !== undefined;
    if (!isTold) return { reason: "unknown", detail: "Neither wal-show nor wal-verify has told what WAL is archived" };
    return { reason: "wal_gap", detail: "No WAL is archived" };
  }
  const silentSeconds = nowSeconds - (wal.toldAt ?? nowSeconds);
  if (silentSeconds > walPatienceSeconds) {
    const detail = `Neither wal-show nor wal-verify has told what WAL is archived for ${Math.floor(silentSeconds)} s`;
    return { reason: "stale", detail };
  }
  const { earliest, end, gapSegments = 0 } = recovery;
  if (earliest === undefined) {
    return { reason: "wal_gap", detail: "From no backup the archived WAL goes on without a gap" };
  }
  if (!end.isNewest) {
    return {
      reason: "wal_gap",
      detail: `WAL is missing since the newest backup, ${gapSegments} segments: take a new one`,
    };
  }
  if (latest === undefined) {
    const ends = counted.flatMap((backup) => finishedOrStoredAt(backup) ?? []);
    const to = ends.length === 0 ? undefined : ends.reduce((a, b) => Math.max(a, b));
    return { to, detail: "The end of the newest backup: when the last WAL arrived is not known" };
  }
  if (gapSegments > 0) return { detail: `Older backups cannot be used: ${gapSegments} segments of WAL are missing` };
  return {};
}
