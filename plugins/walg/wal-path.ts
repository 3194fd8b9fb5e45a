/**
 * The WAL that a recovery to the server's present would read: the current timeline, and of each ancestor what came
 * before the switch. Segments are counted by number; ends are included.
 */
import { parseSegmentName, segmentAt, segmentEnd } from "../common/postgres/wal-segments.ts";
import { runNumbers, type StoredTimeline } from "./timelines.ts";
import type { Verification } from "./verification.ts";

interface Range {
  readonly first: number;
  readonly last: number;
}

/** What the path needs of one timeline. */
interface Portion extends Range {
  readonly timeline: number;
  /** Where the next timeline took over; undefined where that is not known or has not happened. */
  readonly endLsn: bigint | undefined;
}

export interface WalPath {
  /** The timeline at the path's end. */
  readonly timeline: number;
  /** Newest first; the first goes on for ever. */
  readonly portions: readonly Portion[];
  /** Archived segments, oldest first, apart from each other. */
  readonly archived: readonly Range[];
  readonly segmentSizeBytes: number;
  /** Its oldest timeline left one that is not listed. */
  readonly isCut?: boolean;
}

/** The newest segment that can be counted on: everything since the newest backup is archived up to it. */
export interface ArchiveEnd {
  readonly timeline: number;
  readonly segment: number;
  /** The position up to which WAL is archived. */
  readonly lsn: bigint;
  /** Whether no newer segment is archived, behind a hole. */
  readonly isNewest: boolean;
}

/**
 * The path to a timeline through wal-show's listing.
 * @param current The server's timeline; undefined: the highest in the storage. Nothing archived on it yet: the path
 *   ends with the highest one below it. Undefined result: nothing archived at all, or a listing without segments.
 */
export function pathThroughTimelines(
  timelines: readonly StoredTimeline[],
  current: number | undefined,
  segmentSizeBytes: number,
): WalPath | undefined {
  const known = new Map(timelines.map((timeline) => [timeline.id, timeline]));
  let head = -1;
  for (const { id } of timelines) if (id > head && id <= (current ?? id)) head = id;
  const portions: Portion[] = [];
  const archived: Range[] = [];
  let bound: Pick<Portion, "last" | "endLsn"> = { last: Number.POSITIVE_INFINITY, endLsn: undefined };
  const visited = new Set<number>();
  let timeline = known.get(head);
  let isCut = false;
  while (timeline && !visited.has(timeline.id)) {
    visited.add(timeline.id);
    const start = timeline.startSegment && parseSegmentName(timeline.startSegment, segmentSizeBytes);
    const end = timeline.endSegment && parseSegmentName(timeline.endSegment, segmentSizeBytes);
    if (!start || !end) break;
    const { switchLsn } = timeline;
    // The segment with the switch is read from the new timeline, which begins with a copy of it.
    const first = switchLsn === undefined ? start.number : segmentAt(switchLsn, segmentSizeBytes);
    portions.push({ timeline: timeline.id, first: switchLsn === undefined ? 0 : first, ...bound });
    const range = { first: Math.max(start.number, first), last: Math.min(end.number, bound.last) };
    archived.push(
      ...without(
        range,
        timeline.missing.map((run) => runNumbers(run, segmentSizeBytes)),
      ),
    );
    bound = { last: first - 1, endLsn: switchLsn };
    const parent = switchLsn === undefined ? undefined : timeline.parent;
    isCut = parent !== undefined && !known.has(parent);
    timeline = parent === undefined ? undefined : known.get(parent);
  }
  const path = finishPath(portions, archived, segmentSizeBytes);
  return path && { ...path, isCut };
}

/** The path as wal-verify walked it, from the oldest backup that is not permanent; undefined when it told nothing. */
export function pathThroughVerification({ ranges }: Verification, segmentSizeBytes: number): WalPath | undefined {
  const portions: Portion[] = [];
  const archived: Range[] = [];
  for (const { timeline, startSegment, endSegment, status } of ranges) {
    const start = startSegment && parseSegmentName(startSegment, segmentSizeBytes);
    const end = endSegment && parseSegmentName(endSegment, segmentSizeBytes);
    if (!start || !end) return undefined;
    if (status === "FOUND") archived.push({ first: start.number, last: end.number });
    const newer = portions[0];
    if (newer?.timeline === timeline) portions[0] = { ...newer, last: end.number };
    else portions.unshift({ timeline, first: start.number, last: end.number, endLsn: undefined });
  }
  const [newest, ...older] = portions;
  return newest && finishPath([{ ...newest, last: Number.POSITIVE_INFINITY }, ...older], archived, segmentSizeBytes);
}

function finishPath(
  portions: readonly Portion[],
  archived: readonly Range[],
  segmentSizeBytes: number,
): WalPath | undefined {
  const timeline = portions[0]?.timeline;
  if (timeline === undefined || archived.length === 0) return undefined;
  const joined: Range[] = [];
  for (const range of archived.toSorted((a, b) => a.first - b.first)) {
    const before = joined.at(-1);
    if (before && range.first <= before.last + 1)
      joined[joined.length - 1] = { first: before.first, last: Math.max(before.last, range.last) };
    else joined.push(range);
  }
  return { timeline, portions, archived: joined, segmentSizeBytes };
}

/**
 * wal-g uploads several segments at a time, and some overtake others: where wal-verify saw one still on its way, the archive ends
 * for now, and has no hole.
 */
export function withoutUploads(path: WalPath, { ranges }: Verification): WalPath {
  const onItsWay = ranges.find(
    ({ timeline, status }) => timeline === path.timeline && /^MISSING_(?:UPLOADING|DELAYED)$/.test(status),
  );
  const missing = parseSegmentName(onItsWay?.startSegment ?? "", path.segmentSizeBytes)?.number;
  const end = path.archived.findIndex(({ last }) => missing !== undefined && last + 1 >= missing);
  return end === -1 ? path : { ...path, archived: path.archived.slice(0, end + 1) };
}

/** What is left of a range when holes are taken out. */
function without({ first, last }: Range, holes: readonly Range[]): Range[] {
  const left: Range[] = [];
  let from = first;
  for (const hole of holes.toSorted((a, b) => a.first - b.first)) {
    if (hole.last < from || hole.first > last) continue;
    if (hole.first > from) left.push({ first: from, last: hole.first - 1 });
    from = Math.max(from, hole.last + 1);
  }
  if (from <= last) left.push({ first: from, last });
  return left;
}

/** How many segments from one to another are not archived. */
export function missingBetween({ archived }: WalPath, first: number, last: number): number {
  let missing = Math.max(0, last - first + 1);
  for (const range of archived) missing -= Math.max(0, Math.min(last, range.last) - Math.max(first, range.first) + 1);
  return missing;
}

/**
 * Whether WAL of a timeline lies on the path.
 * @param segment The first one.
 * @param endLsn Where it ends; undefined: not known. Behind the switch a timeline went on by itself, for nobody.
 */
export function isOnPath(
  { portions }: WalPath,
  { timeline, segment, endLsn }: { timeline: number; segment: number; endLsn: bigint | undefined },
): boolean {
  return portions.some((portion) => {
    if (portion.timeline !== timeline || segment < portion.first) return false;
    return endLsn === undefined || portion.endLsn === undefined ? segment <= portion.last : endLsn <= portion.endLsn;
  });
}

/**
 * The newest archived segment; with a hole behind `since`, the last before that hole.
 * @param since The segment in which the newest backup began.
 */
export function archiveEnd(path: WalPath, since: number | undefined): ArchiveEnd | undefined {
  const newest = path.archived.at(-1);
  if (!newest) return undefined;
  const holding =
    since === undefined ? undefined : path.archived.find(({ first, last }) => first <= since && since <= last);
  const { last } = holding ?? newest;
  const portion =
    path.portions.find((candidate) => last >= candidate.first && last <= candidate.last) ?? path.portions[0];
  const end = segmentEnd(last, path.segmentSizeBytes);
  const lsn = portion?.endLsn !== undefined && portion.endLsn < end ? portion.endLsn : end;
  return { timeline: portion?.timeline ?? path.timeline, segment: last, lsn, isNewest: last === newest.last };
}
