/** What instances tell of restores, and what the agent still believes of it. */
import { expect, test } from "bun:test";
import { type PlainWindows, plainWindows } from "../../../agent/host/plain-windows.ts";
import { type Circumstances, KnownWindows } from "../../../agent/host/restorable.ts";
import type { RestorableWindow } from "../../../agent/sdk/restorable.ts";
import { pluginSource, startHost, type TestHost } from "../../harness/host.ts";
import { waitFor } from "../../harness/wait.ts";

const rowsOf = (test: TestHost, name: string) => test.host.instance(name)?.status().restorable ?? [];
const rowOf = (test: TestHost, name: string, holds: (row: ReturnType<typeof rowsOf>[number]) => boolean) =>
  waitFor("the row", () => rowsOf(test, name).find(holds));

test("windows come with each collection, without secrets", async () => {
  await using test = await startHost();
  const source = `return {
    collect() {},
    restorable: () => [
      { cluster: "main", from: 1000, to: 2000.5, detail: "by hunter22" },
      { cluster: "other", reason: "no_backup" },
    ],
  };`;
  await test.plugin("own.ts", pluginSource("own", source));
  await test.run({ own: { secrets: ["hunter22"] } });
  await rowOf(test, "own", () => true);
  expect(rowsOf(test, "own")).toEqual([
    {
      cluster: "main",
      source: "own",
      from: 1000,
      to: 2000.5,
      reason: undefined,
      detail: "by [redacted]",
      walOnly: false,
    },
    {
      cluster: "other",
      source: "own",
      from: undefined,
      to: undefined,
      reason: "no_backup",
      detail: undefined,
      walOnly: false,
    },
  ]);
});

test("a window without a cluster has the instance's label of that name, or the instance's own", async () => {
  await using test = await startHost();
  await test.plugin("a.ts", pluginSource("a", "return { collect() {}, restorable: () => [{ from: 1, to: 2 }] };"));
  await test.run({ a: {}, b: { plugin: "a", labels: { cluster: "shop" } } });
  expect((await rowOf(test, "a", () => true)).cluster).toBe("a");
  expect((await rowOf(test, "b", () => true)).cluster).toBe("shop");
});

test("a collection that fails takes the credit from what was known, and the next good one gives it back", async () => {
  await using test = await startHost();
  const source = `let calls = 0; return {
    collect() { if (++calls === 2) throw new Error("no answer"); },
    restorable: () => [{ cluster: "main", from: 1, to: calls }],
  };`;
  await test.plugin("own.ts", pluginSource("own", source));
  await test.run({ own: { intervalSeconds: 2 } });
  await rowOf(test, "own", ({ to, reason }) => to === 1 && reason === undefined);
  const failed = await rowOf(test, "own", ({ reason }) => reason !== undefined);
  expect(failed).toMatchObject({ reason: "collect_failed", from: 1, detail: "The last collection failed: no answer" });
  await rowOf(test, "own", ({ to, reason }) => to === 3 && reason === undefined);
});

test("what was known outlives the worker, and a reload of the instance", async () => {
  await using test = await startHost();
  const source = `return {
    collect() { if (config.ends) setTimeout(() => process.exit(), 300); },
    restorable: () => [{ cluster: "main", from: 1, to: 2 }],
  };`;
  await test.plugin("short.ts", pluginSource("short", source));
  await test.run({ short: { config: { ends: true } } });
  await rowOf(test, "short", ({ reason }) => reason === undefined);
  expect(await rowOf(test, "short", ({ reason }) => reason === "collect_failed")).toMatchObject({ from: 1, to: 2 });
  await test.run({ short: { config: { ends: false } } });
  expect(rowsOf(test, "short")).toHaveLength(1);
  await rowOf(test, "short", ({ reason }) => reason === undefined);
  await test.run({});
  expect(test.host.instance("short")).toBeUndefined();
});

test("an instance whose first collection fails tells so, though it names no cluster", async () => {
  await using test = await startHost();
  const source = `return { collect() { throw new Error("down"); }, restorable: () => [] };`;
  await test.plugin("own.ts", pluginSource("own", source));
  await test.run({ own: {} });
  expect(await rowOf(test, "own", () => true)).toMatchObject({ cluster: "", source: "own", reason: "collect_failed" });
});

test.each([
  ["throws", `() => { throw new Error("torn"); }`, "torn"],
  ["gives a promise", "async () => []", "expected a list of windows, found a promise"],
  ["gives milliseconds", "() => [{ to: Date.now() }]", "expected Unix seconds as to, found 1"],
  ["gives no number", "() => [{ from: NaN }]", "expected Unix seconds as from, found NaN"],
  ["gives a reason of its own", `() => [{ reason: "tired" }]`, 'as the reason, found "tired"'],
  [
    "names a cluster twice",
    `() => [{ cluster: "a" }, { cluster: "a" }]`,
    'expected one window a cluster, found two of "a"',
  ],
  ["gives texts", `() => ["main"]`, 'expected a window, found "main"'],
])("a restorable() that %s fails no collection, is the problem, and claims nothing", async (_, source, message) => {
  await using test = await startHost();
  await test.plugin("odd.ts", pluginSource("odd", `return { collect() {}, restorable: ${source} };`));
  await test.run({ odd: {} });
  const problem = await waitFor("the problem", () => test.host.instance("odd")?.status().problem);
  expect(problem).toStartWith("The plugin's restorable() failed: ");
  expect(problem).toContain(message);
  expect(test.host.instance("odd")?.status().state).not.toBe("failing");
  expect(rowsOf(test, "odd")).toMatchObject([{ cluster: "", reason: "collect_failed" }]);
});

const good: Circumstances = {
  instance: "own",
  labelled: undefined,
  lastSucceeded: true,
  lastError: undefined,
  staleAfterSeconds: 300,
  now: 1_000_000,
};
const said = (...windows: RestorableWindow[]): PlainWindows | undefined => plainWindows({ restorable: () => windows });

test("what was not renewed for stale_after is stale, whatever was said", () => {
  const known = new KnownWindows();
  known.hear(said({ cluster: "a", to: 5 }, { cluster: "b", reason: "wal_gap" }), true, good.now - 300_000);
  expect(known.rows(good).map(({ reason }) => reason)).toEqual([undefined, "wal_gap"]);
  const later = known.rows({ ...good, now: good.now + 1000 });
  expect(later.map(({ reason, detail, to }) => [reason, detail, to])).toEqual([
    ["stale", "Nothing was heard of it for 301 s", 5],
    ["stale", "Nothing was heard of it for 301 s", undefined],
  ]);
});

test("a window that ends in the future claims nothing, for it would never grow old; a clock that is a little ahead may be", () => {
  const known = new KnownWindows();
  const seconds = good.now / 1000;
  const windows = [
    { cluster: "ahead", to: seconds + 3600 },
    { cluster: "backup", from: seconds + 3601 },
    { cluster: "wal", from: 1, to: seconds + 86_400 },
    { cluster: "reason", to: seconds + 86_400, reason: "wal_gap" as const },
  ];
  known.hear(said(...windows), true, good.now);
  const rows = known.rows(good);
  expect(rows.map(({ reason }) => reason)).toEqual([undefined, "unknown", "unknown", "wal_gap"]);
  expect(rows[2]).toMatchObject({ to: seconds + 86_400, detail: expect.stringContaining("1970-01-02T00:16:40") });
});

test("after a failure the plugin's own reason stays, and an empty list leaves what was known", () => {
  const known = new KnownWindows();
  const failed = { ...good, lastSucceeded: false, lastError: "exit" };
  known.hear(said({ cluster: "a", to: 5 }), true, good.now);
  known.hear(said(), false, good.now);
  expect(known.rows(failed)).toMatchObject([{ cluster: "a", to: 5, reason: "collect_failed" }]);
  known.hear(said({ cluster: "a", reason: "archive_unreachable" }), false, good.now);
  expect(known.rows(failed)).toMatchObject([{ cluster: "a", reason: "archive_unreachable" }]);
  known.hear(said(), true, good.now);
  expect(known.rows(good)).toEqual([]);
});
