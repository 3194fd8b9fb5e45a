import { expect, test } from "bun:test";
import fc from "fast-check";
import { parseSegmentHeader, segmentHeaderBytes } from "../../../../../plugins/common/postgres/segment-header.ts";

const mib = 2 ** 20;

// The first bytes of segments of 1 MiB, behind a promotion; `pg_control_system()` told the system identifiers.
test.each([
  [
    "15.18",
    "10d1060001000000000080000000000000000000000000008c98a321668a016b0000100000200000",
    1,
    0x800000n,
    "7710596208290666636",
  ],
  [
    "15.18",
    "10d1060002000000000090000000000000000000000000008c98a321668a016b0000100000200000",
    2,
    0x900000n,
    "7710596208290666636",
  ],
  [
    "15.18",
    "10d10700010000000000600000000000d9000000000000008c98a321668a016b0000100000200000",
    1,
    0x600000n,
    "7710596208290666636",
  ],
  [
    "18",
    "18d10600010000000000a000000000000000000000000000514976956a8a016b0000100000200000",
    1,
    0xa00000n,
    "7710596227413723473",
  ],
  [
    "18",
    "18d10600020000000000b000000000000000000000000000514976956a8a016b0000100000200000",
    2,
    0xb00000n,
    "7710596227413723473",
  ],
] as const)("the header that PostgreSQL %s wrote: %s", (_, hex, timeline, startLsn, systemIdentifier) => {
  expect(parseSegmentHeader(Buffer.from(hex, "hex"))).toEqual({
    timeline,
    startLsn,
    systemIdentifier,
    segmentSizeBytes: mib,
  });
});

const anyHeader = fc.record({
  magic: fc.integer({ min: 0xd100, max: 0xd1ff }),
  flags: fc.nat(0xffff).map((flags) => flags | 2),
  timeline: fc.nat(0xffffffff),
  startLsn: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
  systemIdentifier: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
  segmentSizeBytes: fc.nat(10).map((power) => mib * 2 ** power),
  littleEndian: fc.boolean(),
  offset: fc.nat(9),
});

test("every header is read, in the byte order of its server, wherever it stands in memory", () => {
  fc.assert(
    fc.property(anyHeader, ({ magic, flags, littleEndian, offset, ...header }) => {
      const memory = new Uint8Array(offset + segmentHeaderBytes + 3);
      const view = new DataView(memory.buffer, offset);
      view.setUint16(0, magic, littleEndian);
      view.setUint16(2, flags, littleEndian);
      view.setUint32(4, header.timeline, littleEndian);
      view.setBigUint64(8, header.startLsn, littleEndian);
      view.setBigUint64(24, header.systemIdentifier, littleEndian);
      view.setUint32(32, header.segmentSizeBytes, littleEndian);
      view.setUint32(36, 8192, littleEndian);
      expect(parseSegmentHeader(memory.subarray(offset))).toEqual({
        ...header,
        systemIdentifier: header.systemIdentifier.toString(),
      });
      expect(parseSegmentHeader(memory.subarray(offset, offset + segmentHeaderBytes - 1))).toBeUndefined();
    }),
  );
});

test.each([
  ["zeros", Buffer.alloc(40)],
  ["text", Buffer.from("This is a text of more than forty bytes, and no WAL")],
  ["a page that is not a segment's first", Buffer.from(`10d10400${"00".repeat(28)}0000100000200000`, "hex")],
  ["a segment size that no server has", Buffer.from(`10d10600${"00".repeat(28)}0100100000200000`, "hex")],
])("%s is no header", (_, bytes) => {
  expect(parseSegmentHeader(bytes)).toBeUndefined();
});

test("no bytes make it throw", () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => void parseSegmentHeader(bytes)));
});
