import { expect, setSystemTime, test } from "bun:test";
import type { Log, LogFields, LogLevel } from "../../../agent/sdk/index.ts";
import { Repeats } from "../../../agent/system/repeats.ts";

function setUp() {
  const lines: [LogLevel, string, LogFields][] = [];
  const at =
    (level: LogLevel) =>
    (message: string, fields: LogFields = {}) =>
      void lines.push([level, message, fields]);
  const log: Log = { error: at("error"), warn: at("warn"), info: at("info"), debug: at("debug") };
  const clock = { now: 0 };
  const repeats = new Repeats(() => clock.now);
  return {
    lines,
    clock,
    fail: (reason = "timeout", key = "main") => repeats.failure(log, key, reason, "Collection failed"),
    recover: (key = "main") => repeats.recovery(log, key, "Collection works again"),
    renew: () => repeats.renew("main"),
    forget: () => repeats.forget("main"),
    levels: () => lines.map(([level]) => level),
  };
}

test("a failure is a warning, its repeats are debug lines", () => {
  const { fail, levels } = setUp();
  fail();
  fail();
  fail();
  expect(levels()).toEqual(["warn", "debug", "debug"]);
});

test("an hour of failures ends in one reminder that counts them", () => {
  const { fail, levels, lines, clock } = setUp();
  for (; clock.now <= 3_600_000; clock.now += 60_000) fail();
  expect(levels().filter((level) => level === "warn")).toHaveLength(2);
  expect(lines.at(-1)).toEqual(["warn", "Collection failed", { reason: "timeout", repeats: 60 }]);
});

test("another reason and another key are warnings of their own", () => {
  const { fail, levels } = setUp();
  fail("timeout");
  fail("exit");
  fail("timeout");
  fail("exit", "other");
  expect(levels()).toEqual(["warn", "warn", "debug", "warn"]);
});

test("after a change a failure is a warning again, and the recovery counts those before it too", () => {
  const { fail, renew, recover, levels, lines } = setUp();
  fail();
  fail();
  renew();
  fail();
  recover();
  expect(levels()).toEqual(["warn", "debug", "warn", "info"]);
  expect(lines.at(-1)?.[2]).toMatchObject({ failures: 3 });
});

test("a recovery is told once, with what it ended, and the next failure is a warning again", () => {
  const { fail, recover, levels, lines, clock } = setUp();
  recover();
  fail();
  clock.now = 90_000;
  fail("exit");
  recover();
  recover();
  fail();
  expect(levels()).toEqual(["warn", "warn", "info", "warn"]);
  expect(lines[2]).toEqual(["info", "Collection works again", { failures: 2, failed_for_seconds: 90 }]);
});

test("a forgotten key has nothing to recover from", () => {
  const { fail, recover, forget, levels } = setUp();
  fail();
  forget();
  recover();
  expect(levels()).toEqual(["warn"]);
});

test("a clock that is set back neither silences the reminders nor makes the time of a failure negative", () => {
  const lines: LogFields[] = [];
  const take = (_: string, fields: LogFields = {}) => void lines.push(fields);
  const log: Log = { error: take, warn: take, info: take, debug: take };
  const repeats = new Repeats();
  try {
    setSystemTime(Date.now() + 7_200_000);
    repeats.failure(log, "main", "timeout", "Collection failed");
    setSystemTime();
    repeats.recovery(log, "main", "Collection works again");
  } finally {
    setSystemTime();
  }
  expect(lines.at(-1)?.failed_for_seconds).toBeGreaterThanOrEqual(0);
});
