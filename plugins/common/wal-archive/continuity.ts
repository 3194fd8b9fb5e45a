/** Whether WAL is without a gap, over all timelines: from names alone, and the histories that say where timelines part. */
import { type Ancestor, historyFileName } from "../postgres/timeline-history.ts";
import { formatSegmentName, parseSegmentName, segmentAt, segmentEnd, segmentStart } from "../postgres/wal-segments.ts";

export interface ContinuityInput {
  /** Names of whole segments, in any order; a name may come twice. */
  readonly segments: Iterable<string>;
  /** By timeline; those that could be read. */
  readonly histories: ReadonlyMap<number, readonly Ancestor[]>;
  readonly segmentSizeBytes: number;
  /**
   * One that is known to go on, whether others have left it or not: what is restorable is told of it. Default, and where nothing
   * is there of it: the newest.
   */
  readonly timeline?: number | undefined;
}

/** Segments that are missing between others. */
export interface MissingSegments {
  readonly timeline: number;
  /** The names of the first and of the last one. */
  readonly first: string;
  readonly last: string;
  readonly count: number;
}

export interface TimelineRange {
  readonly timeline: number;
  readonly first: string;
  readonly last: string;
  readonly count: number;
}

export interface Continuity {
  /** Timelines of which there are segments, ascending. */
  readonly timelines: readonly TimelineRange[];
  readonly gaps: readonly MissingSegments[];
  /** Names of histories without which nobody knows where a timeline begins. */
  readonly missingHistories: readonly string[];
  /** The timeline of which `restorable` is told. */
  readonly leading?: number | undefined;
  /**
   * From where to where a recovery on this timeline can run without a gap: a base backup that began before the first
   * position cannot be brought to the second. Undefined without segments.
   */
  readonly restorable: { readonly oldestLsn: bigint; readonly newestLsn: bigint } | undefined;
}

/** A stretch of the way to the end of a timeline: segments that must be those of `timeline`. */
interface Stretch {
  readonly timeline: number;
  readonly first: number;
  /** Undefined: as far as there are segments. */
  readonly last: number | undefined;
}

export function checkContinuity(input: ContinuityInput): Continuity {
  const { segments, histories, segmentSizeBytes } = input;
  const numbers = numbersByTimeline(segments, segmentSizeBytes);
  const known = [...new Set([...numbers.keys(), ...histories.keys()])].sort((one, other) => one - other);
  const parents = new Set([...histories.values()].flatMap((ancestors) => ancestors.map(({ timeline }) => timeline)));
  const name = (timeline: number, number: number) => formatSegmentName({ timeline, number }, segmentSizeBytes);
  const gaps = new Map<string, MissingSegments>();
  let restorable: Continuity["restorable"];
  let leading: number | undefined;
  const goingOn = known.filter((one) => one === input.timeline);
  // What is restorable is told of the last one: that which is known to go on, else the newest.
  for (const timeline of [...known.filter((one) => !parents.has(one) && one !== input.timeline), ...goingOn]) {
    const walked = walk(stretches(timeline, histories.get(timeline) ?? [], segmentSizeBytes), numbers);
    for (const gap of walked.gaps) {
      const first = name(gap.timeline, gap.first);
      const last = name(gap.timeline, gap.last);
      gaps.set(`${first} ${last}`, { timeline: gap.timeline, first, last, count: gap.last - gap.first + 1 });
    }
    if (walked.run === undefined) continue;
    leading = timeline;
    restorable = {
      oldestLsn: segmentStart(walked.run.first, segmentSizeBytes),
      newestLsn: segmentEnd(walked.run.last, segmentSizeBytes),
    };
  }
  return {
    timelines: known.flatMap((timeline) => {
      const sorted = numbers.get(timeline) ?? [];
      const [first, last] = [sorted[0], sorted.at(-1)];
      if (first === undefined || last === undefined) return [];
      return [{ timeline, first: name(timeline, first), last: name(timeline, last), count: sorted.length }];
    }),
    gaps: [...gaps.values()].sort((one, other) => (one.first < other.first ? -1 : 1)),
    missingHistories: known.filter((one) => one > 1 && !histories.has(one)).map(historyFileName),
    leading,
    restorable,
  };
}

/** Whether the way to the end of a timeline leads through a position of a timeline. @param ancestors Its history. */
export function leadsThrough(
  ancestors: readonly Ancestor[],
  timeline: number,
  position: { readonly timeline: number; readonly lsn: bigint },
): boolean {
  if (position.timeline === timeline) return true;
  return ancestors.some((ancestor) => ancestor.timeline === position.timeline && position.lsn <= ancestor.endLsn);
}

function numbersByTimeline(names: Iterable<string>, segmentSizeBytes: number): Map<number, number[]> {
  const sets = new Map<number, Set<number>>();
  for (const name of names) {
    const segment = parseSegmentName(name, segmentSizeBytes);
    if (segment === undefined) continue;
    const set = sets.get(segment.timeline) ?? new Set();
    sets.set(segment.timeline, set.add(segment.number));
  }
  return new Map([...sets].map(([timeline, set]) => [timeline, [...set].sort((one, other) => one - other)]));
}

/** A new timeline has the segment in which it begins for itself, with a copy of what is older in it. */
function stretches(timeline: number, ancestors: readonly Ancestor[], segmentSizeBytes: number): Stretch[] {
  let first = 0;
  const way = ancestors.map((ancestor): Stretch => {
    const next = segmentAt(ancestor.endLsn, segmentSizeBytes);
    const stretch = { timeline: ancestor.timeline, first, last: next - 1 };
    first = next;
    return stretch;
  });
  return [...way, { timeline, first, last: undefined }];
}

interface Walked {
  readonly gaps: readonly { readonly timeline: number; readonly first: number; readonly last: number }[];
  /** The last run without a gap. */
  readonly run: { readonly first: number; readonly last: number } | undefined;
}

/** What is older than the oldest segment was never there, or is no longer needed: that is no gap. */
function walk(way: readonly Stretch[], numbers: ReadonlyMap<number, readonly number[]>): Walked {
  const gaps: { timeline: number; first: number; last: number }[] = [];
  let run: { first: number; last: number } | undefined;
  /** Ends of the stretches between, of which there is no segment. */
  let skipped: { timeline: number; first: number; last: number }[] = [];
  for (const { timeline, first, last } of way) {
    const inside = (numbers.get(timeline) ?? []).filter((one) => one >= first && (last === undefined || one <= last));
    let expected = first;
    for (const number of inside) {
      if (run !== undefined && (number !== expected || skipped.length > 0)) {
        gaps.push(...skipped);
        if (number !== expected) gaps.push({ timeline, first: expected, last: number - 1 });
        run = undefined;
      }
      skipped = [];
      run = { first: run?.first ?? number, last: number };
      expected = number + 1;
    }
    if (run !== undefined && last !== undefined && expected <= last) skipped.push({ timeline, first: expected, last });
  }
  return { gaps, run };
}
