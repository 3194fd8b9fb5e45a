/** The header of a segment's first page. Source: PostgreSQL, src/include/access/xlog_internal.h, XLogLongPageHeaderData. */
import { isSegmentSize } from "./wal-segments.ts";

/** How many bytes of a segment {@link parseSegmentHeader} needs. */
export const segmentHeaderBytes = 40;

export interface SegmentHeader {
  /** Of the page; a segment in which the timeline changed begins with pages of the one before. */
  readonly timeline: number;
  /** The position of the segment's first byte. */
  readonly startLsn: bigint;
  /** As `pg_controldata` and IDENTIFY_SYSTEM print it: a decimal number. */
  readonly systemIdentifier: string;
  readonly segmentSizeBytes: number;
}

/** `XLP_LONG_HEADER`: only the first page of a segment has this flag. */
const longHeader = 0x0002;

/** The header at the beginning of a segment; undefined when these bytes are none. Servers write it in their own byte order. */
export function parseSegmentHeader(bytes: Uint8Array): SegmentHeader | undefined {
  if (bytes.length < segmentHeaderBytes) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, segmentHeaderBytes);
  for (const littleEndian of [true, false]) {
    const isMagic = (view.getUint16(0, littleEndian) & 0xff00) === 0xd100;
    const isLong = (view.getUint16(2, littleEndian) & longHeader) !== 0;
    const segmentSizeBytes = view.getUint32(32, littleEndian);
    if (!isMagic || !isLong || !isSegmentSize(segmentSizeBytes)) continue;
    return {
      timeline: view.getUint32(4, littleEndian),
      startLsn: view.getBigUint64(8, littleEndian),
      systemIdentifier: view.getBigUint64(24, littleEndian).toString(),
      segmentSizeBytes,
    };
  }
  return undefined;
}
