import { expect, test } from "bun:test";
import { type OwnInstance, ownFamilies, ownText } from "../../../agent/metrics/own.ts";

const instance: OwnInstance = {
  name: "main",
  plugin: "barman",
  version: undefined,
  source: "built-in",
  collects: true,
  lastSucceeded: false,
  lastDurationSeconds: 1.5,
  lastSuccessAt: 1_795_248_000_500,
  collectSuccesses: 3,
  collectFailures: 1,
  failures: new Map([["timeout", 1]]),
  restarts: 2,
  restorable: [{ cluster: "main", source: "main", from: 1, to: 2, reason: undefined, walOnly: false }],
};

const facts = {
  version: "1.0.0",
  revision: "abc",
  bunVersion: "1.4.5",
  instances: [instance],
  lastReloadSuccessful: true,
  lastReloadSuccessAt: 1_795_248_000_000,
};

test("the README's table names metrics of the agent and their labels; docs/metrics.md has all of them", async () => {
  const readme = await Bun.file(new URL("../../../README.md", import.meta.url)).text();
  const documented = [...readme.matchAll(/^\| `(holdfast_\w+)(?:\{([\w,]+)\})?` \|/gm)];
  const inReadme = documented.map(([, name, labels = ""]) => `${name} ${labels.split(",").sort()}`);
  const inCode = ownFamilies(facts).map(([name, , , [first]]) => `${name} ${Object.keys(first?.[0] ?? {}).sort()}`);
  expect(inReadme.length).toBeGreaterThan(5);
  expect(inReadme.filter((one) => !inCode.includes(one))).toEqual([]);
});

test("an instance that failed tells so, with when it last succeeded and every reason of the closed list", () => {
  const text = ownText(ownFamilies(facts));
  expect(text).toContain('holdfast_collect_success{name="main"} 0\n');
  expect(text).toContain('holdfast_collect_duration_seconds{name="main"} 1.5\n');
  expect(text).toContain('holdfast_collect_last_success_timestamp_seconds{name="main"} 1795248000.5\n');
  expect(text).toContain('holdfast_collects_total{name="main",result="failure"} 1\n');
  expect(text).toContain('holdfast_plugin_restarts_total{name="main"} 2\n');
  expect(text.match(/^holdfast_collect_failures_total\{name="main",reason="\w+"\} \d$/gm)).toHaveLength(6);
});

test("before an instance's first collection has ended, nothing is said of its result", () => {
  const fresh = { ...instance, lastSucceeded: undefined, lastDurationSeconds: undefined, lastSuccessAt: undefined };
  const text = ownText(ownFamilies({ ...facts, instances: [fresh] }));
  expect(text).not.toMatch(/holdfast_collect_(success|duration|last)/);
});
