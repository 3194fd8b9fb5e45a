/**
 * What walsender and receiver say to each other inside CopyData.
 * Source: PostgreSQL documentation, "Streaming Replication Protocol", section 55.4 of version 15.
 */

/** Where the WAL begins in an XLogData payload: the byte 'w' and three int64 stand before it. */
export const walDataOffset = 25;

const keepaliveLength = 18;
const statusLength = 34;

/** Microseconds from the Unix epoch to PostgreSQL's, the beginning of 2000 in UTC. */
const epochMicroseconds = 946_684_800_000_000n;

/** WAL as it stands in segments; it may go across the end of one. */
export interface XLogData {
  readonly kind: "wal";
  /** Position of the first byte of `data`. */
  readonly start: bigint;
  /** End of the WAL that the server has (a standby: has replayed). */
  readonly serverEnd: bigint;
  /** The server's clock, in microseconds since the Unix epoch. */
  readonly sentAt: bigint;
  /** A view of the payload. */
  readonly data: Buffer;
}

export interface Keepalive {
  readonly kind: "keepalive";
  readonly serverEnd: bigint;
  /** The server's clock, in microseconds since the Unix epoch. */
  readonly sentAt: bigint;
  /** The server wants a status at once. */
  readonly replyRequested: boolean;
}

/**
 * Reads the payload of a CopyData message of the server.
 * @throws {SyntaxError} It is neither XLogData nor a keepalive, or is cut short.
 */
export function decodeServerMessage(payload: Buffer): XLogData | Keepalive {
  const code = payload[0];
  if (code === 0x77 && payload.length >= walDataOffset) {
    return {
      kind: "wal",
      start: payload.readBigUInt64BE(1),
      serverEnd: payload.readBigUInt64BE(9),
      sentAt: payload.readBigInt64BE(17) + epochMicroseconds,
      data: payload.subarray(walDataOffset),
    };
  }
  if (code === 0x6b && payload.length === keepaliveLength) {
    return {
      kind: "keepalive",
      serverEnd: payload.readBigUInt64BE(1),
      sentAt: payload.readBigInt64BE(9) + epochMicroseconds,
      replyRequested: payload[17] !== 0,
    };
  }
  const found =
    code === undefined ? "nothing" : `${payload.length} bytes that begin with 0x${payload.toString("hex", 0, 1)}`;
  throw new SyntaxError(`Cannot read a message of the replication stream: found ${found}`);
}

export interface StandbyStatus {
  /** Positions behind the last byte that was written, flushed and applied; 0 for "not told". */
  readonly written: bigint;
  readonly flushed: bigint;
  readonly applied: bigint;
  /** Our clock, in microseconds since the Unix epoch. */
  readonly clock: bigint;
  /** Asks the server for a keepalive at once. */
  readonly replyRequested?: boolean;
}

/** The payload of a CopyData message that tells the server how far we are. */
export function encodeStandbyStatus({ written, flushed, applied, clock, replyRequested }: StandbyStatus): Buffer {
  const payload = Buffer.alloc(statusLength);
  payload[0] = 0x72;
  payload.writeBigUInt64BE(written, 1);
  payload.writeBigUInt64BE(flushed, 9);
  payload.writeBigUInt64BE(applied, 17);
  payload.writeBigInt64BE(clock - epochMicroseconds, 25);
  payload[33] = replyRequested ? 1 : 0;
  return payload;
}
