/** The plugin with a command that stands in for wal-g: what it asks, and what it makes of the answers. */
import { expect, test } from "bun:test";
import { testPlugin } from "../../agent/sdk/index.ts";
import plugin from "../../plugins/walg/index.ts";
import { waitFor } from "../harness/wait.ts";
import { family, goldenPage, samplesOf, steadyPage } from "../harness/walg-page.ts";
import { listErrors, now, start, value, WalgUnderTest, warnings } from "../harness/walg-plugin.ts";
import { fixture, StandIn } from "../harness/walg-stand-in.ts";

const walg = new WalgUnderTest();

test("the commands are the exporter's to the letter, with --config last", async () => {
  const { collect } = await walg.plugin({ config_path: "/etc/wal-g.yaml" });
  await collect();
  expect((await walg.standIn.calls()).map((line) => line.replace(/^\S+ /, "")).sort()).toEqual([
    "--version",
    "backup-list --detail --json --config /etc/wal-g.yaml",
    "st check read --config /etc/wal-g.yaml",
    "wal-show --detailed-json --config /etc/wal-g.yaml",
    "wal-verify integrity timeline --json --config /etc/wal-g.yaml",
  ]);
});

test("the mock in the exporter's README gives the values that the README means", async () => {
  await walg.standIn.reply("backup-list", {
    stdout: '[{"backup_name":"test","time":"2024-01-01T12:00:00Z","is_full":true}]\n',
  });
  await walg.standIn.reply("wal-show", {
    stdout: '{"integrity":{"status":"OK","details":[{"timeline_id":1,"status":"FOUND"}]}}\n',
  });
  const page = await (await walg.plugin({ compat: "readme" })).collect();
  expect(family(page, "walg_backup_count")).toEqual({ '{backup_type="delta"}': 0, '{backup_type="full"}': 1 });
  expect(family(page, "walg_backup_timestamp")).toEqual({
    '{backup_name="test",backup_type="full",finish_lsn="0/0",permanent="false",start_lsn="0/0",wal_file=""}': 1_704_110_400,
  });
  expect(family(page, "walg_wal_integrity_status")).toEqual({ '{timeline="1"}': 1 });
  expect(await walg.standIn.calls()).toContain("st-ls: st ls");
});

test("an empty storage is no error, as new and as old wal-g say it", async () => {
  await walg.standIn.reply("backup-list", { stdout: "[]\n" });
  const test = await walg.plugin();
  expect(family(await test.collect(), "walg_backups")).toEqual({
    '{backup_type="delta"}': 0,
    '{backup_type="full"}': 0,
  });
  await walg.standIn.reply("backup-list", {
    stdout: "",
    stderr: "INFO: 2024/01/02 03:04:05.123456 No backups found\n",
  });
  expect(family(await test.collect(), "walg_backups")).toEqual({
    '{backup_type="delta"}': 0,
    '{backup_type="full"}': 0,
  });
  await walg.standIn.reply("backup-list", {
    stderr: "ERROR: 2025/02/25 10:06:35.305854 Failed to fetch list of backups in storage: No backups found\n",
    status: 1,
  });
  expect(family(await test.collect(), "walg_backups")).toEqual({
    '{backup_type="delta"}': 0,
    '{backup_type="full"}': 0,
  });
  expect(await value(test, listErrors)).toBe(0);
});

test("the first page waits for all first answers, the next ones for none", async () => {
  const test = await walg.plugin();
  const stop = start(test);
  const page = await test.collect();
  expect(samplesOf(page)).toMatchObject({
    walg_storage_up: 1,
    'walg_wal_verify_status{operation="integrity"}': 2,
    walg_timeline_current: 2,
  });
  await stop();
});

test("a backup that was deleted is gone from the next page, and one that changed its type leaves nothing", async () => {
  const test = await walg.plugin();
  await test.collect();
  const records = JSON.parse(await fixture("f1/backup-list.json"));
  records.pop();
  records[0].is_full = false;
  await walg.standIn.reply("backup-list", { stdout: JSON.stringify(records) });
  const page = await test.collect();
  expect(page).not.toContain("_D_");
  expect(
    Object.keys(family(page, "walg_backup_info")).map((labels) => /backup_type="(\w+)"/.exec(labels)?.[1]),
  ).toEqual(["delta", "full"]);
  expect(family(page, "walg_backups_removed_total")).toEqual({ '{backup_type="delta"}': 1, '{backup_type="full"}': 0 });
});

test("in the release profile wal-show stands in for a failing wal-verify only", async () => {
  const test = await walg.plugin({ compat: "release" });
  await test.collect();
  expect((await walg.standIn.calls()).filter((line) => line.startsWith("wal-show"))).toEqual([]);
  await walg.standIn.reply("wal-verify-integrity-timeline", { status: 1 });
  const page = await test.collect();
  expect(family(page, "walg_wal_integrity_status")).toEqual({
    '{timeline_hex="00000001",timeline_id="1"}': 0,
    '{timeline_hex="00000002",timeline_id="2"}': 1,
  });
});

test("before the first answers there are counters at 0, and no other word", async () => {
  await walg.standIn.reply("backup-list", { behaviour: "hang" });
  await walg.standIn.reply("st-check-read", { behaviour: "hang" });
  await walg.standIn.reply("wal-show", { behaviour: "hang" });
  await walg.standIn.reply("wal-verify-integrity-timeline", { behaviour: "hang" });
  const test = await walg.plugin();
  const stop = start(test);
  await waitFor("all hang", async () => (await walg.standIn.processes()).length === 4);
  const page = await test.text();
  expect(page).not.toMatch(/^walg_(?:storage|pitr|backup_|scrape_success|archiver)/m);
  expect(samplesOf(page)[listErrors]).toBe(0);
  expect(family(page, "walg_errors_total")).toHaveProperty(
    '{error_type="connectivity_failed",operation="storage-check"}',
    0,
  );
  await stop();
});

test("what was said too long ago is dropped when that is asked for", async () => {
  let clock = now();
  const instance = await walg.plugin({ stale_after: "5m" }, () => clock);
  await instance.collect();
  await walg.standIn.reply("wal-show", { status: 1 });
  clock += 240_000;
  expect(family(await instance.collect(), "walg_wal_integrity_status")).not.toEqual({});
  clock += 120_000;
  await walg.standIn.reply("wal-verify-integrity-timeline", { status: 1 });
  const page = await instance.collect();
  expect(family(page, "walg_timeline_info")).toEqual({});
  expect(family(page, "walg_backups")).not.toEqual({});
});

test("log levels and statistics are kept from wal-g, and no value of theirs is logged", async () => {
  await walg.standIn.recordEnvironment();
  const test = await walg.plugin({
    environment: {
      WALG_LOG_LEVEL: "DEVEL-secret",
      S3_LOG_LEVEL: "DEBUG",
      WALG_STATSD_ADDRESS: "statsd:8125",
      WALG_LOG_DESTINATION: "stdout",
      WALG_S3_PREFIX: "s3://bucket/main",
    },
  });
  await test.collect();
  const environment = await walg.standIn.environment();
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
    await walg.plugin(),
    await testPlugin(plugin, { config: other.config(), labels: { cluster: "billing" }, now }),
  ];
  const [one, two] = await Promise.all([first.collect(), second.collect()]);
  expect(one).toContain('walg_backups{backup_type="full"} 2');
  expect(two).toContain('walg_backups{backup_type="full",cluster="billing"} 0');
  await second.stop();
  await other.remove();
});

test.if(process.getuid?.() === 0)("wal-g runs as the user that is asked for", async () => {
  await walg.standIn.recordEnvironment();
  await Bun.$`chmod -R a+rwX ${walg.standIn.folder}`.quiet();
  const test = await walg.plugin({ user: "nobody" });
  await test.collect();
  expect(await walg.standIn.environment()).toContain("USER=nobody");
  const { uid } = await Bun.file(`${walg.standIn.folder}/environment`).stat();
  expect(uid).not.toBe(0);
});

const stored = (time: string, file: string) =>
  `type size last modified                 name\nobj  16   ${time} +0000 UTC ${file}\n`;
const asked = async () => (await walg.standIn.calls()).filter((line) => line.startsWith("st-")).toSorted();

test("where no server tells, the storage's listing says when WAL arrived", async () => {
  await walg.standIn.reply("st-ls-wal_005", {
    stdout: stored("2026-01-02 11:55:00", "000000020000000000000051.lz4"),
  });
  const page = await (await walg.plugin({ wal_times: { enabled: true } })).collect();
  expect(family(page, "walg_wal_timestamp")).toEqual({ '{timeline="2"}': 1_767_354_900 });
  expect(family(page, "walg_pitr_usable_window_seconds")).toEqual({ "": 121_469.013 });
});

test("once the newest segments are known, each is asked after by itself, and only when it is new", async () => {
  const listing = stored("2026-01-01 02:00:00", "000000010000000000000040.zst");
  await walg.standIn.reply("st-ls-wal_005", {
    stdout: `${listing}obj  16   2026-01-02 11:55:00 +0000 UTC 000000020000000000000051.zst\n`,
  });
  const instance = await walg.plugin({ wal_times: { enabled: true } });
  await instance.collect();
  const shown = JSON.parse(await fixture("f1/wal-show.json"));
  shown[1].end_segment = "000000020000000000000052";
  await walg.standIn.reply("wal-show", { stdout: JSON.stringify(shown) });
  await instance.collect();
  await walg.standIn.reply("st-stat-wal_005-000000020000000000000052.zst", {
    stdout: stored("2026-01-02 11:59:00.5", "wal_005/000000020000000000000052.zst"),
  });
  const page = await instance.collect();
  expect(family(page, "walg_wal_timestamp")).toEqual({
    '{timeline="1"}': 1_767_232_800,
    '{timeline="2"}': 1_767_355_140,
  });
  expect((await asked()).filter((line) => !line.includes("check"))).toEqual([
    "st-ls-wal_005: st ls wal_005",
    "st-stat-wal_005-000000020000000000000052.zst: st stat wal_005/000000020000000000000052.zst",
  ]);
});

test("a wal-g without st stat is asked for the whole listing again", async () => {
  const help = "Usage:\n  wal-g st [command]\n\nAvailable Commands:\n  ls\n";
  await walg.standIn.reply("st-stat-wal_005-000000020000000000000051.lz4", { stdout: help });
  await walg.standIn.reply("st-ls-wal_005", { stdout: stored("2026-01-02 11:55:00", "000000020000000000000051.lz4") });
  const instance = await walg.plugin({ wal_times: { enabled: true } });
  for (let round = 0; round < 3; round++)
    expect(family(await instance.collect(), "walg_wal_timestamp")).toEqual({ '{timeline="2"}': 1_767_354_900 });
});

test("a wal-g without st check is probed in the ways that it has", async () => {
  const help = { stdout: "Usage:\n  wal-g st [command]\n\nAvailable Commands:\n  ls\n" };
  const unknown = { status: 1, stderr: 'Error: unknown command "st" for "wal-g"\n' };
  await walg.standIn.reply("st-check-read", help);
  await walg.standIn.reply("st-check-write", help);
  const instance = await walg.plugin({ storage: { write_interval: "1h" } });
  expect(samplesOf(await instance.collect())).toMatchObject({ walg_storage_up: 1, walg_storage_write_up: 0 });
  expect(warnings(instance.logs)[0]?.fields.error).toBe(
    'Cannot probe the storage: this wal-g has no command "st check write"; 2.0.1 and newer ones have it',
  );
  await walg.standIn.reply("st-check-read", unknown);
  await walg.standIn.reply("st-ls", unknown);
  await walg.standIn.reply("backup-list-short", { stdout: "name last_modified wal_segment_backup_start\n" });
  expect(samplesOf(await instance.collect())).toMatchObject({ walg_storage_up: 1 });
  await walg.standIn.reply("st-ls", { status: 1, stderr: "ERROR: list folder: connection refused\n" });
  expect(samplesOf(await instance.collect())).toMatchObject({ walg_storage_up: 0 });
});

test("while wal-verify hangs, what the others found is on the page already", async () => {
  await walg.standIn.reply("wal-verify-integrity-timeline", { behaviour: "hang" });
  const instance = await walg.plugin();
  const stop = start(instance);
  const collecting = instance.collect();
  const published = await waitFor("a page with backups", () =>
    instance.published.find((page) => page.includes("walg_backups{") && page.includes("walg_storage_up 1")),
  );
  expect(family(published, "walg_backups")).toEqual({ '{backup_type="delta"}': 1, '{backup_type="full"}': 2 });
  expect(published).not.toContain("walg_wal_verify_status");
  const end = collecting.catch((error: unknown) => error);
  await instance.stop();
  await stop();
  expect(String(await end)).toContain("The instance stops");
});

test("every page is whole, however many are read while answers come", async () => {
  const test = await walg.plugin({ list: { interval: "1ms" }, storage: { interval: "1ms" }, wal: { interval: "1ms" } });
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
}, 120_000);

test("the whole page of F1 is the golden one", async () => {
  const page = steadyPage(await (await walg.plugin()).collect(), "stands");
  if (process.env.UPDATE_GOLDEN) await Bun.write(goldenPage, page);
  expect(page.split("\n")).toEqual((await Bun.file(goldenPage).text()).split("\n"));
});

const promtool = Bun.which("promtool");
test.skipIf(promtool === null)("promtool finds nothing to say but for inherited names", async () => {
  const page = await (await walg.plugin({ wal_times: { enabled: true } })).collect();
  const check = Bun.spawn([promtool ?? "", "check", "metrics"], {
    stdin: new TextEncoder().encode(page),
    stdout: "pipe",
    stderr: "pipe",
  });
  const said = `${await new Response(check.stdout).text()}${await new Response(check.stderr).text()}`;
  const inherited = /^walg_(?:backup_count|backup_timestamp|backup_start_timestamp|backup_finish_timestamp)\b/;
  expect(said.split("\n").filter((line) => line !== "" && !inherited.test(line))).toEqual([]);
});
