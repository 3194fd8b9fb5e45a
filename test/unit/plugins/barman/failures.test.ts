/** When Barman gives nothing: for a while the last data is shown, with ages that go on, and the failures are counted. */
import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import type { Reply } from "../../../harness/barman-replay.ts";
import { nameOf, readPage } from "./page.ts";
import { failures, replay } from "./replay.ts";

const recordings = new URL("../../../fixtures/barman/3.4.0/", import.meta.url);
const index = JSON.parse(readFileSync(new URL("index.json", recordings), "utf8")) as {
  file: string;
  exit_code: number;
  stderr: string;
}[];

/** What Barman did once, whatever the question was. */
function recorded(name: string): Partial<Reply> {
  const found = index.find(({ file }) => file.startsWith(`run-errors/${name}`));
  if (found === undefined) throw new Error(`No recording begins with ${name}`);
  const stdout = readFileSync(new URL(found.file, recordings), "utf8");
  return { stdout, stderr: found.stderr, exitCode: found.exit_code };
}

test.each([
  ["wrong-user", /please run barman as 'barman' user/],
  ["config-conflict", /Conflicting path/],
  ["config-broken", /no section headers/],
  ["config-missing", /does not exist/],
  ["unknown-subcommand", /frobnicate/],
])("%s: the collection fails and says why, the page counts it, the series expire", async (name, why) => {
  const { state, plugin, collect } = await replay({}, { max_staleness: "10m" });
  const shown = () => readPage(plugin.published.at(-1) ?? "");
  await collect();
  state.answer = () => recorded(name);
  await expect(collect(300)).rejects.toMatchObject({
    name: "RunError",
    reason: "exit",
    message: expect.stringMatching(why),
  });
  expect(failures(shown())).toEqual({
    '{command="check",reason="exit"}': 1,
    '{command="list-backups",reason="exit"}': 1,
  });
  expect(shown().of("barman_last_backup")).toEqual({ '{server="pg"}': 2480 + 300 });
  await expect(collect(301)).rejects.toMatchObject({ reason: "exit" });
  const left = [...shown().samples.keys()].filter((series) => series.includes('server="'));
  expect(new Set(left.map(nameOf))).toEqual(new Set(["barman_exporter_command_last_success_timestamp_seconds"]));
  expect(shown().of("barman_metrics_update")).toContainKey("");

  state.answer = undefined;
  const page = await collect(60);
  expect(page.of("barman_last_backup")).toEqual({ '{server="pg"}': 2480 + 661 });
  expect(failures(page)['{command="check",reason="exit"}']).toBe(2);
});

test("an unknown option in Barman's configuration is a warning beside the data", async () => {
  const { collect, plugin } = await replay({ scenarios: ["run-errors/config-bad-options"] });
  const page = await collect();
  expect(page.of("barman_backups_total")).toContainKey('{server="pg"}');
  expect(failures(page)).toEqual({});
  expect(plugin.logs.map(({ message }) => message)).toEqual(["Barman command warned", "Barman command warned"]);
});

test("a Barman that stops at its very first server is asked for each server by itself", async () => {
  const { state, run, collect } = await replay({ scenarios: ["mixed"] });
  state.answer = (line) =>
    line === "check all" || line === "check billing-db"
      ? { stdout: '{"_EXCEPTION": ["invalid line"]}', exitCode: 1 }
      : undefined;
  const page = await collect();
  expect(run.calls).toContain("check pg");
  expect(page.of("barman_up")['{check="postgresql",server="pg"}']).toBe(1);
  expect(page.of("barman_up")).not.toContainKey('{check="postgresql",server="billing-db"}');
});

test("a list of servers that breaks off makes nobody forget the servers that it lacks", async () => {
  const { state, collect } = await replay({ scenarios: ["mixed"] });
  await collect();
  state.answer = (line) => {
    if (line === "list-servers") return { stdout: '{"_EXCEPTION": ["odd"], "billing-db": {}}', exitCode: 1 };
    return line.endsWith("all") ? { stdout: '{"_EXCEPTION": ["odd"], "billing-db": []}', exitCode: 1 } : undefined;
  };
  expect((await collect(60)).of("barman_backups_total")).toContainKey('{server="pg"}');
});

test("an answer without the backup counts as a failure, and is tried again although the list is cached", async () => {
  const { state, run, collect } = await replay({}, { cache_ttl: 300 });
  state.answer = (line) => (line.startsWith("show-backup") ? { stdout: "{}" } : undefined);
  expect(failures(await collect())).toEqual({ '{command="show-backup",reason="parse"}': 1 });
  state.answer = undefined;
  const page = await collect(60);
  expect(run.calls.sort()).toEqual(["check all", "show-backup pg 20261121T071840"]);
  expect(page.of("barman_last_backup_copy_time")).toEqual({ '{server="pg"}': 0.375938 });
});

test("passwords that Barman writes to stderr reach neither the log nor the error", async () => {
  const { state, collect, plugin } = await replay();
  const stderr = "Traceback\npsycopg2: connection to host=a user=b password=hunter2 failed, {'password': 'hunter2'}\n";
  state.answer = () => ({ stderr, exitCode: 1 });
  const error: unknown = await collect().catch((reason: unknown) => reason);
  expect(String(error)).toContain("psycopg2");
  expect(String(error) + JSON.stringify(plugin.logs)).not.toContain("hunter2");
});

test("a PostgreSQL that never answers costs its own server the checks, and nobody the backups", async () => {
  const { state, run, collect } = await replay({ scenarios: ["hanging-postgres", "mixed"] });
  state.answer = (line) =>
    line === "list-servers" ? { stdout: '{"billing-db": {}, "pg": {}, "stuck-db": {}}' } : undefined;
  const page = await collect();
  expect(run.calls.filter((line) => line.startsWith("check")).sort()).toEqual([
    "check all",
    "check billing-db",
    "check pg",
    "check stuck-db",
  ]);
  expect(failures(page)).toEqual({ '{command="check",reason="timeout"}': 2 });
  expect(page.of("barman_up")['{check="postgresql",server="pg"}']).toBe(1);
  expect(page.of("barman_up")).not.toContainKey('{check="postgresql",server="stuck-db"}');
  expect(page.of("barman_backups_total")).toContainKey('{server="pg"}');
  await collect(60);
  expect(run.calls).not.toContain("check all");
});

test("a WAL catalogue that is locked costs its own server the backups, which stay for max_staleness", async () => {
  const { state, run, collect } = await replay({ scenarios: ["mixed"] });
  await collect();
  state.options = { scenarios: ["xlogdb-locked", "mixed"] };
  const page = await collect(60);
  expect(failures(page)).toEqual({ '{command="list-backups",reason="timeout"}': 2 });
  expect(page.of("barman_backups_total")).toEqual({ '{server="billing-db"}': 0, '{server="pg"}': 3 });
  expect(page.of("barman_last_backup")).toEqual({ '{server="pg"}': 2540 });
  const success = page.of("barman_exporter_command_last_success_timestamp_seconds");
  expect(success['{command="list-backups",server="billing-db"}']).toBe(state.now / 1000);
  expect(success['{command="list-backups",server="pg"}']).toBe(state.now / 1000 - 60);
  state.options = { scenarios: ["mixed"] };
  await collect(60);
  await collect(60);
  expect(run.calls).toEqual(["list-backups all", "check all"]);
});

test.each([
  ["not JSON", { stdout: "oops" }],
  ["in part", { stdout: '{"_EXCEPTION": ["odd"], "pg": []}', exitCode: 1 }],
  ["of an unknown shape", { stdout: '{"pg": {}}' }],
  ["late", { exitCode: undefined }],
] as const)("an answer that is %s is no answer for the cache", async (_, reply) => {
  const { state, run, collect } = await replay({}, { cache_ttl: 300, checks_cache_ttl: 300 });
  state.answer = (line) => (line.startsWith("list-backups") ? { ...reply } : undefined);
  await collect();
  state.answer = undefined;
  // After an answer that came too late the servers are asked one by one, once more.
  await collect(60);
  expect(run.calls.filter((line) => line.startsWith("list-backups"))).toHaveLength(1);
  await collect(60);
  expect(run.calls.filter((line) => !line.startsWith("show-backup"))).toEqual([]);
});
