import { expect, test } from "bun:test";
import { ReceiveRate, secondsUntilFull } from "../../../../plugins/pgrwl/receive-rate.ts";

function rateOf(...seen: [at: number, bytes: number][]): number | undefined {
  const rate = new ReceiveRate();
  for (const [at, bytes] of seen) rate.add(at, bytes);
  return rate.bytesPerSecond;
}

test("the rate is that of the last five minutes", () => {
  expect(rateOf()).toBeUndefined();
  expect(rateOf([100, 5])).toBeUndefined();
  expect(rateOf([100, 0], [110, 50])).toBe(5);
  expect(rateOf([0, 0], [100, 1_000_000], [400, 1_000_000], [700, 1_000_300])).toBe(1);
});

test("a clock that steps back, and counts that begin anew, make the past forgotten", () => {
  expect(rateOf([100, 0], [110, 50], [50, 60])).toBeUndefined();
  expect(rateOf([100, 0], [110, 50], [50, 60], [60, 80])).toBe(2);
  expect(rateOf([100, 1000], [110, 0], [120, 30])).toBe(3);
});

test("a disk fills up only where something comes", () => {
  expect(secondsUntilFull(1000, 10)).toBe(100);
  expect(secondsUntilFull(1000, 0)).toBeUndefined();
  expect(secondsUntilFull(1000, undefined)).toBeUndefined();
});
