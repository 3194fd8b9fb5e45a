import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { testPlugin } from "holdfast";
import { fixedChecks } from "../../../../plugins/barman/checks.ts";
import barman from "../../../../plugins/barman/index.ts";
import { replayRun } from "../../../harness/barman-replay.ts";
import { nameOf, type Page, readPage } from "./page.ts";

// The predecessor reads backup ids as local time.
const zone = process.env.TZ ?? "Etc/UTC";
beforeAll(() => {
  process.env.TZ = "UTC";
});
afterAll(() => {
  process.env.TZ = zone;
});

const now = () => 1795248000_000;
const expected = async (file: string) =>
  readPage(await Bun.file(new URL(`../../../fixtures/barman/3.4.0/expected/${file}`, import.meta.url)).text());

/** The metrics that a golden page has; of `barman_up` only the checks that its exporter knows. */
function comparable(page: Page, golden: Page, checks: readonly string[] | undefined) {
  const wanted = [...page.samples].filter(([series]) => {
    if (!golden.heads.has(nameOf(series)) || nameOf(series) === "barman_metrics_update") return false;
    const check = nameOf(series) === "barman_up" ? /check="([^"]*)"/.exec(series)?.[1] : undefined;
    return check === undefined || checks === undefined || checks.includes(check);
  });
  return Object.fromEntries(wanted.sort());
}
const values = (page: Page) =>
  Object.fromEntries([...page.samples].filter(([series]) => nameOf(series) !== "barman_metrics_update").sort());

describe("compat: exporter gives the reference's series", () => {
  test.each(["healthy", "mixed", "failed-backup", "backup-in-progress", "waiting-for-wals", "no-backups-streaming"])(
    "of %s",
    async (scenario) => {
      const golden = await expected(`reference_${scenario}_now-1795248000.prom`);
      const plugin = await testPlugin(barman, { run: replayRun(() => ({ scenarios: [scenario] })), now });
      const page = readPage(await plugin.collect());
      expect(comparable(page, golden, fixedChecks)).toEqual(values(golden));
      for (const [name, head] of golden.heads) expect(page.heads.get(name) ?? head).toEqual(head);
    },
  );
});

describe("compat: predecessor gives the predecessor's series", () => {
  test.each(["healthy", "mixed"])("of %s", async (scenario) => {
    const golden = await expected(`predecessor_${scenario}_TZ-UTC.prom`);
    const run = replayRun(() => ({ scenarios: [scenario] }));
    const plugin = await testPlugin(barman, { config: { compat: "predecessor", extended: false }, run, now });
    const page = readPage(await plugin.collect());
    expect(comparable(page, golden, undefined)).toEqual(values(golden));
    for (const [name, head] of golden.heads) expect(page.heads.get(name)).toEqual(head);
    expect(page.of("barman_metrics_update")['{server="pg"}']).toBe(1795248000);
    expect(page.of("barman_last_backup_throughput")).toEqual({});
  });
});

test("compat: predecessor reads backup ids in the agent's time zone", async () => {
  process.env.TZ = "Europe/Berlin";
  const plugin = await testPlugin(barman, { config: { compat: "predecessor" }, run: replayRun(() => ({})), now });
  const page = readPage(await plugin.collect());
  process.env.TZ = "UTC";
  expect(page.of("barman_last_backup")).toEqual({ '{server="pg"}': 1795241920 });
});

test("every check that Barman reports is given beside the reference's fixed ones, and only those on request", async () => {
  const upOf = async (config: unknown) => {
    const plugin = await testPlugin(barman, { config, run: replayRun(() => ({ scenarios: ["mixed"] })), now });
    return readPage(await plugin.collect()).of("barman_up");
  };
  const all = await upOf({});
  expect(all['{check="backup_minimum_size",server="pg"}']).toBe(1);
  expect(all['{check="wal_archive",server="billing-db"}']).toBe(0);
  expect(all['{check="wal_level",server="billing-db"}']).toBe(0);
  const reported = await upOf({ checks: "reported" });
  expect(reported).not.toContainKey('{check="wal_level",server="billing-db"}');
  expect(reported['{check="wal_archive",server="billing-db"}']).toBe(0);
});

test("barman_metrics_update of the reference is a whole number of milliseconds without labels", async () => {
  const plugin = await testPlugin(barman, { run: replayRun(() => ({})), now });
  const page = readPage(await plugin.collect());
  expect(Number.isInteger(page.of("barman_metrics_update")[""])).toBe(true);
});

test("the mock of the reference gives the page of its documentation", async () => {
  const entry = (id: string, end: string) => ({
    backup_id: id,
    status: "DONE",
    end_time: "Sat Jun 22 08:57:10 2024",
    end_time_timestamp: end,
    size: "52.7 MiB",
    size_bytes: 55210398,
    wal_size: "32.0 MiB",
    wal_size_bytes: 33554432,
    retention_status: "-",
    tablespaces: [],
  });
  const answers: Record<string, unknown> = {
    "list-backups all": { pg: [entry("20240622T084702", "1719046030")] },
    "check all": { pg: Object.fromEntries(fixedChecks.map((name) => [name, { status: "OK", hint: "" }])) },
    "show-backup pg 20240622T084702": {
      pg: {
        backup_id: "20240622T084702",
        status: "DONE",
        base_backup_information: {
          end_time_timestamp: "1719046030",
          copy_time_seconds: 8.239298,
          throughput_bytes: 4664618.514829783,
        },
        wal_information: { no_of_files: 2, wal_rate_per_second: 0.05102330047234898 },
      },
    },
  };
  const run = replayRun(
    () => ({}),
    (line) => ({ stdout: JSON.stringify(answers[line]) }),
  );
  const plugin = await testPlugin(barman, {
    run,
    now: () => (1719046030 + 4184067) * 1000,
    config: { extended: false },
  });
  const page = readPage(await plugin.collect());
  expect(page.of("barman_last_backup")).toEqual({ '{server="pg"}': 4184067 });
  expect(page.of("barman_first_backup")).toEqual({ '{server="pg"}': 4184067 });
  expect(page.of("barman_last_backup_copy_time")).toEqual({ '{server="pg"}': 8.239298 });
  expect(page.of("barman_last_backup_throughput")).toEqual({ '{server="pg"}': 4664618.514829783 });
  expect(page.of("barman_last_backup_wal_files")).toEqual({ '{server="pg"}': 2 });
  expect(page.of("barman_last_backup_wal_rate_per_second")).toEqual({ '{server="pg"}': 0.05102330047234898 });
  expect(page.of("barman_backup_size")).toEqual({ '{number="0",server="pg"}': 55210398 });
  expect(Object.values(page.of("barman_up"))).toEqual(Array(21).fill(1));
});
