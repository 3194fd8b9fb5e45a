import { expect, test } from "bun:test";
import { formatGoDuration } from "../../../../plugins/pgrwl/go-duration.ts";

test.each([
  [0, "0s"],
  [-5, "0s"],
  [4, "4ms"],
  [1500, "1.5s"],
  [10_000, "10s"],
  [60_000, "1m0s"],
  [62_004, "1m2.004s"],
  [3_600_000, "1h0m0s"],
  [3_723_004, "1h2m3.004s"],
  [100 * 3_600_000, "100h0m0s"],
])("%p ms are %s, as Go has it", (ms, text) => {
  expect(formatGoDuration(ms)).toBe(text);
});
