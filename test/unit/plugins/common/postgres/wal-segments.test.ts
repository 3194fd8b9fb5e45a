import { expect, test } from "bun:test";
import fc from "fast-check";
import { parseLsn } from "../../../../../plugins/common/postgres/lsn.ts";
import {
  formatSegmentName,
  isSegmentSize,
  parseSegmentName,
  segmentAt,
  segmentBefore,
  segmentEnd,
  segmentStart,
  timelineOfSegmentName,
} from "../../../../../plugins/common/postgres/wal-segments.ts";

const mib = 2 ** 20;
const lsn = (text: string) => parseLsn(text) ?? -1n;

test.each([
  ["0/1A2B3C4D", 16, "00000001000000000000001A"],
  ["0/1A2B3C4D", 64, "000000010000000000000006"],
  ["1/0", 16, "000000010000000100000000"],
  ["385/30025B8", 16, "000000010000038500000003"],
])("the byte at %s lies, with segments of %d MiB, in %s", (position, size, name) => {
  const number = segmentAt(lsn(position), size * mib);
  expect(formatSegmentName({ timeline: 1, number }, size * mib)).toBe(name);
});

test("at a boundary the segment being written is still the one before", () => {
  const number = segmentBefore(lsn("1/0"), 16 * mib);
  expect(formatSegmentName({ timeline: 1, number }, 16 * mib)).toBe("0000000100000000000000FF");
  expect(segmentBefore(0n, 16 * mib)).toBe(0);
});

test("the last part of a name must fit the segment size", () => {
  expect(parseSegmentName("00000001000000000000003F", 64 * mib)).toEqual({ timeline: 1, number: 63 });
  expect(parseSegmentName("000000010000000000000040", 64 * mib)).toBeUndefined();
  expect(parseSegmentName("0000000100000000000000FF", 16 * mib)).toEqual({ timeline: 1, number: 255 });
  expect(parseSegmentName("000000010000000000000100", 16 * mib)).toBeUndefined();
});

test.each([
  "",
  "0000000100000000000000",
  "00000001000000000000000a",
  "000000010000000000000002.partial",
  "00000002.history",
])("%j names no segment", (name) => {
  expect(parseSegmentName(name, 16 * mib)).toBeUndefined();
  expect(timelineOfSegmentName(name)).toBeUndefined();
});

test("segment sizes are powers of two from 1 MiB to 1 GiB", () => {
  const right = Array.from({ length: 11 }, (_, power) => 2 ** power * mib);
  expect(right.every(isSegmentSize)).toBe(true);
  expect([0, mib / 2, 3 * mib, 2048 * mib, Number.NaN, -mib].some(isSegmentSize)).toBe(false);
});

const segmentSize = fc.integer({ min: 0, max: 10 }).map((power) => 2 ** power * mib);

test("a segment's name, number and bounds agree for every position and size", () => {
  fc.assert(
    fc.property(
      fc.bigInt(0n, 2n ** 64n - 1n),
      fc.integer({ min: 1, max: 0xffff_ffff }),
      segmentSize,
      (position, timeline, size) => {
        const number = segmentAt(position, size);
        expect(parseSegmentName(formatSegmentName({ timeline, number }, size), size)).toEqual({ timeline, number });
        expect(segmentStart(number, size) <= position && position < segmentEnd(number, size)).toBe(true);
      },
    ),
  );
});
