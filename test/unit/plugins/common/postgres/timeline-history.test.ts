import { expect, test } from "bun:test";
import fc from "fast-check";
import { formatLsn } from "../../../../../plugins/common/postgres/lsn.ts";
import { historyFileName, parseTimelineHistory } from "../../../../../plugins/common/postgres/timeline-history.ts";

test.each([
  [2, "00000002.history"],
  [26, "0000001A.history"],
  [0xffffffff, "FFFFFFFF.history"],
])("the history of timeline %d is in %s", (timeline, name) => {
  expect(historyFileName(timeline)).toBe(name);
});

test("the history that PostgreSQL 15 wrote at a second promotion is read", () => {
  const text = "1\t0/892F60\tno recovery target specified\n\n2\t0/B00000\tno recovery target specified\n";
  expect(parseTimelineHistory(text)).toEqual([
    { timeline: 1, endLsn: 0x892f60n },
    { timeline: 2, endLsn: 0xb00000n },
  ]);
});

test.each([
  ["nothing", ""],
  ["empty lines and comments", "\n# by hand\n  \n\t# another\n\r\n"],
])("%s is a history without ancestors", (_, text) => {
  expect(parseTimelineHistory(text)).toEqual([]);
});

test.each([
  ["a restore point", '1\t0/3000000\tat restore point "1\t0/1 #"\n'],
  ["a time", "1\t0/3000000\tbefore 2026-01-02 03:04:05.678+00\n"],
  ["no reason", "1\t0/3000000"],
  ["spaces", "  1   0/3000000   reason"],
  ["a line end of another system", "1\t0/3000000\r\n"],
  ["lower case", "1\t0/3000000\tx".toLowerCase()],
])("the reason of a line does not matter: %s", (_, text) => {
  expect(parseTimelineHistory(text)).toEqual([{ timeline: 1, endLsn: 0x3000000n }]);
});

test.each([
  "1",
  "1\t",
  "x\t0/3000000\treason",
  "0\t0/3000000\treason",
  "-1\t0/3000000\treason",
  "1\t3000000\treason",
  "1\t0/\treason",
  "1\t0/300000000\treason",
  "1\t0/3000000x\treason",
  "1\t0/3000000\ta\n1\t0/4000000\tb",
  "2\t0/3000000\ta\n1\t0/4000000\tb",
])("%j is refused", (text) => {
  expect(() => parseTimelineHistory(text)).toThrow("Cannot read the timeline history");
});

test("every history is read as it was written", () => {
  const reason = fc.string().map((text) => text.replace(/[\r\n\u2028\u2029]/g, " "));
  const fork = fc.record({
    step: fc.integer({ min: 1, max: 1000 }),
    lsn: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
    reason,
  });
  fc.assert(
    fc.property(fc.array(fork), (forks) => {
      let timeline = 0;
      const lines = forks.map((one) => {
        timeline += one.step;
        return { timeline, endLsn: one.lsn, text: `${timeline}\t${formatLsn(one.lsn)}\t${one.reason}\n` };
      });
      expect(parseTimelineHistory(lines.map(({ text }) => text).join("\n"))).toEqual(
        lines.map(({ timeline, endLsn }) => ({ timeline, endLsn })),
      );
    }),
  );
});

test("no text makes it throw anything but a SyntaxError", () => {
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.stringMatching(/^[0-9a-f/\t\n #]*$/)), (text) => {
      try {
        parseTimelineHistory(text);
      } catch (error) {
        expect(error).toBeInstanceOf(SyntaxError);
      }
    }),
  );
});
