/** How the plugin bears wrong answers and none, from a command that stands in for wal-g. */
import { expect, test } from "bun:test";
import { backupListOf } from "../../scripts/bench/walg-storage.ts";
import { waitFor } from "../harness/wait.ts";
import { family, samplesOf } from "../harness/walg-page.ts";
import { listErrors, listSuccess, now, start, value, WalgUnderTest, warnings } from "../harness/walg-plugin.ts";
import { fixture, isRunning } from "../harness/walg-stand-in.ts";

const walg = new WalgUnderTest();

test.each(["", '[{"backup_name":"base_A"', "null", "{}", "No backups"])(
  "%j for a list counts as a parse error and changes no series",
  async (stdout) => {
    const test = await walg.plugin();
    await test.collect();
    await walg.standIn.reply("backup-list", { stdout });
    expect(test.collect()).rejects.toThrow(SyntaxError);
    await waitFor("the page tells of the failure", async () => (await value(test, listSuccess)) === 0);
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
  await walg.standIn.reply("backup-list", failing);
  await walg.standIn.reply("backup-list-short", failing);
  const test = await walg.plugin();
  await expect(test.collect()).rejects.toThrow(/exit status 1: ERROR: 2026\/01\/02 storage is locked/);
  await waitFor("it is logged", () => warnings(test.logs).length > 0);
  expect(warnings(test.logs)[0]?.fields).toMatchObject({
    operation: "backup-list",
    reason: "exit",
    stderr: "ERROR: 2026/01/02 storage is locked",
  });
  expect(await value(test, listErrors)).toBe(1);
});

test("a list that wal-g refuses for want of metadata is taken without details", async () => {
  const test = await walg.plugin();
  await test.collect();
  await walg.standIn.reply("backup-list", { stderr: "ERROR: metadata.json does not exist\n", status: 1 });
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
  await walg.standIn.reply("backup-list-short", { stdout: JSON.stringify(short) });
  const page = await test.collect();
  expect(samplesOf(page)).toMatchObject({
    'walg_backups{backup_type="full"}': 2,
    'walg_backups{backup_type="delta"}': 1,
    walg_backups_incomplete_metadata: 1,
    [listErrors]: 1,
    'walg_backup_finish_timestamp{backup_name="base_000000010000000000000010"}': 1_767_233_430,
  });
});

test("timelines that wal-g refuses for want of a backup's metadata are taken without backups", async () => {
  const timelines = await fixture("f1/wal-show.json");
  await walg.standIn.reply("wal-show", { stderr: "ERROR: Failed to add backups info: object not found\n", status: 1 });
  await walg.standIn.reply("wal-show-without-backups", { stdout: timelines });
  expect(family(await (await walg.plugin()).collect(), "walg_wal_integrity_status")).toEqual({
    '{timeline="1"}': 0,
    '{timeline="2"}': 1,
  });
});

test("a name that is no UTF-8 makes a valid page", async () => {
  const list = Buffer.from('[{"backup_name":"base_?","time":"2026-01-02T11:00:00Z"}]');
  list[list.indexOf("?")] = 0xff;
  await walg.standIn.reply("backup-list", { stdout: list });
  expect(await (await walg.plugin()).collect()).toContain('walg_backup_info{backup_name="base_\ufffd",');
});

test("a file of timeline 0, which no server writes, is kept and warned of once", async () => {
  const timelines = JSON.parse(await fixture("f1/wal-show.json"));
  const junk = {
    ...timelines[0],
    id: 0,
    start_segment: "000000000000000000000001",
    end_segment: "000000000000000000000001",
  };
  await walg.standIn.reply("wal-show", { stdout: JSON.stringify([junk, ...timelines]) });
  const test = await walg.plugin();
  await test.collect();
  expect(Object.keys(family(await test.collect(), "walg_timeline_info"))).toHaveLength(3);
  expect(warnings(test.logs).filter(({ message }) => message.includes("timeline 0"))).toHaveLength(1);
});

test.each(["/nonexistent/wal-g", "/etc/hostname"])(
  "%s is no executable: that is told, and the page stays",
  async (path) => {
    const test = await walg.plugin({ path });
    await expect(test.collect()).rejects.toMatchObject({ reason: "spawn" });
    await waitFor("the page tells of the failure", async () => (await value(test, listSuccess)) === 0);
    expect(await value(test, 'walg_command_errors_total{operation="storage-check",reason="spawn"}')).toBe(1);
    expect(await value(test, "walg_storage_up")).toBe(0);
  },
);

test("a command that ignores SIGTERM, with a child that holds stdout, is ended and delays no other", async () => {
  await walg.standIn.reply("wal-verify-integrity-timeline", { behaviour: "stubborn" });
  const test = await walg.plugin({
    first_wait: "10ms",
    wal: { interval: "1h", timeout: "5s" },
    list: { interval: "50ms" },
    storage: { interval: "50ms" },
  });
  const stop = start(test);
  await test.collect();
  await waitFor("it hangs", async () => (await walg.standIn.processes()).length === 2);
  const before = (await walg.standIn.calls()).filter((line) => line.startsWith("backup-list")).length;
  await waitFor(
    "others go on",
    async () => (await walg.standIn.calls()).filter((line) => line.startsWith("backup-list")).length > before + 3,
  );
  expect(await value(test, 'walg_command_errors_total{operation="wal-verify",reason="timeout"}')).toBe(0);
  await test.collect();
  // It has not waited for the one that hangs.
  expect(await value(test, 'walg_command_errors_total{operation="wal-verify",reason="timeout"}')).toBe(0);
  const processes = await walg.standIn.processes();
  await waitFor(
    "it is counted",
    async () => (await value(test, 'walg_command_errors_total{operation="wal-verify",reason="timeout"}')) === 1,
  );
  await waitFor("its processes are gone", async () => !(await Promise.all(processes.map(isRunning))).includes(true));
  await stop();
});

test("a child left behind with stdout in its hands does not keep the answer", async () => {
  await walg.standIn.reply("backup-list", { stdout: await fixture("f1/backup-list.json"), behaviour: "holder" });
  const page = await (await walg.plugin()).collect();
  expect(family(page, "walg_backups")).toMatchObject({ '{backup_type="full"}': 2 });
  const [child = 0] = await walg.standIn.processes();
  await waitFor("the child is gone", async () => !(await isRunning(child)));
});

test("stopping ends a running command at once and leaves no orphan", async () => {
  await walg.standIn.reply("backup-list", { behaviour: "hang" });
  const test = await walg.plugin();
  const stop = start(test);
  await waitFor("it hangs", async () => (await walg.standIn.processes()).length === 1);
  const begin = performance.now();
  await stop();
  expect(performance.now() - begin).toBeLessThan(5000);
  const [pid = 0] = await walg.standIn.processes();
  await waitFor("it is gone", async () => !(await isRunning(pid)));
});

test("more output than allowed is refused as such, and the rest is fine", async () => {
  await walg.standIn.reply("wal-show", {
    stdout: `[{"id":1,"missing_segments":[${'"000000010000000000000002",'.repeat(100_000)}`,
  });
  const page = await (await walg.plugin({ max_output: "1MiB" })).collect();
  expect(samplesOf(page)).toMatchObject({
    'walg_command_errors_total{operation="wal-show",reason="oversize"}': 1,
    'walg_scrape_success{operation="wal-show"}': 0,
    'walg_backups{backup_type="full"}': 2,
  });
});

test("with PostgreSQL down wal-verify's failure is counted, wal-show tells of the archive, and there is no lag", async () => {
  await walg.standIn.reply("wal-verify-integrity-timeline", {
    stderr: "ERROR: Failed to establish a connection to Postgres cluster\n",
    status: 1,
  });
  const page = await (await walg.plugin()).collect();
  expect(samplesOf(page)).toMatchObject({
    'walg_errors_total{error_type="command_failed",operation="wal-verify"}': 1,
    walg_scrape_errors_total: 1,
  });
  expect(family(page, "walg_wal_integrity_status")).toEqual({ '{timeline="1"}': 0, '{timeline="2"}': 1 });
  expect(page).not.toContain("walg_lsn_lag_bytes");
});

test("a storage that does not answer is down, with its latency, and no scrape error", async () => {
  await walg.standIn.reply("st-check-read", { behaviour: "hang" });
  const page = await (await walg.plugin({ storage: { timeout: "200ms" } })).collect();
  const found = samplesOf(page);
  expect(found).toMatchObject({
    walg_storage_up: 0,
    walg_storage_alive: 0,
    'walg_errors_total{error_type="connectivity_failed",operation="storage-check"}': 1,
    walg_scrape_errors_total: 0,
  });
  expect(found.walg_storage_latency_seconds).toBeGreaterThan(0.19);
});

test("a first failure does not outlast the next success", async () => {
  await walg.standIn.reply("backup-list", { status: 1 });
  const test = await walg.plugin();
  await expect(test.collect()).rejects.toThrow("exit status 1");
  await waitFor("it is logged", () => warnings(test.logs).length > 0);
  await walg.standIn.reply("backup-list", { stdout: await fixture("f1/backup-list.json") });
  expect(samplesOf(await test.collect())).toMatchObject({
    [listSuccess]: 1,
    [listErrors]: 1,
    'walg_backups{backup_type="full"}': 2,
  });
  expect(test.logs.filter(({ message }) => message === "Command works again")).toHaveLength(1);
});

test("the series of a long list are let go of once they are published, and stand on every page after that", async () => {
  await walg.standIn.reply("backup-list", { stdout: backupListOf(1400) });
  const test = await walg.plugin();
  expect(await test.collect()).toContain('walg_backups{backup_type="full"} 200');
  await waitFor("the series to go", async () => !(await test.text()).includes("walg_backup_info{"));
  await walg.standIn.reply("backup-list", { status: 1 });
  await expect(test.collect()).rejects.toThrow("exit status 1");
  const page = await waitFor("the series to be back", async () => {
    const text = await test.text();
    return text.includes("walg_backup_info{") && text;
  });
  expect(Object.keys(family(page, "walg_backup_info"))).toHaveLength(1400);
});

test("a list that goes on failing is told once", async () => {
  await walg.standIn.reply("backup-list", { status: 1 });
  const test = await walg.plugin({ list: { interval: "20ms" } });
  const stop = start(test);
  await waitFor("it failed often", async () => ((await value(test, listErrors)) ?? 0) > 3);
  await stop();
  expect(warnings(test.logs).filter(({ fields }) => fields.operation === "backup-list")).toHaveLength(1);
});

test("a user that does not exist is told at once", async () => {
  await expect(walg.plugin({ user: "no-such-user" })).rejects.toThrow(
    'Cannot run wal-g as "no-such-user": there is no such user',
  );
});
