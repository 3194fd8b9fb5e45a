/** A segment with a sound first page and nothing of meaning behind it. */

export interface WalSegmentOptions {
  /** Of the segment, counted from the beginning of the WAL. */
  readonly number: number;
  readonly timeline?: number;
  readonly systemIdentifier?: bigint;
  readonly sizeBytes?: number;
  /** What the rest is filled with. */
  readonly fill?: number;
}

/** Source: PostgreSQL, src/include/access/xlog_internal.h, XLogLongPageHeaderData. */
export function walSegment({
  number,
  timeline = 1,
  systemIdentifier = 7_331n,
  sizeBytes = 2 ** 20,
  fill = 0xab,
}: WalSegmentOptions): Buffer<ArrayBuffer> {
  const bytes = Buffer.alloc(sizeBytes, fill);
  bytes.fill(0, 0, 40);
  bytes.writeUInt16LE(0xd110, 0);
  bytes.writeUInt16LE(0x0002, 2);
  bytes.writeUInt32LE(timeline, 4);
  bytes.writeBigUInt64LE(BigInt(number) * BigInt(sizeBytes), 8);
  bytes.writeBigUInt64LE(systemIdentifier, 24);
  bytes.writeUInt32LE(sizeBytes, 32);
  bytes.writeUInt32LE(8192, 36);
  return bytes;
}
