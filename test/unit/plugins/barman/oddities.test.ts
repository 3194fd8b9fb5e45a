/** Inputs that no Barman was seen to give, and changes between one collection and the next. */
import { describe, expect, test } from "bun:test";
import { readSamples } from "../../../harness/samples.ts";
import { failures, replay } from "./replay.ts";

const id = "20261121T071840";
const done = (backupId: string, more: object = {}) => ({
  backup_id: backupId,
  status: "DONE",
  end_time_timestamp: "1795245520",
  size_bytes: 10,
  wal_size_bytes: 1,
  ...more,
});
const detail = (server: string, backupId: string, status = "DONE", copyTime = 3) => ({
  stdout: JSON.stringify({
    [server]: { backup_id: backupId, status, base_backup_information: { copy_time_seconds: copyTime } },
  }),
});

/** An instance whose Barman lists this; every check is `{}` and every show-backup is answered. */
async function listing(list: unknown, config: unknown = {}) {
  const made = await replay({}, config);
  const barman = { list, checks: {} as unknown, show: detail };
  made.state.answer = (line) => {
    if (line === "list-backups all") return { stdout: JSON.stringify(barman.list) };
    if (line === "check all") return { stdout: JSON.stringify(barman.checks) };
    const [, server = "", backup = ""] = /^show-backup (.*) (\S+)$/s.exec(line) ?? [];
    return server === "" ? { stdout: "{}" } : barman.show(server, backup);
  };
  return { ...made, barman };
}

const names = [
  "with space",
  "dash-dot.under_",
  'quo"te',
  "back\\slash",
  "line\nbreak",
  "tab\tand\0nul",
  "1",
  "007",
  "__proto__",
  "constructor",
  "toString",
  "請求-ü-🐘",
  "{}",
  "a,b=c",
  "-f",
  "",
];

test("servers of any name have all their series, and the page can be read back", async () => {
  // JSON.parse is not an assignment: it makes a property even of `__proto__`.
  const object = (value: unknown) =>
    JSON.parse(`{${names.map((name) => `${JSON.stringify(name)}:${JSON.stringify(value)}`)}}`);
  const { collect, barman, plugin } = await listing(object([done(id)]));
  barman.checks = object({ ssh: { status: "OK" } });
  await collect();
  const samples = readSamples(await plugin.text());
  for (const metric of [
    "barman_last_backup",
    "barman_backup_size",
    "barman_last_backup_copy_time",
    "barman_check_ok",
  ]) {
    const servers = samples.filter(({ name }) => name === metric).map(({ labels }) => labels.server);
    // A show-backup of a server without a name is no command line that the stand-in knows.
    const expected = metric === "barman_last_backup_copy_time" ? names.filter(Boolean) : names;
    expect(servers.sort()).toEqual([...expected].sort());
  }
});

describe("of a server's list", () => {
  test.each([
    ["a null", [null, done(id)]],
    ["a text", ["20261121T071841", done(id)]],
    ["an entry without an id", [{ status: "DONE" }, done(id)]],
    ["an entry without a status", [{ backup_id: "20261121T071841" }, done(id)]],
    ["an entry with an empty id", [done(""), done(id)]],
  ])("%s keeps its place and counts, and the rest is shown", async (_, list) => {
    const { collect } = await listing({ pg: list });
    const page = await collect();
    expect(page.of("barman_backups_total")).toEqual({ '{server="pg"}': 2 });
    expect(page.of("barman_backup_size")).toEqual({ '{number="1",server="pg"}': 10 });
    expect(page.of("barman_last_backup")).toEqual({ '{server="pg"}': 2480 });
    expect(page.of("barman_backups")['{server="pg",status="UNKNOWN"}']).toBe(1);
  });
  test.each([[{}], [null], ["text"], [7], [[null]], [["20261121T071841"]], [{ 0: done(id) }]])(
    "%j is no list: a failure, and never 0 backups",
    async (list) => {
      const { collect } = await listing({ pg: list, other: [] });
      const page = await collect();
      expect(page.of("barman_backups_total")).toEqual({ '{server="other"}': 0 });
      expect(failures(page)).toEqual({ '{command="list-backups",reason="parse"}': 1 });
    },
  );
});

test("every field as null, negative, huge or of another type costs its own sample only", async () => {
  const odd = [null, -1, "-1", 1e308, "1e999", true, [], {}, "", "NaN", "Infinity", "0x10", " 7"];
  for (const value of odd) {
    const more = { end_time_timestamp: value, size_bytes: value, wal_size_bytes: value, retention_status: value };
    const { collect, barman } = await listing({ pg: [done(id, { ...more, backup_name: value, backup_type: value })] });
    barman.checks = { pg: { postgresql: value, ssh: { status: value, hint: value }, ok: { status: "OK" } } };
    barman.show = (server) => ({
      stdout: JSON.stringify({
        [server]: {
          backup_id: id,
          status: "DONE",
          base_backup_information: { copy_time_seconds: value, throughput_bytes: value, end_time: value },
          wal_information: { no_of_files: value, wal_rate_per_second: value },
        },
      }),
    });
    const page = await collect();
    expect(page.of("barman_backups_total")).toEqual({ '{server="pg"}': 1 });
    expect(page.of("barman_up")['{check="ok",server="pg"}']).toBe(1);
    for (const number of page.samples.values()) expect(number).toBeFinite();
    for (const name of ["barman_backup_size", "barman_last_backup_wal_files", "barman_last_backup_throughput"]) {
      for (const number of Object.values(page.of(name))) expect(number).toBeGreaterThanOrEqual(0);
    }
  }
});

test.each(["nightly", "20269999T999999", "2026", "20261121T071840-2", "00000101T000000"])(
  "a backup with the id %j, which is no date, has sizes and an age but no begin",
  async (odd) => {
    const { collect, run } = await listing({ pg: [done(odd), { backup_id: `${odd}x`, status: "FAILED" }] });
    const page = await collect();
    expect(run.calls).toContain(`show-backup pg ${odd}`);
    expect(page.of("barman_last_backup")).toEqual({ '{server="pg"}': 2480 });
    expect(page.of("barman_backup_last_failed_timestamp_seconds")).toEqual({});
  },
);

test("of a server that is given twice the last counts, as JSON has it", async () => {
  const { collect, state } = await listing({});
  state.answer = (line) =>
    line === "list-backups all" ? { stdout: `{"pg": [], "pg": [${JSON.stringify(done(id))}]}` } : { stdout: "{}" };
  expect((await collect()).of("barman_backups_total")).toEqual({ '{server="pg"}': 1 });
});

test("a server whose checks are {} has the fixed ones as 0, and is not called healthy", async () => {
  const { collect, barman } = await listing({ pg: [] });
  barman.checks = { pg: {} };
  const page = await collect();
  expect(Object.values(page.of("barman_up"))).toEqual(Array(21).fill(0));
  expect(page.of("barman_check_ok")).toEqual({});
});

test("3000 servers: the first collection asks for all of them, the next for none", async () => {
  const list = Object.fromEntries(Array.from({ length: 3000 }, (_, at) => [`db${at}`, [done(id)]]));
  const { collect, run } = await listing(list);
  const page = await collect();
  expect(run.calls).toHaveLength(3002);
  expect(Object.keys(page.of("barman_last_backup_copy_time"))).toHaveLength(3000);
  await collect(60);
  expect(run.calls).toHaveLength(2);
}, 120_000);

test("a server that vanishes and comes back begins anew", async () => {
  const { collect, barman, run } = await listing({ a: [done(id)], b: [done(id)] });
  await collect();
  barman.list = { a: [done(id)] };
  const without = await collect(60);
  expect([...without.samples.keys()].filter((series) => series.includes('server="b"'))).toEqual([]);
  barman.list = { a: [done(id)], b: [done(id)] };
  const again = await collect(60);
  expect(run.calls).toContain(`show-backup b ${id}`);
  expect(again.of("barman_last_backup_copy_time")).toContainKey('{server="b"}');
});

test("a backup that runs, then waits for WAL, then is done; and one that fails", async () => {
  const { collect, barman, run } = await listing({ pg: [{ backup_id: id, status: "STARTED" }] });
  const shows = () => run.calls.filter((line) => line.startsWith("show-backup"));
  const running = await collect();
  expect(shows()).toEqual([]);
  expect(running.of("barman_backup_running")).toEqual({ '{server="pg"}': 1 });
  expect(running.of("barman_last_backup")).toEqual({});

  barman.list = { pg: [done(id, { status: "WAITING_FOR_WALS" })] };
  const waiting = await collect(60);
  expect(shows()).toHaveLength(1);
  expect(waiting.of("barman_backup_running")).toEqual({ '{server="pg"}': 0 });
  expect(waiting.of("barman_last_backup_copy_time")).toEqual({ '{server="pg"}': 3 });
  expect(waiting.of("barman_backup_size")).toEqual({});

  barman.list = { pg: [done(id)] };
  barman.show = () => ({ stdout: "", exitCode: 1 }) as never;
  expect((await collect(60)).of("barman_last_backup_copy_time")).toEqual({ '{server="pg"}': 3 });
  barman.show = (server, backup) => detail(server, backup, "DONE", 4);
  expect((await collect(60)).of("barman_last_backup_copy_time")).toEqual({ '{server="pg"}': 4 });
  await collect(60);
  expect(shows()).toEqual([]);

  barman.list = { pg: [{ backup_id: id, status: "FAILED" }] };
  const failed = await collect(60);
  expect(failed.of("barman_last_backup_copy_time")).toEqual({});
  expect(failed.of("barman_backups_failed")).toEqual({ '{server="pg"}': 1 });
});

test("what the retention policy says now is what is shown, and a backup that it deleted is gone", async () => {
  const of = (status: string) => done(id, { retention_status: status });
  const { collect, barman } = await listing({ pg: [of("-"), done("20261120T071840", { retention_status: "-" })] });
  const config = (await collect()).of("barman_backups_by_retention");
  expect(config).toEqual({ '{retention_status="-",server="pg"}': 2 });
  barman.list = { pg: [of("-"), done("20261120T071840", { retention_status: "OBSOLETE" })] };
  expect((await collect(60)).of("barman_backups_by_retention")).toEqual({
    '{retention_status="-",server="pg"}': 1,
    '{retention_status="OBSOLETE",server="pg"}': 1,
  });
  barman.list = { pg: [of("KEEP:FULL")] };
  const kept = await collect(60);
  expect(kept.of("barman_backups_by_retention")).toEqual({ '{retention_status="KEEP:FULL",server="pg"}': 1 });
  expect(Object.keys(kept.of("barman_backup_size"))).toEqual(['{number="0",server="pg"}']);
});

test("a last backup that is deleted gives way to the one before, and its figures to those of that one", async () => {
  const { collect, barman, run } = await listing({ pg: [done(id), done("20261120T071840")] });
  barman.show = (server, backup) => detail(server, backup, "DONE", backup === id ? 3 : 5);
  expect((await collect()).of("barman_last_backup_copy_time")).toEqual({ '{server="pg"}': 3 });
  barman.list = { pg: [done("20261120T071840")] };
  expect((await collect(60)).of("barman_last_backup_copy_time")).toEqual({ '{server="pg"}': 5 });
  expect(run.calls).toContain("show-backup pg 20261120T071840");
});

test("a Barman that a signal ended is believed where its answer is whole, and only there", async () => {
  const { collect, state } = await replay();
  const whole = JSON.stringify({ pg: [done(id)] });
  const ended = (stdout: string) => (line: string) =>
    line.startsWith("list-backups") ? { stdout, exitCode: 128 } : undefined;
  state.answer = ended(whole.slice(0, -2));
  const cut = await collect();
  expect(cut.of("barman_backups_total")).toEqual({});
  expect(failures(cut)).toEqual({ '{command="list-backups",reason="exit"}': 1 });
  state.answer = ended(whole);
  expect((await collect(60)).of("barman_backups_total")).toEqual({ '{server="pg"}': 1 });
});

test("a flood on stderr beside a good answer is logged once, and shortened", async () => {
  const { collect, state, plugin } = await replay();
  const stderr = `${"WARNING: odd\n".repeat(5000)}${"x".repeat(100_000)}`;
  state.answer = (line) =>
    line.startsWith("list-backups") ? { stdout: JSON.stringify({ pg: [done(id)] }), stderr } : undefined;
  await collect();
  await collect(60);
  const warned = plugin.logs.filter(({ message }) => message === "Barman command warned");
  expect(warned.map(({ level }) => level)).toEqual(["warn", "debug"]);
  expect(JSON.stringify(plugin.logs).length).toBeLessThan(5000);
});
