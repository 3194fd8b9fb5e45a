import { expect, test } from "bun:test";
import { RateLimit } from "../../../agent/http/rate-limit.ts";

test("a burst passes, then one request each interval", () => {
  let now = 5_000_000;
  const limit = new RateLimit(() => now);
  const allow = () => limit.allow({ intervalSeconds: 2, burst: 3 });
  expect([allow(), allow(), allow(), allow()]).toEqual([true, true, true, false]);
  now += 1999;
  expect(allow()).toBe(false);
  now += 1;
  expect([allow(), allow()]).toEqual([true, false]);
  now += 3_600_000;
  expect([allow(), allow(), allow(), allow()]).toEqual([true, true, true, false]);
});
