/** Prunes the snapshot folder: what the rules no longer keep, but for what is in use, being written or the last good one. */
import type { Downloads } from "./downloads.ts";
import { type Keep, type PrunePlan, planPrune, type SkipReason } from "./retention.ts";
import { reasonOf } from "./snapshot-entries.ts";
import type { SnapshotInfo, SnapshotStore } from "./snapshot-store.ts";

export interface PruneReport {
  readonly dryRun: boolean;
  readonly removed: readonly string[];
  readonly skipped: readonly { readonly name: string; readonly reason: SkipReason }[];
  readonly failed: readonly { readonly name: string; readonly error: string }[];
}

export interface PruneOptions {
  readonly keep: Keep;
  readonly dryRun?: boolean;
  /** Never the newest: for pruning that nobody watches. */
  readonly keepNewest?: boolean;
}

export interface PruningDeps {
  readonly store: SnapshotStore;
  readonly downloads: Downloads;
  now(): number;
  /** Whether this state of a snapshot was verified, and nothing was wrong. */
  isVerified(snapshot: SnapshotInfo): boolean;
  /** Of when the newest verified backup in a target is, Unix milliseconds; undefined where there is none. */
  verifiedElsewhereMs(): number | undefined;
  /** When the oldest snapshot was asked for that Prometheus has not finished; undefined when there is none. */
  writingSince(): number | undefined;
  /** Snapshots that something else than a download reads now: a verification, a backup. */
  isHeld(name: string): boolean;
}

/** Go's zero time: a name with it says nothing of an age. */
const zeroTimeMs = -62_135_596_800_000;
/** Prometheus stamps a name before it writes, and its clock may be a little off. */
const clockToleranceMs = 60_000;
/** A snapshot that lacks files and changed this lately is one that Prometheus writes. */
const settleMs = 10 * 60_000;

export class Pruning {
  readonly #deps: PruningDeps;

  constructor(deps: PruningDeps) {
    this.#deps = deps;
  }

  /** @throws {Error} The folder cannot be read. What cannot be removed is in the report. */
  async run({ keep, dryRun = false, keepNewest = false }: PruneOptions): Promise<PruneReport> {
    const { store, downloads, isHeld } = this.#deps;
    const left = dryRun ? [] : await store.sweep();
    const plan = await this.#plan(keep, keepNewest);
    if (dryRun) return { dryRun, removed: plan.remove, skipped: plan.skipped, failed: [] };

    const removed: string[] = [];
    const skipped = [...plan.skipped];
    const failed = left.map(({ name, error }) => ({ name, error: reasonOf(error) }));
    for (const name of plan.remove) {
      // Nothing else runs between this look and the renaming: a download begins before it or finds nothing.
      if (downloads.isInUse(name) || isHeld(name)) {
        skipped.push({ name, reason: "in_use" });
        continue;
      }
      try {
        store.takeOut(name);
        removed.push(name);
      } catch (error) {
        failed.push({ name, error: reasonOf(error) });
      }
    }
    for (const { name, error } of await store.sweep()) failed.push({ name, error: reasonOf(error) });
    const unremoved = new Set(failed.map(({ name }) => name));
    return { dryRun, removed: removed.filter((name) => !unremoved.has(name)), skipped, failed: unique(failed) };
  }

  async #plan(keep: Keep, keepNewest: boolean): Promise<PrunePlan> {
    const { store, downloads, isVerified, isHeld, verifiedElsewhereMs } = this.#deps;
    const now = this.#deps.now();
    const snapshots = (await store.all()).filter(({ timeMs }) => timeMs !== zeroTimeMs);
    const candidates = await Promise.all(
      snapshots.map(async (snapshot) => ({
        ...snapshot,
        inUse: downloads.isInUse(snapshot.name) || isHeld(snapshot.name),
        beingWritten: await this.#isBeingWritten(snapshot, now),
        verified: isVerified(snapshot),
      })),
    );
    return planPrune(candidates, keep, { now, keepNewest, verifiedElsewhereMs: verifiedElsewhereMs() });
  }

  async #isBeingWritten({ name, timeMs, isComplete }: SnapshotInfo, now: number): Promise<boolean> {
    const since = this.#deps.writingSince();
    if (since !== undefined && timeMs >= since - clockToleranceMs) return true;
    return !isComplete && now - (await this.#deps.store.changedAt(name)) < settleMs;
  }
}

function unique<Row extends { name: string }>(rows: readonly Row[]): Row[] {
  return [...new Map(rows.map((row) => [row.name, row])).values()];
}
