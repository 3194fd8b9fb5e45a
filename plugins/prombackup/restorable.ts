/** From when to when samples can be restored, by the snapshots in the folder and the backups in the targets. */
import type { RestorableWindow } from "holdfast";
import type { BackupManifest } from "../common/archive/backup-manifest.ts";
import type { SnapshotInfo } from "./snapshot-store.ts";
import type { Verification } from "./state.ts";

/** A snapshot or backup, as far as it matters here. Moments are Unix seconds. */
interface Copy {
  readonly from: number;
  readonly to: number;
  readonly verified: "unknown" | "right" | "damaged";
}

export interface KnownCopies {
  readonly snapshots: readonly {
    readonly info: Pick<SnapshotInfo, "minTimeMs" | "maxTimeMs" | "isComplete">;
    readonly verification: Pick<Verification, "ok"> | undefined;
  }[];
  readonly backups: readonly Pick<BackupManifest, "blocks" | "verified">[];
  /** Whether there is a target that cannot be read now. */
  readonly hasUnreadable: boolean;
}

/**
 * Only what was verified counts. `from`: the first sample of the oldest such copy; `to`: the last one of the newest. Where
 * none was verified, the window is that of all copies, and the reason says that one cannot count on it.
 */
export function restorableWindow({ snapshots, backups, hasUnreadable }: KnownCopies): RestorableWindow {
  const copies = [...snapshots.flatMap(ofSnapshot), ...backups.flatMap(ofBackup)];
  const right = copies.filter(({ verified }) => verified === "right");
  const window = { ...spanOf(right.length > 0 ? right : copies) };
  const newest = copies.reduce<Copy | undefined>((last, copy) => (last && last.to >= copy.to ? last : copy), undefined);
  if (right.length > 0) {
    if (newest?.verified === "damaged") return { ...window, detail: "A newer snapshot is damaged" };
    return newest && newest.to > (window.to ?? 0) ? { ...window, detail: "A newer snapshot was not verified" } : window;
  }
  if (hasUnreadable) {
    return { ...window, reason: "archive_unreachable", detail: "A target with backups cannot be read" };
  }
  if (newest === undefined) return { ...window, reason: "no_backup", detail: "There is no snapshot with blocks in it" };
  if (newest.verified === "damaged") return { ...window, reason: "damaged", detail: "The newest snapshot is damaged" };
  return { ...window, reason: "unverified", detail: "No snapshot was verified: see holdfast snapshot verify" };
}

function ofSnapshot({ info, verification }: KnownCopies["snapshots"][number]): Copy[] {
  const { minTimeMs, maxTimeMs, isComplete } = info;
  if (minTimeMs === undefined || maxTimeMs === undefined || !isComplete) return [];
  const verified = verification === undefined ? "unknown" : verification.ok ? "right" : "damaged";
  return [{ from: minTimeMs / 1000, to: maxTimeMs / 1000, verified }];
}

function ofBackup({ blocks, verified }: KnownCopies["backups"][number]): Copy[] {
  const times = spanOf(blocks.map(({ min_time, max_time }) => ({ from: min_time / 1000, to: max_time / 1000 })));
  return times === undefined ? [] : [{ ...times, verified: verified ? "right" : "unknown" }];
}

function spanOf(spans: readonly { from: number; to: number }[]): { from: number; to: number } | undefined {
  if (spans.length === 0) return undefined;
  const from = spans.reduce((least, one) => Math.min(least, one.from), Number.POSITIVE_INFINITY);
  const to = spans.reduce((most, one) => Math.max(most, one.to), Number.NEGATIVE_INFINITY);
  // Prometheus has samples of any moment, before 1970 too.
  return { from: Math.max(0, from), to: Math.max(0, to) };
}
