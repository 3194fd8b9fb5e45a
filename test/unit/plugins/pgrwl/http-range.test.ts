import { expect, test } from "bun:test";
import fc from "fast-check";
import { rangeOf } from "../../../../plugins/pgrwl/http-range.ts";

test.each([
  ["bytes=0-0", { start: 0, end: 1 }],
  ["bytes=10-", { start: 10, end: 100 }],
  ["bytes=-10", { start: 90, end: 100 }],
  ["bytes=-1000", { start: 0, end: 100 }],
  ["bytes=90-1000", { start: 90, end: 100 }],
  ["bytes=100-", "unsatisfiable"],
  ["bytes=-0", "unsatisfiable"],
  ["bytes=5-4", undefined],
  ["bytes=0-1,3-4", undefined],
  ["items=0-1", undefined],
  ["bytes=-", undefined],
  [undefined, undefined],
] as const)("%s of 100 bytes", (header, expected) => {
  expect(rangeOf(header, 100)).toEqual(expected as never);
});

test("a range lies within the file, whatever is asked for", () => {
  fc.assert(
    fc.property(fc.nat(1000), fc.nat(2000), fc.option(fc.nat(2000), { nil: undefined }), (size, first, last) => {
      const range = rangeOf(`bytes=${first}-${last ?? ""}`, size);
      if (range === undefined || range === "unsatisfiable") return;
      expect(range.start).toBeGreaterThanOrEqual(0);
      expect(range.end).toBeGreaterThan(range.start);
      expect(range.end).toBeLessThanOrEqual(size);
    }),
  );
});
