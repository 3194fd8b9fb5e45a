/** WAL-G's check of the archive against the running server. Source: `wal-g wal-verify integrity timeline --json`. */
import { isSegmentName } from "../common/postgres/wal-segments.ts";
import { isObject, type JsonObject, readCount, readDocument, readText } from "./document.ts";

/** A check's verdict; `unknown` is any other word, or none. */
export type Verdict = "OK" | "WARNING" | "FAILURE" | "unknown";

/** Segments that follow each other in one timeline and have one status; ends are included. */
export interface VerifiedRange {
  readonly timeline: number;
  readonly startSegment: string | undefined;
  readonly endSegment: string | undefined;
  readonly segments: number;
  /** `FOUND`, `MISSING_UPLOADING`, `MISSING_DELAYED`, `MISSING_LOST`. */
  readonly status: string;
}

export interface Verification {
  readonly integrity: Verdict;
  readonly timeline: Verdict;
  /** From the oldest backup that is not permanent to the segment before the server's current one, oldest first. */
  readonly ranges: readonly VerifiedRange[];
  readonly currentTimeline: number | undefined;
  readonly highestStoredTimeline: number | undefined;
}

/**
 * The verdicts in wal-g's answer. wal-g exits with 0 whatever they are.
 * @throws {SyntaxError} Not such an answer, or the other form that wal-g 0.2.18 and 0.2.19 had.
 * Source: wal-g, internal/databases/postgres/wal_verify_handler.go and integrity_check_runner.go, 0.2.20 to 3.0.
 */
export function parseVerification(output: string): Verification {
  const { integrity, timeline } = readDocument(output, isAnswer);
  const timelineDetails = isObject(timeline) && isObject(timeline.details) ? timeline.details : {};
  const details = isObject(integrity) ? integrity.details : undefined;
  return {
    integrity: readVerdict(integrity),
    timeline: readVerdict(timeline),
    ranges: Array.isArray(details) ? details.flatMap(readRange) : [],
    currentTimeline: readCount(timelineDetails.current_timeline_id) || undefined,
    highestStoredTimeline: readCount(timelineDetails.highest_storage_timeline_id) || undefined,
  };
}

const isAnswer = (value: unknown): value is JsonObject =>
  isObject(value) && (isObject(value.integrity) || isObject(value.timeline));

function readVerdict(check: unknown): Verdict {
  const status = isObject(check) ? check.status : undefined;
  return status === "OK" || status === "WARNING" || status === "FAILURE" ? status : "unknown";
}

function readRange(detail: unknown): VerifiedRange[] {
  if (!isObject(detail)) return [];
  const timeline = readCount(detail.timeline_id);
  if (timeline === undefined) return [];
  const segment = (value: unknown) => (typeof value === "string" && isSegmentName(value) ? value : undefined);
  return [
    {
      timeline,
      startSegment: segment(detail.start_segment),
      endSegment: segment(detail.end_segment),
      segments: readCount(detail.segments_count) ?? 0,
      status: readText(detail.status) ?? "unknown",
    },
  ];
}
