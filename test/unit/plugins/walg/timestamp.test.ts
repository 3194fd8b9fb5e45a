import { expect, test } from "bun:test";
import { parseGoTime, parseTimestamp, secondsBetween } from "../../../../plugins/walg/timestamp.ts";

test.each([
  ["2025-11-01T02:20:01Z", 1_761_963_601],
  ["2025-12-29T02:00:17.73Z", 1_766_973_617.73],
  ["2025-01-10T12:00:00.123456789+03:00", 1_736_499_600.123],
  ["2026-01-02T02:01:00.999999999Z", 1_767_319_260.999],
  ["2024-02-29T00:00:00-05:30", 1_709_184_600],
  ["1969-12-31T23:59:58.5Z", -1.5],
])("%s is %d", (text, seconds) => {
  expect(parseTimestamp(text)).toBe(seconds);
});

test("a moment before 1970 floors down", () => {
  expect(Math.floor(parseTimestamp("1969-12-31T23:59:58.5Z") ?? 0)).toBe(-2);
});

test.each([
  "0001-01-01T00:00:00Z",
  "2025-02-29T00:00:00Z",
  "2025-13-01T00:00:00Z",
  "2025-01-01T24:00:00Z",
  "2025-01-01T00:00:60Z",
  "2025-01-01 00:00:00Z",
  "2025-01-01T00:00:00",
  "2025-01-01T00:00:00.Z",
  "2025-01-01T00:00:00.1234567890Z",
  "",
  "now",
  5,
  null,
  undefined,
])("%j is unknown", (text) => {
  expect(parseTimestamp(text)).toBeUndefined();
});

test.each([
  ["2026-01-02 11:55:00.5 +0000 UTC", 1_767_354_900.5],
  ["2026-01-02 14:55:00 +0300 MSK", 1_767_354_900],
  ["0001-01-01 00:00:00 +0000 UTC", undefined],
  ["yesterday", undefined],
])("a listing's %j is %p", (text, seconds) => {
  expect(parseGoTime(text)).toBe(seconds);
});

test("a difference has no noise of floats", () => {
  expect(secondsBetween(1_767_233_431.204, 1_767_355_200)).toBe(121_768.796);
});
