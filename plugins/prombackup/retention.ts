/** Which snapshots or backups a rule keeps. Pure: the folder, the clock and what is in use come as arguments. */

/** Several rules keep what any of them keeps. Without any, nothing is kept. */
export interface Keep {
  readonly withinMs?: number | undefined;
  readonly last?: number | undefined;
  readonly daily?: number | undefined;
  readonly weekly?: number | undefined;
  readonly monthly?: number | undefined;
}

export interface Dated {
  readonly name: string;
  /** Unix milliseconds. */
  readonly timeMs: number;
}

const dayMs = 86_400_000;
/** 1 January 1970 was a Thursday. */
const mondayOffsetDays = 3;

/**
 * The names that a rule keeps. One is too old when `now` has reached its moment plus `withinMs`: with 0, that of this very
 * second is; one from the future is never.
 */
export function keptBy(candidates: readonly Dated[], keep: Keep, now: number): Set<string> {
  const newestFirst = [...candidates].sort((one, other) => other.timeMs - one.timeMs || compare(other.name, one.name));
  const kept = new Set<string>();
  const withinMs = keep.withinMs ?? 0;
  for (const { name, timeMs } of newestFirst) if (now < timeMs + withinMs) kept.add(name);
  for (const { name } of newestFirst.slice(0, keep.last ?? 0)) kept.add(name);
  const periods: readonly [number | undefined, (timeMs: number) => string | number][] = [
    [keep.daily, (timeMs) => Math.floor(timeMs / dayMs)],
    [keep.weekly, (timeMs) => Math.floor((timeMs / dayMs + mondayOffsetDays) / 7)],
    [keep.monthly, (timeMs) => new Date(timeMs).toISOString().slice(0, -17)],
  ];
  for (const [count = 0, periodOf] of periods) {
    const seen = new Set<string | number>();
    for (const { name, timeMs } of newestFirst) {
      const period = periodOf(timeMs);
      if (seen.has(period)) continue;
      if (seen.size >= count) break;
      seen.add(period);
      kept.add(name);
    }
  }
  return kept;
}

export type SkipReason = "in_use" | "being_written" | "last_verified" | "newest";

export interface Candidate extends Dated {
  readonly inUse: boolean;
  readonly beingWritten: boolean;
  /** Whether it was verified, and nothing was wrong. */
  readonly verified: boolean;
}

export interface PrunePlan {
  readonly remove: readonly string[];
  /** What the rules would remove, and why it stays. */
  readonly skipped: readonly { readonly name: string; readonly reason: SkipReason }[];
}

/**
 * @param options.keepNewest Never remove the newest: a clock that jumped would otherwise remove everything.
 * @param options.verifiedElsewhereMs Of when the newest verified backup in another place is: the last one here may go when it is
 *   no newer.
 */
export function planPrune(
  candidates: readonly Candidate[],
  keep: Keep,
  {
    now,
    keepNewest = false,
    verifiedElsewhereMs = Number.NEGATIVE_INFINITY,
  }: { now: number; keepNewest?: boolean; verifiedElsewhereMs?: number | undefined },
): PrunePlan {
  const kept = keptBy(candidates, keep, now);
  const byName = [...candidates].sort((one, other) => compare(one.name, other.name));
  const newest = byName.reduce<Candidate | undefined>(
    (best, one) => (best && best.timeMs > one.timeMs ? best : one),
    undefined,
  );
  const lastVerified = byName
    .filter(({ verified }) => verified)
    .reduce<Candidate | undefined>((best, one) => (best && best.timeMs > one.timeMs ? best : one), undefined);
  const remove: string[] = [];
  const skipped: { name: string; reason: SkipReason }[] = [];
  for (const candidate of byName) {
    const { name } = candidate;
    if (kept.has(name)) continue;
    const reason: SkipReason | undefined = candidate.inUse
      ? "in_use"
      : candidate.beingWritten
        ? "being_written"
        : candidate === lastVerified && candidate.timeMs > verifiedElsewhereMs
          ? "last_verified"
          : keepNewest && candidate === newest
            ? "newest"
            : undefined;
    if (reason) skipped.push({ name, reason });
    else remove.push(name);
  }
  return { remove, skipped };
}

/** By bytes, as the original orders names. */
const compare = (one: string, other: string) => (one < other ? -1 : one > other ? 1 : 0);
