/**
 * WAL segments and the names of their files. A name is timeline, log and segment, eight hexadecimal digits each.
 * A segment's number counts from the beginning of the WAL, without the timeline; at 1 MiB a segment it stays below
 * 2^44, so that a plain number holds it exactly. Source: PostgreSQL, src/include/access/xlog_internal.h.
 */

export const defaultSegmentSizeBytes = 16 * 2 ** 20;
const smallestBytes = 2 ** 20;
const largestBytes = 2 ** 30;

/** Whether a server can be initialised with segments of this size: a power of two from 1 MiB to 1 GiB. */
export function isSegmentSize(bytes: number): boolean {
  return Number.isInteger(Math.log2(bytes)) && bytes >= smallestBytes && bytes <= largestBytes;
}

/** A segment of one timeline. */
export interface WalSegment {
  readonly timeline: number;
  readonly number: number;
}

const segmentName = /^[0-9A-F]{24}$/;

/** Whether a file of this name could be a whole segment: not `.partial`, `.history` or `.backup`. */
export function isSegmentName(name: string): boolean {
  return segmentName.test(name);
}

/** How many segments share the middle part of their name: 256 at 16 MiB. */
export function segmentsPerLog(segmentSizeBytes: number): number {
  return 2 ** 32 / segmentSizeBytes;
}

/** The segment of a file name; undefined when it is none, or none of this size (its last part is too high). */
export function parseSegmentName(name: string, segmentSizeBytes: number): WalSegment | undefined {
  if (!isSegmentName(name)) return undefined;
  const perLog = segmentsPerLog(segmentSizeBytes);
  const inLog = Number.parseInt(name.slice(16), 16);
  if (inLog >= perLog) return undefined;
  return {
    timeline: Number.parseInt(name.slice(0, 8), 16),
    number: Number.parseInt(name.slice(8, 16), 16) * perLog + inLog,
  };
}

/** The file name of a segment. */
export function formatSegmentName({ timeline, number }: WalSegment, segmentSizeBytes: number): string {
  const perLog = segmentsPerLog(segmentSizeBytes);
  return [timeline, Math.floor(number / perLog), number % perLog].map(hex8).join("").toUpperCase();
}

/** The timeline in a segment's file name, whatever the segment size; undefined when it is no such name. */
export function timelineOfSegmentName(name: string): number | undefined {
  return isSegmentName(name) ? Number.parseInt(name.slice(0, 8), 16) : undefined;
}

/** The number of the segment that holds the byte at this position. */
export function segmentAt(lsn: bigint, segmentSizeBytes: number): number {
  return Number(lsn / BigInt(segmentSizeBytes));
}

/** The number of the segment that holds the last byte before this position, as `pg_walfile_name` counts. */
export function segmentBefore(lsn: bigint, segmentSizeBytes: number): number {
  return lsn === 0n ? 0 : segmentAt(lsn - 1n, segmentSizeBytes);
}

/** The position of a segment's first byte. */
export function segmentStart(number: number, segmentSizeBytes: number): bigint {
  return BigInt(number) * BigInt(segmentSizeBytes);
}

/** The position behind a segment's last byte. */
export function segmentEnd(number: number, segmentSizeBytes: number): bigint {
  return segmentStart(number + 1, segmentSizeBytes);
}

function hex8(part: number): string {
  return part.toString(16).padStart(8, "0");
}
