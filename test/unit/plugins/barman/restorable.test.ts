/** What can be restored, by recordings of a real Barman. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { replay } from "./replay.ts";

const zone = process.env.TZ ?? "Etc/UTC";
beforeAll(() => {
  process.env.TZ = "UTC";
});
afterAll(() => {
  process.env.TZ = zone;
});

type Plugin = Awaited<ReturnType<typeof replay>>["plugin"];
const windowsOf = (plugin: Plugin) => plugin.instance.restorable?.() ?? [];
const windowOf = (plugin: Plugin, cluster: string) => windowsOf(plugin).find((window) => window.cluster === cluster);
const everything = ["backups", "checks", "servers", "wal", "replication"];

test("a server's window is that of its metrics: from the oldest backup's end to the newest archived WAL", async () => {
  const { plugin, collect } = await replay({ scenarios: ["healthy"] }, { collect: everything });
  expect(windowsOf(plugin)).toEqual([]);
  const page = await collect();
  const from = page.of("barman_backup_first_end_timestamp_seconds")['{server="pg"}'] ?? Number.NaN;
  const window = page.of("barman_recovery_window_seconds")['{server="pg"}'] ?? Number.NaN;
  expect(windowOf(plugin, "pg")).toEqual({ cluster: "pg", from, to: expect.closeTo(from + window, 3) });
});

test("without the archive's own word it ends with the newest backup, and says so", async () => {
  const { plugin, collect } = await replay({ scenarios: ["healthy"] });
  const page = await collect();
  const last = page.of("barman_backup_last_end_timestamp_seconds")['{server="pg"}'];
  expect(windowOf(plugin, "pg")).toMatchObject({ to: last, detail: expect.stringContaining("wal in collect") });
  expect(windowOf(plugin, "pg")?.reason).toBeUndefined();
});

test("a server without a backup cannot be restored, one that is inactive on purpose has no window", async () => {
  const { plugin, collect } = await replay({ scenarios: ["inactive-server"] });
  await collect();
  expect(windowsOf(plugin).map(({ cluster, reason }) => [cluster, reason])).toEqual([
    ["billing-db", "no_backup"],
    ["pg", undefined],
  ]);
});

test("a backup that waits for WAL is none yet, and failed ones are none at all", async () => {
  const list = (status: string) => ({
    stdout: JSON.stringify({
      pg: [
        { backup_id: "20261121T073412", status, end_time_timestamp: "1795246455", size_bytes: 5, wal_size_bytes: 0 },
      ],
    }),
  });
  const { state, plugin, collect } = await replay({ scenarios: ["healthy"] });
  for (const [status, detail] of [
    ["WAITING_FOR_WALS", "The only backup waits for the WAL that it needs to be consistent"],
    ["FAILED", "None of its backups has been completed"],
  ] as const) {
    state.answer = (line) => (line === "list-backups all" ? list(status) : undefined);
    await collect(60);
    expect(windowOf(plugin, "pg")).toEqual({ cluster: "pg", reason: "no_backup", detail });
  }
});

test("from a backup that is kept standalone no window begins: WAL behind it is not kept", async () => {
  const recording = new URL("../../../fixtures/barman/3.4.0/retention/keep_list-backups_pg.json", import.meta.url);
  const list: { pg: { retention_status: string; end_time_timestamp: string }[] } = await Bun.file(recording).json();
  const { state, plugin, collect } = await replay({ scenarios: ["healthy"] }, { collect: everything });
  const answer = (listed: unknown) => (line: string) =>
    line === "list-backups all" ? { stdout: JSON.stringify(listed) } : undefined;
  state.answer = answer(list);
  await collect();
  expect(windowOf(plugin, "pg")).toEqual({ cluster: "pg", from: 1795245474, to: expect.any(Number) });
  state.answer = answer({ pg: list.pg.filter((one) => one.retention_status === "KEEP:STANDALONE") });
  await collect(60);
  expect(windowOf(plugin, "pg")).toEqual({
    cluster: "pg",
    from: 1795245176,
    to: 1795245176,
    detail: "All backups are kept standalone: each can be restored to its own end, and no further",
  });
});

test("where Barman names no server any more, all that it named are unknown, and do not vanish", async () => {
  const { state, plugin, collect } = await replay({ scenarios: ["healthy"] });
  await collect();
  const clusters = windowsOf(plugin).map(({ cluster }) => cluster);
  expect(clusters).not.toEqual([]);
  // As when /etc/barman.d is not mounted, or cannot be read.
  state.answer = (line) => (line.startsWith("list-servers") ? undefined : { stdout: "{}" });
  for (const seconds of [60, 3600]) {
    await collect(seconds);
    expect(windowsOf(plugin).map(({ cluster, reason }) => [cluster, reason])).toEqual(
      clusters.map((cluster) => [cluster, "unknown"]),
    );
  }
  state.answer = undefined;
  await collect(60);
  expect(windowsOf(plugin).every(({ reason }) => reason === undefined)).toBe(true);
});

test("a server whose backups are not told any more is stale, and does not vanish", async () => {
  const { state, plugin, collect } = await replay({ scenarios: ["healthy"] }, { max_staleness: "5m" });
  await collect();
  state.answer = (line) => (line.startsWith("list-backups") ? { exitCode: 1, stderr: "disk error" } : undefined);
  await collect(60);
  expect(windowOf(plugin, "pg")?.reason).toBeUndefined();
  await collect(600);
  expect(windowOf(plugin, "pg")).toMatchObject({ reason: "stale" });
});

test("a collection that fails leaves the last windows", async () => {
  const { state, plugin, collect } = await replay({ scenarios: ["healthy"] });
  await collect();
  const before = windowsOf(plugin);
  state.answer = () => ({ exitCode: 1, stderr: "no Barman" });
  await expect(collect(60)).rejects.toThrow();
  expect(windowsOf(plugin)).toEqual(before);
});
