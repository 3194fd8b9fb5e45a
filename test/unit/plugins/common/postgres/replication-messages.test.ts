import { expect, test } from "bun:test";
import fc from "fast-check";
import { maxLsn } from "../../../../../plugins/common/postgres/lsn.ts";
import {
  decodeServerMessage,
  encodeStandbyStatus,
} from "../../../../../plugins/common/postgres/replication-messages.ts";

const lsn = fc.bigInt(0n, maxLsn);
/** Microseconds from 1970 to 2000, and a clock's as an int64 from there. */
const epoch = BigInt(Date.UTC(2000, 0, 1)) * 1000n;
const time = fc.bigInt(-(2n ** 63n), 2n ** 63n - 1n);

const head = (code: string, ...numbers: bigint[]) => {
  const bytes = Buffer.alloc(1 + 8 * numbers.length, code);
  for (const [index, number] of numbers.entries()) bytes.writeBigUInt64BE(BigInt.asUintN(64, number), 1 + 8 * index);
  return bytes;
};

test("WAL is read with its position, the server's end and clock, and without a copy", () => {
  fc.assert(
    fc.property(lsn, lsn, time, fc.uint8Array({ maxLength: 300 }), (start, serverEnd, sent, wal) => {
      const payload = Buffer.concat([head("w", start, serverEnd, sent), wal]);
      const message = decodeServerMessage(payload);
      expect(message).toEqual({ kind: "wal", start, serverEnd, sentAt: sent + epoch, data: Buffer.from(wal) });
      if (message.kind === "wal") expect(message.data.buffer).toBe(payload.buffer);
    }),
  );
});

test("a keepalive says whether it wants an answer", () => {
  fc.assert(
    fc.property(lsn, time, fc.boolean(), (serverEnd, sent, replyRequested) => {
      const payload = Buffer.concat([head("k", serverEnd, sent), Buffer.of(replyRequested ? 1 : 0)]);
      expect(decodeServerMessage(payload)).toEqual({
        kind: "keepalive",
        serverEnd,
        sentAt: sent + epoch,
        replyRequested,
      });
    }),
  );
});

test("a message of another kind, or one cut short, is refused", () => {
  const messages = [head("w", 1n, 2n, 3n), Buffer.concat([head("k", 1n, 2n), Buffer.of(1)])];
  for (const message of messages) {
    for (let length = 0; length < message.length; length++) {
      expect(() => decodeServerMessage(message.subarray(0, length))).toThrow(
        "Cannot read a message of the replication",
      );
    }
  }
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 1 }), (bytes) => {
      fc.pre(bytes[0] !== 0x77 && bytes[0] !== 0x6b);
      expect(() => decodeServerMessage(Buffer.from(bytes))).toThrow(SyntaxError);
    }),
  );
});

test("a status has 34 bytes, in which every number stands where the server reads it", () => {
  fc.assert(
    fc.property(lsn, lsn, lsn, time, fc.boolean(), (written, flushed, applied, since2000, replyRequested) => {
      const bytes = encodeStandbyStatus({ written, flushed, applied, clock: since2000 + epoch, replyRequested });
      const expected = Buffer.concat([
        head("r", written, flushed, applied, since2000),
        Buffer.of(replyRequested ? 1 : 0),
      ]);
      expect(bytes.equals(expected)).toBe(true);
      expect(bytes.length).toBe(34);
    }),
  );
});
