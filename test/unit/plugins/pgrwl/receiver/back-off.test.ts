import { expect, test } from "bun:test";
import fc from "fast-check";
import { BackOff } from "../../../../../plugins/pgrwl/receiver/back-off.ts";

const waits = (backOff: BackOff, count: number) => Array.from({ length: count }, () => backOff.next());

test("waits double up to the longest, and begin anew after success", () => {
  const backOff = new BackOff(1000, 30_000, () => 0);
  expect(waits(backOff, 7)).toEqual([1000, 2000, 4000, 8000, 16_000, 30_000, 30_000]);
  backOff.reset();
  expect(waits(backOff, 2)).toEqual([1000, 2000]);
});

test("every wait is between half of its length and all of it, however long it goes on", () => {
  const random = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 86_400_000 }), fc.nat(86_400_000), random, (first, more, dice) => {
      const longest = first + more;
      const backOff = new BackOff(first, longest, () => dice);
      for (const [attempt, wait] of waits(backOff, 100).entries()) {
        const whole = Math.min(first * 2 ** attempt, longest);
        expect(wait).toBeGreaterThanOrEqual(whole / 2);
        expect(wait).toBeLessThanOrEqual(whole);
      }
    }),
    { numRuns: 50 },
  );
});

test("two receivers do not come back at the same moment", () => {
  const one = waits(new BackOff(1000, 30_000), 20);
  const other = waits(new BackOff(1000, 30_000), 20);
  expect(one).not.toEqual(other);
});
