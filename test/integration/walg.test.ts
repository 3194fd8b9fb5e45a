/** The plugin with a command that stands in for wal-g: what it asks, and how it bears wrong answers and none. */
import { afterEach, beforeEach, expect, test } from "bun:test";
import { createRun, type LogLine, type TestInstance, testPlugin } from "../../agent/sdk/index.ts";
import walg from "../../plugins/walg/index.ts";
import { family, samplesOf } from "../harness/walg-page.ts";
import { fixture, isRunning, StandIn, until } from "../harness/walg-stand-in.ts";

const now = () => Date.parse("2026-01-02T12:00:00Z");
let standIn: StandIn;
let instance: TestInstance | undefined;
beforeEach(async () => {
  standIn = await StandIn.create();
});
afterEach(async () => {
  await instance?.stop();
  instance = undefined;
  await standIn.remove();
});

const plugin = async (config: Record<string, unknown> = {}): Promise<TestInstance> => {
  instance = await testPlugin(walg, { config: standIn.config(config), now });
  return instance;
};
/** Starts the schedules, as the agent does; the returned function stops them and waits. */
const start = (test: TestInstance): (() => Promise<void>) => {
  const stopping = new AbortController();
  const work = test.instance.start?.({ signal: stopping.signal, run: createRun(stopping.signal) });
  return async () => {
    stopping.abort();
    await work;
  };
};
const value = async (test: TestInstance, key: string) => samplesOf(await test.text())[key];
const warnings = (logs: readonly LogLine[]) => logs.filter(({ level }) => level === "warn");
const listErrors = 'walg_errors_total{error_type="command_failed",operation="backup-list"}';
const listSuccess = 'walg_scrape_success{operation="backup-list"}';

test("the commands are the exporter's to the letter, with --config last", async () => {
  const { collect } = await plugin({ config_path: "/etc/wal-g.yaml" });
  await collect();
  expect((await standIn.calls()).map((line) => line.replace(/^\S+ /, "")).sort()).toEqual([
    "--version",
    "backup-list --detail --json --config /etc/wal-g.yaml",
    "st check read --config /etc/wal-g.yaml",
    "wal-show --detailed-json --config /etc/wal-g.yaml",
    "wal-verify integrity timeline --json --config /etc/wal-g.yaml",
  ]);
});

test("the mock in the exporter's README gives the values that the README means", async () => {
  await standIn.reply("backup-list", {
    stdout: '[{"backup_name":"test","time":"2024-01-01T12:00:00Z","is_full":true}]\n',
  });
  await standIn.reply("wal-show", {
    stdout: '{"integrity":{"status":"OK","details":[{"timeline_id":1,"status":"FOUND"}]}}\n',
  });
  const page = await (await plugin({ compat: "readme" })).collect();
  expect(family(page, "walg_backup_count")).toEqual({ '{backup_type="delta"}': 0, '{backup_type="full"}': 1 });
  expect(family(page, "walg_backup_timestamp")).toEqual({
    '{backup_name="test",backup_type="full",finish_lsn="0/0",permanent="false",start_lsn="0/0",wal_file=""}': 1_704_110_400,
  });
  expect(family(page, "walg_wal_integrity_status")).toEqual({ '{timeline="1"}': 1 });
  expect(await standIn.calls()).toContain("st-ls: st ls");
});

test("an empty storage is no error, as new and as old wal-g say it", async () => {
  await standIn.reply("backup-list", { stdout: "[]\n" });
  const test = await plugin();
  expect(family(await test.collect(), "walg_backups")).toEqual({
    '{backup_type="delta"}': 0,
    '{backup_type="full"}': 0,
  });
  await standIn.reply("backup-list", { stdout: "", stderr: "INFO: 2024/01/02 03:04:05.123456 No backups found\n" });
  expect(family(await test.collect(), "walg_backups")).toEqual({
    '{backup_type="delta"}': 0,
    '{backup_type="full"}': 0,
  });
  expect(await value(test, listErrors)).toBe(0);
});

test.each(["", '[{"backup_name":"base_A"', "null", "{}", "No backups"])(
  "%j for a list counts as a parse error and changes no series",
  async (stdout) => {
    const test = await plugin();
    await test.collect();
    await standIn.reply("backup-list", { stdout });
    expect(test.collect()).rejects.toThrow(SyntaxError);
    await until("the page tells of the failure", async () => (await value(test, listSuccess)) === 0);
    const page = await test.text();
    expect(samplesOf(page)).toMatchObject({
      [listErrors]: 1,
      walg_scrape_errors_total: 1,
      'walg_command_errors_total{operation="backup-list",reason="parse"}': 1,
      'walg_backups{backup_type="full"}': 2,
      'walg_scrape_last_success_timestamp_seconds{operation="backup-list"}': now() / 1000,
    });
  },
);

test("an exit status of 1 is an error, whatever stands on stdout, and the log holds what stderr said", async () => {
  const stdout = await fixture("f1/backup-list.json");
  const failing = { stdout, stderr: "ERROR: 2026/01/02 storage is locked\n", status: 1 };
  await standIn.reply("backup-list", failing);
  await standIn.reply("backup-list-short", failing);
  const test = await plugin();
  await expect(test.collect()).rejects.toThrow(/exit status 1: ERROR: 2026\/01\/02 storage is locked/);
  await until("it is logged", () => warnings(test.logs).length > 0);
  expect(warnings(test.logs)[0]?.fields).toMatchObject({
    operation: "backup-list",
    reason: "exit",
    stderr: "ERROR: 2026/01/02 storage is locked",
  });
  expect(await value(test, listErrors)).toBe(1);
});

test("a list that wal-g refuses for want of metadata is taken without details", async () => {
  const test = await plugin();
  await test.collect();
  await standIn.reply("backup-list", { stderr: "ERROR: metadata.json does not exist\n", status: 1 });
  const short = JSON.parse(await fixture("f1/backup-list.json"))
    .slice(1)
    .map(({ backup_name, time, wal_file_name, storage_name }: Record<string, string>) => ({
      backup_name,
      time,
      wal_file_name,
      storage_name,
    }));
  short.push({
    backup_name: "base_000000020000000000000045",
    time: "2026-01-02T11:00:00Z",
    wal_file_name: "000000020000000000000045",
  });
  await standIn.reply("backup-list-short", { stdout: JSON.stringify(short) });
  const page = await test.collect();
  expect(samplesOf(page)).toMatchObject({
    'walg_backups{backup_type="full"}': 2,
    'walg_backups{backup_type="delta"}': 1,
    walg_backups_incomplete_metadata: 1,
    [listErrors]: 1,
    'walg_backup_finish_timestamp{backup_name="base_000000010000000000000010"}': 1_767_233_430,
  });
});

test("a missing executable is told as such, and the page stays", async () => {
  const test = await plugin({ path: "/nonexistent/wal-g" });
  await expect(test.collect()).rejects.toMatchObject({ reason: "spawn" });
  await until("the page tells of the failure", async () => (await value(test, listSuccess)) === 0);
  expect(await value(test, 'walg_command_errors_total{operation="storage-check",reason="spawn"}')).toBe(1);
  expect(await value(test, "walg_storage_up")).toBe(0);
});

test("a command that ignores SIGTERM, with a child that holds stdout, is ended and delays no other", async () => {
  await standIn.reply("wal-verify-integrity-timeline", { behaviour: "stubborn" });
  const test = await plugin({
    first_wait: "10ms",
    wal: { interval: "1h", timeout: "500ms" },
    list: { interval: "50ms" },
    storage: { interval: "50ms" },
  });
  const stop = start(test);
  await test.collect();
  await until("it hangs", async () => (await standIn.processes()).length === 2);
  const before = (await standIn.calls()).filter((line) => line.startsWith("backup-list")).length;
  await until(
    "others go on",
    async () => (await standIn.calls()).filter((line) => line.startsWith("backup-list")).length > before + 3,
  );
  expect(await value(test, 'walg_command_errors_total{operation="wal-verify",reason="timeout"}')).toBe(0);
  const begin = performance.now();
  await test.collect();
  expect(performance.now() - begin).toBeLessThan(100);
  const processes = await standIn.processes();
  await until(
    "it is counted",
    async () => (await value(test, 'walg_command_errors_total{operation="wal-verify",reason="timeout"}')) === 1,
  );
  await until("its processes are gone", async () => !(await Promise.all(processes.map(isRunning))).includes(true));
  await stop();
});

test("the first page waits for all first answers, the next ones for none", async () => {
  const test = await plugin();
  const stop = start(test);
  const page = await test.collect();
  expect(samplesOf(page)).toMatchObject({
    walg_storage_up: 1,
    'walg_wal_verify_status{operation="integrity"}': 2,
    walg_timeline_current: 2,
  });
  await stop();
});

test("a child left behind with stdout in its hands does not keep the answer", async () => {
  await standIn.reply("backup-list", { stdout: await fixture("f1/backup-list.json"), behaviour: "holder" });
  const page = await (await plugin()).collect();
  expect(family(page, "walg_backups")).toMatchObject({ '{backup_type="full"}': 2 });
  const [child = 0] = await standIn.processes();
  await until("the child is gone", async () => !(await isRunning(child)));
});

test("stopping ends a running command at once and leaves no orphan", async () => {
  await standIn.reply("backup-list", { behaviour: "hang" });
  const test = await plugin();
  const stop = start(test);
  await until("it hangs", async () => (await standIn.processes()).length === 1);
  const begin = performance.now();
  await stop();
  expect(performance.now() - begin).toBeLessThan(5000);
  const [pid = 0] = await standIn.processes();
  await until("it is gone", async () => !(await isRunning(pid)));
});

test("more output than allowed is refused as such, and the rest is fine", async () => {
  await standIn.reply("wal-show", {
    stdout: `[{"id":1,"missing_segments":[${'"000000010000000000000002",'.repeat(100_000)}`,
  });
  const page = await (await plugin({ max_output: "1MiB" })).collect();
  expect(samplesOf(page)).toMatchObject({
    'walg_command_errors_total{operation="wal-show",reason="oversize"}': 1,
    'walg_scrape_success{operation="wal-show"}': 0,
    'walg_backups{backup_type="full"}': 2,
  });
});

test("a backup that was deleted is gone from the next page, and one that changed its type leaves nothing", async () => {
  const test = await plugin();
  await test.collect();
  const records = JSON.parse(await fixture("f1/backup-list.json"));
  records.pop();
  records[0].is_full = false;
  await standIn.reply("backup-list", { stdout: JSON.stringify(records) });
  const page = await test.collect();
  expect(page).not.toContain("_D_");
  expect(
    Object.keys(family(page, "walg_backup_info")).map((labels) => /backup_type="(\w+)"/.exec(labels)?.[1]),
  ).toEqual(["delta", "full"]);
  expect(family(page, "walg_backups_removed_total")).toEqual({ '{backup_type="delta"}': 1, '{backup_type="full"}': 0 });
});

test("with PostgreSQL down wal-verify's failure is counted, wal-show tells of the archive, and there is no lag", async () => {
  await standIn.reply("wal-verify-integrity-timeline", {
    stderr: "ERROR: Failed to establish a connection to Postgres cluster\n",
    status: 1,
  });
  const page = await (await plugin()).collect();
  expect(samplesOf(page)).toMatchObject({
    'walg_errors_total{error_type="command_failed",operation="wal-verify"}': 1,
    walg_scrape_errors_total: 1,
  });
  expect(family(page, "walg_wal_integrity_status")).toEqual({ '{timeline="1"}': 0, '{timeline="2"}': 1 });
  expect(page).not.toContain("walg_lsn_lag_bytes");
});

test("in the release profile wal-show stands in for a failing wal-verify only", async () => {
  const test = await plugin({ compat: "release" });
  await test.collect();
  expect((await standIn.calls()).filter((line) => line.startsWith("wal-show"))).toEqual([]);
  await standIn.reply("wal-verify-integrity-timeline", { status: 1 });
  const page = await test.collect();
  expect(family(page, "walg_wal_integrity_status")).toEqual({
    '{timeline_hex="00000001",timeline_id="1"}': 0,
    '{timeline_hex="00000002",timeline_id="2"}': 1,
  });
});

test("a storage that does not answer is down, with its latency, and no scrape error", async () => {
  await standIn.reply("st-check-read", { behaviour: "hang" });
  const page = await (await plugin({ storage: { timeout: "200ms" } })).collect();
  const found = samplesOf(page);
  expect(found).toMatchObject({
    walg_storage_up: 0,
    walg_storage_alive: 0,
    'walg_errors_total{error_type="connectivity_failed",operation="storage-check"}': 1,
    walg_scrape_errors_total: 0,
  });
  expect(found.walg_storage_latency_seconds).toBeGreaterThan(0.19);
});

test("before the first answers there are counters at 0, and no other word", async () => {
  await standIn.reply("backup-list", { behaviour: "hang" });
  await standIn.reply("st-check-read", { behaviour: "hang" });
  await standIn.reply("wal-show", { behaviour: "hang" });
  await standIn.reply("wal-verify-integrity-timeline", { behaviour: "hang" });
  const test = await plugin();
  const stop = start(test);
  await until("all hang", async () => (await standIn.processes()).length === 4);
  const page = await test.text();
  expect(page).not.toMatch(/^walg_(?:storage|pitr|backup_|scrape_success|archiver)/m);
  expect(samplesOf(page)[listErrors]).toBe(0);
  expect(family(page, "walg_errors_total")).toHaveProperty(
    '{error_type="connectivity_failed",operation="storage-check"}',
    0,
  );
  await stop();
});

test("a first failure does not outlast the next success", async () => {
  await standIn.reply("backup-list", { status: 1 });
  const test = await plugin();
  await expect(test.collect()).rejects.toThrow("exit status 1");
  await until("it is logged", () => warnings(test.logs).length > 0);
  await standIn.reply("backup-list", { stdout: await fixture("f1/backup-list.json") });
  expect(samplesOf(await test.collect())).toMatchObject({
    [listSuccess]: 1,
    [listErrors]: 1,
    'walg_backups{backup_type="full"}': 2,
  });
  expect(test.logs.filter(({ message }) => message === "Command works again")).toHaveLength(1);
});

test("a list that goes on failing is told once", async () => {
  await standIn.reply("backup-list", { status: 1 });
  const test = await plugin({ list: { interval: "20ms" } });
  const stop = start(test);
  await until("it failed often", async () => ((await value(test, listErrors)) ?? 0) > 3);
  await stop();
  expect(warnings(test.logs).filter(({ fields }) => fields.operation === "backup-list")).toHaveLength(1);
});

test("what was said too long ago is dropped when that is asked for", async () => {
  let clock = now();
  instance = await testPlugin(walg, { config: standIn.config({ stale_after: "5m" }), now: () => clock });
  await instance.collect();
  await standIn.reply("wal-show", { status: 1 });
  clock += 240_000;
  expect(family(await instance.collect(), "walg_wal_integrity_status")).not.toEqual({});
  clock += 120_000;
  await standIn.reply("wal-verify-integrity-timeline", { status: 1 });
  const page = await instance.collect();
  expect(family(page, "walg_timeline_info")).toEqual({});
  expect(family(page, "walg_backups")).not.toEqual({});
});

test("log levels and statistics are kept from wal-g, and no value of theirs is logged", async () => {
  await standIn.recordEnvironment();
  const test = await plugin({
    environment: {
      WALG_LOG_LEVEL: "DEVEL-secret",
      S3_LOG_LEVEL: "DEBUG",
      WALG_STATSD_ADDRESS: "statsd:8125",
      WALG_LOG_DESTINATION: "stdout",
      WALG_S3_PREFIX: "s3://bucket/main",
    },
  });
  await test.collect();
  const environment = await standIn.environment();
  expect(environment.filter((line) => /^(?:WALG_(?!STAND_IN)|S3_)/.test(line)).sort()).toEqual([
    "WALG_LOG_DESTINATION=stderr",
    "WALG_S3_PREFIX=s3://bucket/main",
  ]);
  expect(warnings(test.logs)[0]?.fields).toEqual({ variables: "WALG_LOG_LEVEL S3_LOG_LEVEL" });
  expect(JSON.stringify(test.logs)).not.toContain("DEVEL-secret");
});

test("two instances with their own environments do not meet", async () => {
  const other = await StandIn.create();
  await other.reply("backup-list", { stdout: "[]" });
  const [first, second] = [
    await plugin(),
    await testPlugin(walg, { config: other.config(), labels: { cluster: "billing" }, now }),
  ];
  const [one, two] = await Promise.all([first.collect(), second.collect()]);
  expect(one).toContain('walg_backups{backup_type="full"} 2');
  expect(two).toContain('walg_backups{backup_type="full",cluster="billing"} 0');
  await second.stop();
  await other.remove();
});

test.if(process.getuid?.() === 0)("wal-g runs as the user that is asked for", async () => {
  await standIn.recordEnvironment();
  await Bun.$`chmod -R a+rwX ${standIn.folder}`.quiet();
  const test = await plugin({ user: "nobody" });
  await test.collect();
  expect(await standIn.environment()).toContain("USER=nobody");
  const { uid } = await Bun.file(`${standIn.folder}/environment`).stat();
  expect(uid).not.toBe(0);
});

test("a user that does not exist is told at once", async () => {
  await expect(plugin({ user: "no-such-user" })).rejects.toThrow(
    'Cannot run wal-g as "no-such-user": there is no such user',
  );
});

test("where no server tells, the storage's listing says when WAL arrived", async () => {
  await standIn.reply("st-ls-wal_005", {
    stdout: "type size last modified name\nobj 16 2026-01-02 11:55:00 +0000 UTC 000000020000000000000051.lz4\n",
  });
  const page = await (await plugin({ wal_times: { enabled: true } })).collect();
  expect(family(page, "walg_wal_timestamp")).toEqual({ '{timeline="2"}': 1_767_354_900 });
  expect(family(page, "walg_pitr_usable_window_seconds")).toEqual({ "": 121_469.013 });
});

test("every page is whole, however many are read while answers come", async () => {
  const test = await plugin({ list: { interval: "1ms" }, storage: { interval: "1ms" }, wal: { interval: "1ms" } });
  const stop = start(test);
  await test.collect();
  for (let read = 0; read < 200; read++) {
    const page = await test.text();
    const names = (metric: string) =>
      Object.keys(family(page, metric))
        .map((labels) => /backup_name="([^"]*)"/.exec(labels)?.[1])
        .sort();
    expect(names("walg_backup_info")).toHaveLength(3);
    expect(names("walg_backup_finish_timestamp")).toEqual(names("walg_backup_info"));
    expect(names("walg_backup_timestamp")).toEqual(names("walg_backup_info"));
    await Bun.sleep(1);
  }
  await stop();
}, 20_000);

test("the whole page of F1 is the golden one", async () => {
  const page = await (await plugin()).collect();
  // How long commands took, and in which order they ended, is all that differs from run to run.
  const steady = page
    .replace(/^(?:# (?:HELP|TYPE) )?walg_command_duration_seconds.*\n/gm, "")
    .replace(/^(walg_(?:scrape|backup_list|wal_verify)_duration_seconds|walg_storage_latency_seconds) .*$/gm, "$1 …");
  const golden = new URL("../fixtures/walg/f1/page.txt", import.meta.url);
  if (process.env.UPDATE_GOLDEN) await Bun.write(golden, steady);
  expect(steady.split("\n")).toEqual((await Bun.file(golden).text()).split("\n"));
});

const promtool = Bun.which("promtool");
test.skipIf(promtool === null)("promtool finds nothing to say but for inherited names", async () => {
  const page = await (await plugin({ wal_times: { enabled: true } })).collect();
  const check = Bun.spawn([promtool ?? "", "check", "metrics"], {
    stdin: new TextEncoder().encode(page),
    stdout: "pipe",
    stderr: "pipe",
  });
  const said = `${await new Response(check.stdout).text()}${await new Response(check.stderr).text()}`;
  const inherited = /^walg_(?:backup_count|backup_timestamp|backup_start_timestamp|backup_finish_timestamp)\b/;
  expect(said.split("\n").filter((line) => line !== "" && !inherited.test(line))).toEqual([]);
});
