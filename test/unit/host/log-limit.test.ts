import { expect, test } from "bun:test";
import { LogLimit } from "../../../agent/host/log-limit.ts";

test("a thousand lines pass at once, then a hundred each second, and the lost ones are counted", () => {
  let now = 0;
  const limit = new LogLimit(() => now);
  const passed = (lines: number) => Array.from({ length: lines }, () => limit.pass()).filter(Boolean);
  expect(passed(5_000)).toHaveLength(1_000);
  now += 1_000;
  const next = passed(500);
  expect(next).toHaveLength(100);
  expect(next.slice(0, 2)).toEqual([{ lost: 4_000 }, { lost: 0 }]);
  now += 3_600_000;
  expect(passed(5_000)).toHaveLength(1_000);
});
