import { expect, test } from "bun:test";
import fc from "fast-check";
import { formatLsn, maxLsn, parseLsn } from "../../../../../plugins/common/postgres/lsn.ts";

test.each([
  [0n, "0/0"],
  [439_041_101n, "0/1A2B3C4D"],
  [3_325_915_299_880n, "306/60000028"],
  [3_869_815_875_000n, "385/30025B8"],
  [9_007_199_254_740_993n, "200000/1"],
  [maxLsn, "FFFFFFFF/FFFFFFFF"],
])("%d is written %s, and read back", (lsn, text) => {
  expect(formatLsn(lsn)).toBe(text);
  expect(parseLsn(text)).toBe(lsn);
});

test("lower-case digits are read too", () => {
  expect(parseLsn("0/1a2b3c4d")).toBe(439_041_101n);
});

test.each(["", "0", "1/2/3", "G/0", "0/100000000", "-1/0", " 0/0", "0/0 ", "0 /0", "/", "0/", "/0", "0x1/0"])(
  "%j is no position",
  (text) => {
    expect(parseLsn(text)).toBeUndefined();
  },
);

test("every position is read back as it was written", () => {
  fc.assert(fc.property(fc.bigInt(0n, maxLsn), (lsn) => parseLsn(formatLsn(lsn)) === lsn));
});
