/** Whether, and between which moments, something can be restored: what a plugin's `restorable()` tells. */

/** Why one cannot count on a restore; a closed list, for a label. */
export const restorableReasons = [
  /** No base backup or snapshot is known that could be restored. */
  "no_backup",
  /** WAL is missing between the base backup and the newest WAL. */
  "wal_gap",
  /** A backup or WAL is there, and broken. */
  "damaged",
  /** There are backups, and none was verified by somebody who was told to. */
  "unverified",
  /** What holds the backups does not answer. */
  "archive_unreachable",
  /** The last collection failed. */
  "collect_failed",
  /** What was last known is too old to be believed. */
  "stale",
  /** Not enough is known to say. */
  "unknown",
] as const;
export type RestorableReason = (typeof restorableReasons)[number];

/** One row of the answer to "can I restore, and to when?". Moments are Unix seconds. */
export interface RestorableWindow {
  /** What would be restored; once in an instance. Default: the instance's `labels.cluster` in the YAML, else its name. */
  readonly cluster?: string | undefined;
  /** The earliest moment that a recovery can reach: the end of the oldest backup that can be used. */
  readonly from?: number | undefined;
  /** The latest one: that of the last WAL, or sample, that follows from there without a gap. */
  readonly to?: number | undefined;
  /** Why it cannot be counted on; without one it can. */
  readonly reason?: RestorableReason | undefined;
  /** A sentence for people: what to know, or what to do. */
  readonly detail?: string | undefined;
  /** It is WAL without a base backup that could be seen: the status page shows it, and no metric claims anything. */
  readonly walOnly?: boolean | undefined;
}
