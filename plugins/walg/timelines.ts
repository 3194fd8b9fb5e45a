/** Timelines in a WAL-G storage. Source: `wal-g wal-show --detailed-json`. */
import { isSegmentName, segmentsPerLog } from "../common/postgres/wal-segments.ts";
import { isObject, type JsonObject, readCount, readDocument, readText } from "./document.ts";

/** Segments that follow each other in one log: `log` is the middle part of their names. Ends are included. */
export interface SegmentRun {
  readonly log: number;
  readonly first: number;
  readonly last: number;
}

export interface StoredTimeline {
  readonly id: number;
  /** Undefined when the storage has no history file, and for the first timeline. */
  readonly parent: number | undefined;
  /** Where this timeline began. */
  readonly switchLsn: bigint | undefined;
  /** Names of the oldest and the newest segment. Absent in the answer of a mock. */
  readonly startSegment: string | undefined;
  readonly endSegment: string | undefined;
  readonly missing: readonly SegmentRun[];
  /** wal-g's own verdict: nothing is missing between the oldest and the newest segment. */
  readonly whole: boolean;
}

/**
 * The timelines in wal-g's answer, in its order. Millions of missing segments become a few runs before the rest is read.
 * Besides wal-g's array of timelines, the object that the exporter's README shows is understood: of it only the verdicts.
 * @throws {SyntaxError} Not an answer of wal-show.
 * Source: wal-g, TimelineInfo in internal/databases/postgres/wal_show_handler.go, 0.2.18 to 3.0.
 */
export function parseTimelines(output: string): StoredTimeline[] {
  const { text, missing } = takeMissingSegments(output);
  const document = readDocument(text, isAnswer);
  if (!Array.isArray(document)) return readVerdicts((document.integrity as JsonObject).details);
  return document.flatMap((record) => {
    const timeline = isObject(record) ? readTimeline(record, missing) : undefined;
    return timeline ? [timeline] : [];
  });
}

const isAnswer = (value: unknown): value is unknown[] | JsonObject =>
  Array.isArray(value)
    ? value.length === 0 || value.some((record) => isObject(record) && readCount(record.id) !== undefined)
    : isObject(value) && isObject(value.integrity);

function readTimeline(record: JsonObject, missing: readonly (readonly SegmentRun[])[]): StoredTimeline | undefined {
  const id = readCount(record.id);
  if (id === undefined) return undefined;
  const segment = (value: unknown) => (typeof value === "string" && isSegmentName(value) ? value : undefined);
  const switchLsn = record.switch_point_lsn;
  const digits = typeof switchLsn === "number" || typeof switchLsn === "string" ? String(switchLsn) : "";
  return {
    id,
    parent: readCount(record.parent_id) || undefined,
    switchLsn: /^[1-9]\d*$/.test(digits) ? BigInt(digits) : undefined,
    startSegment: segment(record.start_segment),
    endSegment: segment(record.end_segment),
    missing: missing[readCount(record.missing_segments) ?? -1] ?? [],
    whole: record.status === "OK",
  };
}

/** A timeline is as whole as the worst of its ranges. */
function readVerdicts(details: unknown): StoredTimeline[] {
  const whole = new Map<number, boolean>();
  for (const detail of Array.isArray(details) ? details : []) {
    const id = isObject(detail) ? readCount(detail.timeline_id) : undefined;
    if (id === undefined) continue;
    const found = readText(detail.status) === "FOUND";
    whole.set(id, (whole.get(id) ?? true) && found);
  }
  return [...whole].map(([id, isWhole]) => ({
    id,
    whole: isWhole,
    parent: undefined,
    switchLsn: undefined,
    startSegment: undefined,
    endSegment: undefined,
    missing: [],
  }));
}

/** Cuts each list of missing segments out of the text: in its place stands its index in `missing`. */
function takeMissingSegments(output: string): { text: string; missing: SegmentRun[][] } {
  const key = /"missing_segments"\s*:\s*\[/g;
  const missing: SegmentRun[][] = [];
  let text = "";
  let from = 0;
  for (let match = key.exec(output); match; match = key.exec(output)) {
    const end = output.indexOf("]", key.lastIndex);
    if (end === -1) break;
    text += `${output.slice(from, key.lastIndex - 1)}${missing.length}`;
    missing.push(readRuns(output, key.lastIndex, end));
    from = end + 1;
    key.lastIndex = from;
  }
  return { text: text + output.slice(from), missing };
}

/** The quoted names between two places of a text, in either order, as runs. */
function readRuns(text: string, from: number, to: number): SegmentRun[] {
  const runs: { log: number; first: number; last: number }[] = [];
  let run: (typeof runs)[number] | undefined;
  for (let open = text.indexOf('"', from); open !== -1 && open < to; ) {
    const close = text.indexOf('"', open + 1);
    if (close === -1 || close > to) break;
    const name = text.slice(open + 1, close);
    open = text.indexOf('"', close + 1);
    if (!isSegmentName(name)) continue;
    const log = Number.parseInt(name.slice(8, 16), 16);
    const segment = Number.parseInt(name.slice(16), 16);
    if (run?.log === log && segment === run.first - 1) run.first = segment;
    else if (run?.log === log && segment === run.last + 1) run.last = segment;
    else {
      run = { log, first: segment, last: segment };
      runs.push(run);
    }
  }
  return runs;
}

/** Segment numbers, ends included, of a run. */
export function runNumbers(
  { log, first, last }: SegmentRun,
  segmentSizeBytes: number,
): { first: number; last: number } {
  const before = log * segmentsPerLog(segmentSizeBytes);
  return { first: before + first, last: before + last };
}
