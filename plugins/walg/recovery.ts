/** How far back, and how close to now, the stored backups and the archived WAL can bring a server. */
import { parseSegmentName, segmentAt } from "../common/postgres/wal-segments.ts";
import type { Backup } from "./backups.ts";
import type { DeltaChains } from "./delta-chains.ts";
import { secondsBetween } from "./timestamp.ts";
import { type ArchiveEnd, archiveEnd, isOnPath, missingBetween, type WalPath } from "./wal-path.ts";

/** Unix seconds at which a backup became part of the storage, or at which it ended where that is not known. */
export function storedAt({ modifiedAt, finishedAt }: Backup): number | undefined {
  return modifiedAt ?? finishedAt;
}

/** Unix seconds from which on a backup can be restored: its end, or, in a list without details, when it was stored. */
export const finishedOrStoredAt = ({ modifiedAt, finishedAt }: Backup): number | undefined => finishedAt ?? modifiedAt;

/**
 * The window as the original exporters compute it: from the oldest backup to now, whatever WAL is missing; 0 without one.
 * @param rule `readme` counts permanent backups too and may go below zero; `release` does neither.
 */
export function nominalWindowSeconds(
  backups: readonly Backup[],
  nowSeconds: number,
  rule: "readme" | "release",
): number {
  let oldest = Number.POSITIVE_INFINITY;
  for (const backup of backups) {
    if (rule === "release" && backup.permanent) continue;
    oldest = Math.min(oldest, storedAt(backup) ?? Number.POSITIVE_INFINITY);
  }
  if (oldest === Number.POSITIVE_INFINITY) return 0;
  const window = secondsBetween(oldest, nowSeconds);
  return rule === "readme" ? window : Math.max(0, window);
}

/** The segment in which a backup began: recovery from it reads WAL from there on. */
export function firstSegment({ startLsn, walFile }: Backup, segmentSizeBytes: number): number | undefined {
  return startLsn === undefined
    ? parseSegmentName(walFile, segmentSizeBytes)?.number
    : segmentAt(startLsn, segmentSizeBytes);
}

export interface Recovery {
  readonly end: ArchiveEnd | undefined;
  /** Unix seconds: the end of the earliest backup from which recovery reaches the end of the archive. */
  readonly earliest: number | undefined;
  /** Segments missing between the oldest restorable backup and the newest archived segment. */
  readonly gapSegments: number | undefined;
}

/**
 * What can be recovered along the path. A backup counts when it is not permanent (its WAL may be deleted at any time),
 * when all the backups that it builds on are stored, and when it was taken on the path; it opens the window when the WAL
 * up to its own end is archived, without which it is not consistent.
 * @param ignoreBefore Gaps before this segment are known, and not counted.
 */
export function assessRecovery(
  backups: readonly Backup[],
  chains: DeltaChains,
  path: WalPath,
  ignoreBefore = 0,
): Recovery {
  const restorable = backups.flatMap((backup) => {
    const segment = firstSegment(backup, path.segmentSizeBytes);
    const { timeline, startLsn, finishLsn } = backup;
    const endLsn = finishLsn || startLsn;
    const counts =
      !backup.permanent &&
      segment !== undefined &&
      timeline !== undefined &&
      isOnPath(path, { timeline, segment, endLsn });
    if (!counts || chains.depth(backup) === undefined) return [];
    const needed = endLsn ? Math.max(segment, segmentAt(endLsn - 1n, path.segmentSizeBytes)) : segment;
    return [{ segment, needed, finishedAt: finishedOrStoredAt(backup) }];
  });
  const segments = restorable.map(({ segment }) => segment);
  const end = archiveEnd(path, segments.length === 0 ? undefined : segments.reduce((a, b) => Math.max(a, b)));
  if (!end) return { end, earliest: undefined, gapSegments: undefined };
  let earliest: number | undefined;
  for (const { segment, needed, finishedAt } of restorable) {
    if (finishedAt === undefined || finishedAt >= (earliest ?? Number.POSITIVE_INFINITY)) continue;
    if (needed <= end.segment && missingBetween(path, segment, end.segment) === 0) earliest = finishedAt;
  }
  const newest = path.archived.at(-1)?.last ?? end.segment;
  const oldest = segments.length === 0 ? undefined : segments.reduce((a, b) => Math.min(a, b));
  return {
    end,
    earliest,
    gapSegments: oldest === undefined ? undefined : missingBetween(path, Math.max(oldest, ignoreBefore), newest),
  };
}

/** Bytes that the server has written and the archive does not hold. */
export function lagBytes(currentLsn: bigint, archivedLsn: bigint): bigint {
  return currentLsn > archivedLsn ? currentLsn - archivedLsn : 0n;
}

/**
 * The size of the segments, told by the backups themselves: the segment in a backup's name holds its start position.
 * @returns undefined when there is no such backup, or they fit several sizes or none.
 */
export function inferSegmentSize(backups: readonly Backup[]): number | undefined {
  const telling = backups
    .filter(({ startLsn, walFile }) => startLsn !== undefined && /^[0-9A-F]{24}$/.test(walFile))
    .slice(-20);
  const sizes = Array.from({ length: 11 }, (_, power) => 2 ** (20 + power));
  const fitting = sizes.filter((size) =>
    telling.every(
      ({ startLsn = 0n, walFile }) => parseSegmentName(walFile, size)?.number === segmentAt(startLsn, size),
    ),
  );
  return telling.length > 0 && fitting.length === 1 ? fitting[0] : undefined;
}
