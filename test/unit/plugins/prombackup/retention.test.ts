import { expect, test } from "bun:test";
import fc from "fast-check";
import { type Candidate, keptBy, planPrune } from "../../../../plugins/prombackup/retention.ts";

const hourMs = 3_600_000;
const now = Date.UTC(2026, 10, 21, 12);
const ago = (hours: number): Candidate => ({
  name: `n${String(1_000_000 - hours).padStart(7, "0")}`,
  timeMs: now - hours * hourMs,
  inUse: false,
  beingWritten: false,
  verified: false,
});
const names = (...hours: number[]) => hours.map((hour) => ago(hour).name);

test("a snapshot is due when its time plus keep_within has come, not a second before", () => {
  const one = [ago(1)];
  expect(planPrune(one, { withinMs: hourMs }, { now }).remove).toEqual(names(1));
  expect(planPrune(one, { withinMs: hourMs }, { now: now - 1000 }).remove).toEqual([]);
  expect(planPrune([ago(0)], {}, { now }).remove).toEqual(names(0));
  expect(planPrune([ago(-1)], {}, { now }).remove).toEqual([]);
});

test("daily, weekly and monthly keep the newest of each", () => {
  const hours = [0, 1, 13, 25, 24 * 7, 24 * 8, 24 * 40, 24 * 70];
  const candidates = hours.map(ago);
  expect([...keptBy(candidates, { daily: 2, withinMs: 0 }, now)].sort()).toEqual(names(13, 0));
  expect([...keptBy(candidates, { weekly: 2 }, now)].sort()).toEqual(names(24 * 7, 0));
  expect([...keptBy(candidates, { monthly: 3 }, now)].sort()).toEqual(names(24 * 70, 24 * 40, 0));
  expect([...keptBy(candidates, { last: 3 }, now)].sort()).toEqual(names(13, 1, 0));
});

test("what is in use, being written or the last verified one stays, and why is told", () => {
  const candidates = [
    { ...ago(1), beingWritten: true },
    { ...ago(2), inUse: true },
    ago(3),
    { ...ago(4), verified: true },
    { ...ago(5), verified: true },
  ];
  const plan = planPrune(candidates, {}, { now });
  expect(plan.remove).toEqual(names(5, 3));
  expect(plan.skipped.map(({ reason }) => reason)).toEqual(["last_verified", "in_use", "being_written"]);
  expect(planPrune(candidates, {}, { now, verifiedElsewhereMs: now }).remove).toEqual(names(5, 4, 3));
});

test("unwatched, the newest stays whatever the clock says", () => {
  const plan = planPrune([ago(1), ago(2)], {}, { now: now + 1000 * hourMs, keepNewest: true });
  expect(plan).toEqual({ remove: names(2), skipped: [{ name: ago(1).name, reason: "newest" }] });
});

test("a plan removes nothing that a rule keeps, and leaves a verified one where there was one", () => {
  const candidate = fc.record({
    hours: fc.integer({ min: -50, max: 5000 }),
    verified: fc.boolean(),
    inUse: fc.boolean(),
  });
  const rule = fc.option(fc.nat(5), { nil: undefined });
  const keep = fc.record({ last: rule, daily: rule, weekly: rule, monthly: rule });
  fc.assert(
    fc.property(fc.uniqueArray(candidate, { selector: ({ hours }) => hours }), keep, (given, rules) => {
      const candidates = given.map(({ hours, ...rest }) => ({ ...ago(hours), ...rest }));
      const { remove } = planPrune(candidates, rules, { now });
      const kept = keptBy(candidates, rules, now);
      const left = candidates.filter(({ name }) => !remove.includes(name));
      const hadVerified = candidates.some(({ verified }) => verified);
      return (
        remove.every((name) => !kept.has(name)) &&
        candidates.every(({ name, inUse }) => !inUse || !remove.includes(name)) &&
        left.some(({ verified }) => verified) === hadVerified
      );
    }),
  );
});

test("the last verified one stays while the verified backups elsewhere are older", () => {
  const one = { name: "a", timeMs: 1000, inUse: false, beingWritten: false, verified: true };
  const plan = (verifiedElsewhereMs: number) => planPrune([one], {}, { now: 5000, verifiedElsewhereMs });
  expect(plan(999)).toEqual({ remove: [], skipped: [{ name: "a", reason: "last_verified" }] });
  expect(plan(1000)).toEqual({ remove: ["a"], skipped: [] });
});
