import { expect, test } from "bun:test";
import fc from "fast-check";
import { editDistance, nearest } from "../../../agent/config/suggestions.ts";

const known = ["plugin", "interval", "timeout", "stale_after", "labels", "listen", "web_config", "config"];

test.each([
  ["intervall", "interval"],
  ["intreval", "interval"],
  ["Interval", "interval"],
  ["staleAfter", "stale_after"],
  ["stale-after", "stale_after"],
  ["lable", "labels"],
  ["lsiten", "listen"],
  ["plugins", "plugin"],
])("nearest() takes %s for %s", (word, expected) => {
  expect(nearest(word, known)).toBe(expected);
});

test.each(["path", "x", "", "password", "directory"])("nearest() knows nothing near %j", (word) => {
  expect(nearest(word, known)).toBeUndefined();
});

test("nearest() finds a word of six letters and more behind one slip", () => {
  const slip = fc.tuple(fc.constantFrom(...known), fc.nat(), fc.constantFrom("drop", "double", "swap"));
  fc.assert(
    fc.property(slip, ([word, position, kind]) => {
      const at = position % (word.length - 1);
      const [before, one, two, after] = [word.slice(0, at), word[at] ?? "", word[at + 1] ?? "", word.slice(at + 2)];
      const slipped = {
        drop: before + two + after,
        double: before + one + one + two + after,
        swap: before + two + one + after,
      };
      const found = slipped[kind as keyof typeof slipped];
      if (found !== word) expect(nearest(found, known)).toBe(word);
    }),
  );
});

test("editDistance() is symmetric, zero for equal words alone, and at most the longer length", () => {
  fc.assert(
    fc.property(fc.string({ maxLength: 12 }), fc.string({ maxLength: 12 }), (a, b) => {
      const distance = editDistance(a, b);
      expect(distance).toBe(editDistance(b, a));
      expect(distance === 0).toBe(a === b);
      expect(distance).toBeLessThanOrEqual(Math.max(a.length, b.length));
    }),
  );
});
