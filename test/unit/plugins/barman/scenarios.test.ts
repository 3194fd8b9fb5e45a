import { afterAll, beforeAll, expect, test } from "bun:test";
import { failures, replay, start } from "./replay.ts";

// Moments that only a backup id tells are read as local time.
const zone = process.env.TZ ?? "Etc/UTC";
beforeAll(() => {
  process.env.TZ = "UTC";
});
afterAll(() => {
  process.env.TZ = zone;
});

test("no configured server: only the plugin's own metrics, and no error", async () => {
  const { collect } = await replay({ scenarios: ["no-server"] });
  const page = await collect();
  const names = [...page.heads.keys()].filter((name) => !name.startsWith("barman_exporter_"));
  expect(names).toEqual(["barman_metrics_update"]);
  expect(failures(page)).toEqual({});
});

test("series of things that are gone vanish: a backup's place, a server, its last backup", async () => {
  const { state, collect } = await replay({ scenarios: ["mixed"] });
  const before = await collect();
  expect(before.of("barman_backup_size")).toContainKey('{number="0",server="pg"}');
  state.options = { scenarios: ["failed-backup"] };
  const after = await collect(60);
  expect(Object.keys(after.of("barman_backup_size"))).toEqual([1, 2, 3].map((n) => `{number="${n}",server="pg"}`));
  state.options = { scenarios: ["no-server"] };
  const empty = await collect(60);
  expect([...empty.samples.keys()].filter((series) => series.includes('server="'))).toEqual([]);
});

test("a server that leaves while list-backups fails is forgotten as soon as check no longer knows it", async () => {
  const { state, collect } = await replay({ scenarios: ["mixed"] });
  await collect();
  state.options = { scenarios: ["healthy"] };
  state.answer = (line) => (line === "list-backups all" ? { exitCode: 1, stderr: "disk error" } : undefined);
  const page = await collect(60);
  expect(page.of("barman_backups_total")).toEqual({ '{server="pg"}': 3 });
  expect(failures(page)).toEqual({ '{command="list-backups",reason="exit"}': 1 });
});

test("an inactive server costs the others nothing, and its checks are shown unless refused", async () => {
  const { collect } = await replay({ scenarios: ["inactive-server"] });
  const page = await collect();
  expect(page.of("barman_backups_total")).toEqual({ '{server="billing-db"}': 0, '{server="pg"}': expect.any(Number) });
  expect(page.of("barman_server_active")).toEqual({
    '{server="archive-old"}': 0,
    '{server="billing-db"}': 1,
    '{server="pg"}': 1,
  });
  expect(page.of("barman_up")['{check="postgresql",server="archive-old"}']).toBe(0);
  expect(failures(page)).toEqual({});
  const quiet = await replay({ scenarios: ["inactive-server"] }, { inactive_checks: false });
  const series = Object.keys((await quiet.collect()).of("barman_up"));
  expect(series.filter((one) => one.includes("archive-old"))).toEqual([]);
});

test("a disabled server makes the answer partial, and is marked", async () => {
  const { collect } = await replay({ scenarios: ["disabled-server"] });
  const page = await collect();
  expect(page.of("barman_backups_total")).toEqual({ '{server="billing-db"}': 0, '{server="pg"}': 4 });
  expect(page.of("barman_last_backup")).toEqual({ '{server="pg"}': 2480 });
  expect(page.of("barman_server_disabled")['{server="reports"}']).toBe(1);
  expect(page.of("barman_server_disabled")['{server="pg"}']).toBe(0);
  expect(failures(page)).toEqual({ '{command="list-backups",reason="partial"}': 1 });
});

test("a warning beside the data changes nothing but the count of messages", async () => {
  const { collect, plugin } = await replay({ scenarios: ["failing-checks/rsync"] });
  const page = await collect();
  expect(page.of("barman_up")['{check="ssh",server="pg-rsync"}']).toBe(0);
  expect(page.of("barman_exporter_messages")['{command="check",level="warning"}']).toBe(1);
  expect(failures(page)).toEqual({});
  await collect(60);
  const warnings = plugin.logs.filter(({ message }) => message === "Barman command warned");
  expect(warnings.map(({ level }) => level)).toEqual(["warn", "debug"]);
});

test("missing privileges show as the check that Barman reports and as the one that it replaces", async () => {
  const { collect } = await replay({ scenarios: ["failing-checks/unprivileged"] });
  const up = (await collect()).of("barman_up");
  expect(up['{check="no_access_to_backup_functions",server="pg"}']).toBe(0);
  expect(up['{check="superuser_or_standard_user_with_backup_privileges",server="pg"}']).toBe(0);
});

const damages = ["garbage-backup-info", "truncated-backup-info", "truncated-xlogdb"];
test.each(damages)(
  "%s: the damaged server keeps its last good data, never 0; the others are renewed",
  async (damage) => {
    const { state, run, collect } = await replay({ scenarios: ["mixed"] }, { max_staleness: "10m" });
    await collect();
    state.options = { scenarios: [`damaged-catalogue/${damage}`, "mixed"] };
    state.answer = (line) =>
      line === "list-backups pg" ? { stdout: '{"_EXCEPTION": ["invalid line"], "pg": []}', exitCode: 1 } : undefined;
    const kept = await collect(300);
    expect(kept.of("barman_backups_total")).toEqual({ '{server="billing-db"}': 0, '{server="pg"}': 3 });
    expect(kept.of("barman_last_backup")).toEqual({ '{server="pg"}': 2480 + 300 });
    expect(failures(kept)['{command="list-backups",reason="partial"}']).toBe(2);
    expect(run.calls).toContain("list-backups pg");
    expect(run.calls).not.toContain("list-backups billing-db");
    const success = kept.of("barman_exporter_command_last_success_timestamp_seconds");
    expect(success['{command="list-backups",server="pg"}']).toBe(start / 1000);
    expect(success['{command="list-backups",server="billing-db"}']).toBe(start / 1000 + 300);
    const dropped = await collect(301);
    expect(dropped.of("barman_backups_total")).toEqual({ '{server="billing-db"}': 0 });
  },
);

test("a server that an exception hid is asked for by itself", async () => {
  const { run, collect } = await replay({ scenarios: ["damaged-catalogue/garbage-backup-info", "mixed"] });
  const page = await collect();
  expect(run.calls).toContain("list-servers");
  expect(run.calls.filter((line) => line.startsWith("list-backups"))).toEqual(["list-backups all", "list-backups pg"]);
  expect(page.of("barman_backups_total")).toEqual({ '{server="billing-db"}': 0, '{server="pg"}': expect.any(Number) });
});

test("checks that an exception left out are not called failed", async () => {
  const { collect, state } = await replay({ scenarios: ["damaged-catalogue/truncated-xlogdb", "mixed"] });
  state.answer = (line) =>
    line === "check pg"
      ? { stdout: '{"_EXCEPTION": ["cannot parse"], "pg": {"directories": {"status": "OK", "hint": ""}}}', exitCode: 1 }
      : undefined;
  const page = await collect();
  const checks = Object.entries(page.of("barman_up")).filter(([series]) => series.includes('server="pg"'));
  expect(checks).toEqual([['{check="directories",server="pg"}', 1]]);
  expect(page.of("barman_check_ok")['{server="pg"}']).toBe(0);
});

test("WAL sizes that Barman could not count are absent, not 0", async () => {
  const { collect } = await replay({ scenarios: ["damaged-catalogue/bad-wal-name"] });
  const page = await collect();
  expect(page.of("barman_backups_total")['{server="pg"}']).toBe(5);
  expect(page.of("barman_backup_wal_size")).toEqual({});
  expect(page.of("barman_backup_size")).toEqual({});
});

test("a backup without copy statistics has an age but no copy time", async () => {
  const { collect } = await replay({ scenarios: ["damaged-catalogue/no-copy-stats"] });
  const page = await collect();
  expect(page.of("barman_last_backup")).toContainKey('{server="pg"}');
  expect(page.of("barman_last_backup_copy_time")).toEqual({});
  expect(page.of("barman_last_backup_throughput")).toEqual({});
});

test("log lines on stderr beside a good answer are logged and harm nothing", async () => {
  const { collect, plugin } = await replay({ scenarios: ["run-errors/logfile-unwritable"] });
  const page = await collect();
  expect(page.of("barman_backups_total")).toContainKey('{server="pg"}');
  expect(failures(page)).toEqual({});
  expect(plugin.logs.filter(({ level }) => level === "warn").length).toBe(2);
});

test("an answer that is not JSON fails its part with reason parse and leaves the other part alone", async () => {
  const { state, collect } = await replay();
  await collect();
  state.answer = (line) => (line.startsWith("list-backups") ? { stdout: '{"pg": [{"backup_id": "2026' } : undefined);
  const page = await collect(60);
  expect(failures(page)).toEqual({ '{command="list-backups",reason="parse"}': 1 });
  expect(page.of("barman_backups_total")).toEqual({ '{server="pg"}': 3 });
  expect(page.of("barman_up")['{check="postgresql",server="pg"}']).toBe(1);
});

test("odd values cost their own sample only", async () => {
  const backups = [
    { backup_id: "20261121T071842", status: "PAUSED", more: [1] },
    {
      backup_id: "20261121T071841",
      status: "DONE",
      size_bytes: "7",
      wal_size_bytes: 1.5,
      end_time_timestamp: 1795245521,
    },
    { backup_id: "20261121T071840", status: "DONE", size_bytes: {}, end_time_timestamp: "soon" },
  ];
  const { state, collect } = await replay();
  state.answer = (line) =>
    line === "list-backups all" ? { stdout: JSON.stringify({ pg: backups, odd: "text" }) } : undefined;
  const page = await collect();
  expect(page.of("barman_backups_total")).toEqual({ '{server="pg"}': 3 });
  expect(page.of("barman_backup_size")).toEqual({ '{number="1",server="pg"}': 7 });
  expect(page.of("barman_backup_wal_size")).toEqual({ '{number="1",server="pg"}': 1.5 });
  expect(page.of("barman_last_backup")).toEqual({ '{server="pg"}': 2479 });
  expect(page.of("barman_backups")['{server="pg",status="PAUSED"}']).toBe(1);
  expect(failures(page)['{command="list-backups",reason="parse"}']).toBe(1);
});

test("a backup deleted between list and show costs its server's show series only", async () => {
  const two = { pg: [{ backup_id: "20261121T071840", status: "DONE", end_time_timestamp: "1795245520" }] };
  const { state, collect } = await replay();
  state.answer = (line) => {
    if (line === "list-backups all") return { stdout: JSON.stringify({ ...two, gone: two.pg }) };
    return line.startsWith("show-backup gone")
      ? { stdout: `{"_ERROR": ["Unknown backup '20261121T071840' for server 'gone'"]}`, exitCode: 1 }
      : undefined;
  };
  const page = await collect();
  expect(page.of("barman_last_backup_copy_time")).toEqual({ '{server="pg"}': 0.375938 });
  expect(Object.keys(page.of("barman_last_backup"))).toEqual(['{server="gone"}', '{server="pg"}']);
  expect(failures(page)).toEqual({ '{command="show-backup",reason="exit"}': 1 });
});

test("Barman 3.17: the same series, and the type of each backup", async () => {
  const { collect } = await replay({ version: "3.17.0", scenarios: ["mixed"] }, { per_backup: { info: 1, sizes: 2 } });
  const page = await collect();
  expect(page.of("barman_last_backup_throughput")).toEqual({ '{server="pg"}': 148554354 });
  expect(page.of("barman_last_backup_wal_files")).toEqual({ '{server="pg"}': 2 });
  expect(Object.keys(page.of("barman_backup_size"))).toEqual(['{number="0",server="pg"}', '{number="1",server="pg"}']);
  const facts = 'backup_id="20261121T073318",backup_name="",backup_type="full",retention_status="-"';
  expect(page.of("barman_backup_info")).toEqual({ [`{${facts},server="pg",status="DONE"}`]: 1 });
});

test.each(["mixed", "failed-backup", "no-server"])(
  "Barman 3.17 and 3.4 give the same metrics of %s",
  async (scenario) => {
    const pages = await Promise.all(
      ["3.4.0", "3.17.0"].map(async (version) => (await replay({ version, scenarios: [scenario] })).collect()),
    );
    const [old, recent] = pages.map((page) => [...page.heads.keys()].filter((name) => Object.keys(page.of(name))[0]));
    expect(recent ?? []).toEqual(old ?? ["none"]);
  },
);

test("an end in the future is a negative age", async () => {
  const { state, collect } = await replay();
  state.now = 1795245000_000;
  expect((await collect()).of("barman_last_backup")).toEqual({ '{server="pg"}': -520 });
});

test("cache_ttl and checks_cache_ttl: seconds in which an answer is used again, with ages that go on", async () => {
  const { run, collect } = await replay({}, { cache_ttl: 300, checks_cache_ttl: "2m" });
  const first = await collect();
  expect(first.of("barman_last_backup")).toEqual({ '{server="pg"}': 2480 });
  const second = await collect(60);
  expect(run.calls).toEqual([]);
  expect(second.of("barman_last_backup")).toEqual({ '{server="pg"}': 2540 });
  await collect(60);
  expect(run.calls).toEqual(["check all"]);
  await collect(180);
  expect(run.calls).toEqual(["list-backups all", "check all"]);
});

test("show-backup runs once for a finished backup, again for its next status, and for its WAL after wal_ttl", async () => {
  const { state, run, collect } = await replay({ scenarios: ["waiting-for-wals"] }, { wal_ttl: "1h" });
  const shows = () => run.calls.filter((line) => line.startsWith("show-backup"));
  await collect();
  expect(shows()).toEqual(["show-backup pg 20261121T071324"]);
  await collect(60);
  expect(shows()).toEqual([]);
  const list = (status: string, wal: number) => {
    const backup = { backup_id: "20261121T071324", status, end_time_timestamp: "1795245474", wal_size_bytes: wal };
    state.answer = (line) => (line === "list-backups all" ? { stdout: JSON.stringify({ pg: [backup] }) } : undefined);
  };
  list("DONE", 0);
  await collect(60);
  expect(shows()).toHaveLength(1);
  list("DONE", 16777216);
  await collect(60);
  expect(shows()).toHaveLength(0);
  await collect(3600);
  expect(shows()).toHaveLength(1);
});

test("replication lag is positive, by stage; a client that takes a backup has none", async () => {
  const config = { collect: ["replication"] };
  const { state, collect } = await replay({ scenarios: ["hot-standby/replication-status_pg_replay"] }, config);
  const page = await collect();
  const lag = page.of("barman_replication_lag_bytes");
  expect(lag['{application_name="pg2",client_addr="10.20.0.11",server="pg",stage="replay"}']).toBe(8161928);
  expect(lag['{application_name="barman_receive_wal",client_addr="10.20.0.11",server="pg",stage="flush"}']).toBe(
    8209448,
  );
  expect(Object.keys(lag)).toHaveLength(7);
  expect(page.of("barman_replication_clients")).toEqual({
    '{kind="standby",server="pg",state="streaming",sync_state="async"}': 1,
    '{kind="wal_streamer",server="pg",state="streaming",sync_state="async"}': 1,
  });
  state.options = { scenarios: ["backup-in-progress"] };
  const backup = await collect(60);
  expect(Object.keys(backup.of("barman_replication_lag_bytes"))).toHaveLength(3);
  const clients = backup.of("barman_replication_clients");
  expect(clients['{kind="wal_streamer",server="pg",state="backup",sync_state="async"}']).toBe(1);
  expect(clients['{kind="standby",server="pg",state="streaming",sync_state="async"}']).toBe(0);
});

test("diagnose gives servers, WAL and slot, and nothing of its connection strings", async () => {
  const { collect, plugin, run } = await replay({ scenarios: ["healthy-archiver"] }, { collect: ["servers", "wal"] });
  const page = await collect();
  expect(run.calls).toEqual(["diagnose"]);
  expect(page.of("barman_wal_last_archived_timestamp_seconds")).toEqual({
    '{server="pg",timeline="1"}': 1795246459.8016536,
  });
  expect(page.of("barman_replication_slot_retained_bytes")).toEqual({ '{server="pg",slot="barman"}': 0x3000000 });
  expect(page.of("barman_postgres_wal_archived_total")).toEqual({ '{server="pg"}': 3 });
  expect(page.of("barman_postgres_up")).toEqual({ '{server="billing-db"}': 0, '{server="pg"}': 1 });
  expect(page.of("barman_exporter_barman_info")).toEqual({ '{version="3.4.0"}': 1 });
  const facts = 'backup_method="postgres",description="Main production database",passive="0",pg_version="15.18"';
  expect(page.of("barman_server_info")[`{${facts},server="pg"}`]).toBe(1);
  const all = (await plugin.text()) + JSON.stringify(plugin.logs);
  expect(all).not.toContain("user=barman");
});

test("what a backup run leaves is told in words of its own: status, retention, begin, duration, failure, running", async () => {
  const healthy = await (await replay()).collect();
  expect(healthy.of("barman_backup_last_start_timestamp_seconds")['{server="pg"}']).toBeCloseTo(1795245520.355433, 3);
  expect(healthy.of("barman_backup_last_duration_seconds")['{server="pg"}']).toBeCloseTo(0.381634, 3);
  expect(healthy.of("barman_recovery_window_seconds")).toEqual({ '{server="pg"}': 344 });
  const failed = await (await replay({ scenarios: ["failed-backup"] })).collect();
  expect(failed.of("barman_backup_last_failed_timestamp_seconds")).toEqual({ '{server="pg"}': 1795245606 });
  expect(failed.of("barman_backups")['{server="pg",status="FAILED"}']).toBe(1);
  const running = await (await replay({ scenarios: ["backup-in-progress"] })).collect();
  expect(running.of("barman_backup_running")['{server="pg"}']).toBe(1);
  expect(running.of("barman_backup_running_since_timestamp_seconds")).toEqual({ '{server="pg"}': 1795245606 });
  const retention = await (await replay({ scenarios: ["retention/redundancy2"] })).collect();
  const counts = retention.of("barman_backups_by_retention");
  expect(Object.keys(counts)).toContain('{retention_status="OBSOLETE",server="pg"}');
  const errors = await (await replay({ scenarios: ["failing-checks/archiver"] })).collect();
  expect(errors.of("barman_wal_error_files")).toEqual({ '{server="pg"}': 1 });
});

test("collect: [checks] runs nothing but check, and publishes no backup metric", async () => {
  const { run, collect } = await replay({}, { collect: ["checks"] });
  const page = await collect();
  expect(run.calls).toEqual(["check all"]);
  expect(page.of("barman_backups_total")).toEqual({});
});
