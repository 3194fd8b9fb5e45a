import { expect, test } from "bun:test";
import fc from "fast-check";
import { formatSegmentName } from "../../../../../plugins/common/postgres/wal-segments.ts";
import { checkContinuity } from "../../../../../plugins/common/wal-archive/continuity.ts";

const segmentSizeBytes = 2 ** 24;
const name = (timeline: number, number: number) => formatSegmentName({ timeline, number }, segmentSizeBytes);
const lsn = (number: number, offset = 0) => BigInt(number) * BigInt(segmentSizeBytes) + BigInt(offset);
const range = (timeline: number, first: number, last: number) =>
  Array.from({ length: last - first + 1 }, (_, index) => name(timeline, first + index));
const check = (segments: readonly string[], histories: ReadonlyMap<number, { timeline: number; endLsn: bigint }[]>) =>
  checkContinuity({ segments, histories, segmentSizeBytes });

test("one timeline without a gap is restorable from end to end, over the end of a log file", () => {
  const { gaps, restorable, timelines } = check(range(1, 250, 260), new Map());
  expect(gaps).toEqual([]);
  expect(restorable).toEqual({ oldestLsn: lsn(250), newestLsn: lsn(261) });
  expect(timelines).toEqual([{ timeline: 1, first: name(1, 250), last: name(1, 260), count: 11 }]);
});

test("nothing is no gap", () => {
  expect(check([], new Map())).toEqual({ timelines: [], gaps: [], missingHistories: [], restorable: undefined });
});

test("a fork within a segment: the new timeline has that segment for itself, the old one only its beginning", () => {
  const histories = new Map([[2, [{ timeline: 1, endLsn: lsn(5, 100) }]]]);
  expect(check([...range(1, 1, 4), ...range(2, 5, 8)], histories).gaps).toEqual([]);
  expect(check([...range(1, 1, 4), ...range(2, 6, 8)], histories).gaps).toEqual([
    { timeline: 2, first: name(2, 5), last: name(2, 5), count: 1 },
  ]);
  // What the old timeline wrote behind the fork does not stand in for it.
  expect(check([...range(1, 1, 9), ...range(2, 6, 8)], histories).gaps).toHaveLength(1);
});

test("the end of the old timeline is missing", () => {
  const histories = new Map([[2, [{ timeline: 1, endLsn: lsn(5, 100) }]]]);
  const { gaps, restorable } = check([...range(1, 1, 2), ...range(2, 5, 8)], histories);
  expect(gaps).toEqual([{ timeline: 1, first: name(1, 3), last: name(1, 4), count: 2 }]);
  expect(restorable).toEqual({ oldestLsn: lsn(5), newestLsn: lsn(9) });
});

test("a fork at a segment's first byte", () => {
  const histories = new Map([[2, [{ timeline: 1, endLsn: lsn(5) }]]]);
  expect(check([...range(1, 1, 4), ...range(2, 5, 8)], histories).gaps).toEqual([]);
});

test("a timeline in between without a segment of its own", () => {
  const histories = new Map([
    [2, [{ timeline: 1, endLsn: lsn(5, 10) }]],
    [
      3,
      [
        { timeline: 1, endLsn: lsn(5, 10) },
        { timeline: 2, endLsn: lsn(5, 90) },
      ],
    ],
  ]);
  expect(check([...range(1, 1, 4), ...range(3, 5, 6)], histories).gaps).toEqual([]);
});

test("two branches of one timeline are both followed, and what is restorable is told of the newest", () => {
  const histories = new Map([
    [2, [{ timeline: 1, endLsn: lsn(5, 10) }]],
    [3, [{ timeline: 1, endLsn: lsn(3, 10) }]],
  ]);
  const { gaps, restorable } = check([...range(1, 1, 4), name(2, 5), name(2, 7), ...range(3, 3, 4)], histories);
  expect(gaps).toEqual([{ timeline: 2, first: name(2, 6), last: name(2, 6), count: 1 }]);
  expect(restorable).toEqual({ oldestLsn: lsn(1), newestLsn: lsn(5) });
});

test("a timeline that goes on behind the point at which another left it is followed to its end", () => {
  const histories = new Map([[2, [{ timeline: 1, endLsn: lsn(3, 10) }]]]);
  const segments = [...range(1, 1, 6), ...range(1, 8, 9), ...range(2, 3, 4)];
  const missing = { timeline: 1, first: name(1, 7), last: name(1, 7), count: 1 };
  const follow = (timeline: number) => checkContinuity({ segments, histories, segmentSizeBytes, timeline });
  expect(follow(1)).toMatchObject({
    gaps: [missing],
    leading: 1,
    restorable: { oldestLsn: lsn(8), newestLsn: lsn(10) },
  });
  // What an old primary wrote after a fail-over is of no use, and its gaps are none.
  expect(follow(2)).toMatchObject({ gaps: [], leading: 2, restorable: { oldestLsn: lsn(1), newestLsn: lsn(5) } });
  expect(follow(3)).toEqual(check(segments, histories));
});

test("a timeline without its history is told", () => {
  expect(check([...range(1, 1, 2), ...range(2, 3, 4)], new Map()).missingHistories).toEqual(["00000002.history"]);
});

test("what retention removed before the oldest segment is no gap, even whole timelines", () => {
  const histories = new Map([[2, [{ timeline: 1, endLsn: lsn(5, 100) }]]]);
  expect(check(range(2, 7, 9), histories).gaps).toEqual([]);
});

test("the gaps of one timeline are exactly what was taken out of it", () => {
  const numbers = fc.uniqueArray(fc.integer({ min: 200, max: 600 }), { minLength: 2, maxLength: 60 });
  fc.assert(
    fc.property(numbers, (some) => {
      const there = new Set(some);
      const [least, most] = [Math.min(...some), Math.max(...some)];
      const missing = range(1, least, most).filter((_, index) => !there.has(least + index));
      const { gaps, restorable } = check(
        some.map((number) => name(1, number)),
        new Map(),
      );
      const told = gaps.flatMap(({ first, last, count }) => {
        const all = range(1, least, most);
        const stretch = all.slice(all.indexOf(first), all.indexOf(last) + 1);
        expect(stretch).toHaveLength(count);
        return stretch;
      });
      expect(told).toEqual(missing);
      expect(restorable?.newestLsn).toBe(lsn(most + 1));
    }),
  );
});
