/** When the newest WAL of each timeline arrived, asked of the storage as cheaply as it can be. */
import type { Environment } from "../common/postgres/conninfo.ts";
import { timelineOfSegmentName } from "../common/postgres/wal-segments.ts";
import { type Asking, type Caller, findSegment, listSegments } from "./commands.ts";
import type { StoredTimeline } from "./timelines.ts";
import type { Verification } from "./verification.ts";
import type { StoredSegment } from "./wal-files.ts";

export type Arrivals = ReadonlyMap<number, StoredSegment>;

/** More questions than this cost more than one listing. */
const mostQuestions = 3;

/** Source: wal-g, internal/compression; lz4 is its default. */
const extensions: Readonly<Record<string, string>> = {
  brotli: ".br",
  lz4: ".lz4",
  lzma: ".lzma",
  none: "",
  zstd: ".zst",
};

/** The newest segment of each timeline, by what wal-show and wal-verify found last. */
export function newestSegments(
  timelines: readonly StoredTimeline[] | undefined,
  verification: Verification | undefined,
): string[] {
  const newest = new Map<number, string>();
  const found = [
    ...(verification?.ranges ?? []).filter(({ status }) => status === "FOUND"),
    // A file of timeline 0 is no segment.
    ...(timelines ?? []).filter(({ id }) => id > 0),
  ];
  for (const { endSegment } of found) {
    const timeline = timelineOfSegmentName(endSegment ?? "");
    if (endSegment && timeline && endSegment > (newest.get(timeline) ?? "")) newest.set(timeline, endSegment);
  }
  return [...newest.values()];
}

/**
 * One `st stat` a timeline that went on; where that gives no answer, or would be too many, one `st ls` of all WAL.
 * @param segments The newest ones, names without extension; none: not known yet.
 * @param known The answer before, of which what still holds is not asked again.
 * @throws {RunError} No answer.
 */
export async function askArrivals(
  caller: Caller,
  asking: Asking,
  segments: readonly string[],
  known: Arrivals | undefined,
): Promise<Arrivals> {
  const stored = [...(known?.values() ?? [])];
  const extension = stored[0]?.extension ?? defaultExtension(caller.environment);
  const before = new Map(stored.map((segment) => [segment.segment, segment]));
  const unknown = segments.filter((segment) => !before.has(segment));
  if (segments.length === 0 || unknown.length > mostQuestions) return listSegments(caller, asking);
  const arrivals = new Map<number, StoredSegment>();
  for (const segment of segments) {
    const found = before.get(segment) ?? (await findSegment(caller, asking, `${segment}${extension}`));
    if (!found) return listSegments(caller, asking);
    arrivals.set(timelineOfSegmentName(segment) ?? 0, found);
  }
  return arrivals;
}

function defaultExtension({ WALG_COMPRESSION_METHOD: method = "lz4" }: Environment): string {
  return extensions[method] ?? `.${method}`;
}
