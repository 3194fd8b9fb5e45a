/** When WAL segments arrived in the storage. Source: `wal-g st ls wal_005` and `wal-g st stat wal_005/SEGMENT.EXT`. */
import { timelineOfSegmentName } from "../common/postgres/wal-segments.ts";
import { parseGoTime } from "./timestamp.ts";

/** A segment in the storage; `uploadedAt` in Unix seconds, `extension` as `.lz4` or empty. */
export interface StoredSegment {
  readonly segment: string;
  readonly uploadedAt: number;
  readonly extension: string;
}

/** `obj 1048 2026-01-02 11:55:00.5 +0000 UTC 000000010000000000000002.lz4`, perhaps with versions behind it. */
const row = /^obj +\d+ +(\S+ \S+ [+-]\d{4} \S+) +(?:\S*\/)?([0-9A-F]{24})(\.(?:lz4|lzma|zst|br|lzo|gz))?(?: |$)/;

/**
 * The newest segment of each timeline. Rows that are no segments (history files, partial segments, folders) are passed over.
 * Source: wal-g, internal/storagetools/folder_list_handler.go.
 */
export function parseStoredSegments(output: string): Map<number, StoredSegment> {
  const newest = new Map<number, StoredSegment>();
  for (let from = 0; from < output.length; ) {
    const lineEnd = output.indexOf("\n", from);
    const end = lineEnd === -1 ? output.length : lineEnd;
    const match = row.exec(output.slice(from, end));
    from = end + 1;
    const [, time = "", segment = "", extension = ""] = match ?? [];
    const timeline = timelineOfSegmentName(segment);
    const uploadedAt = parseGoTime(time);
    if (timeline === undefined || uploadedAt === undefined) continue;
    const best = newest.get(timeline);
    if (!best || best.segment <= segment) newest.set(timeline, { segment, uploadedAt, extension });
  }
  return newest;
}
