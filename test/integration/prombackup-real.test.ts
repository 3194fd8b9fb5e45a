import { expect, test } from "bun:test";
import { mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { claimDataFolder } from "../../agent/commands/snapshot/data-folder.ts";
import { snapshotFolder } from "../../plugins/common/tsdb/block-files.ts";
import { verifySnapshot } from "../../plugins/common/tsdb/verify.ts";
import { makeBlocks, wholeHoursAgo } from "../harness/demo-blocks.ts";
import { describeWith } from "../harness/describe-with.ts";
import { createFolder } from "../harness/folders.ts";
import { startPrometheus } from "../harness/prometheus.ts";
import { startSnapshotServer } from "../harness/snapshot-server.ts";
import { waitFor } from "../harness/wait.ts";

const main = new URL("../../agent/main.ts", import.meta.url).pathname;

async function holdfast(...args: string[]): Promise<string> {
  const child = Bun.spawn([process.execPath, main, ...args], { stdin: "ignore", stdout: "pipe", stderr: "pipe" });
  const [stdout, stderr] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()]);
  if ((await child.exited) !== 0) throw new Error(`${args.join(" ")}: ${stderr}`);
  return stdout;
}

const admin = "--web.enable-admin-api";

/** Their names, the oldest first: two snapshots may be of one second. */
async function manifestsIn(target: string): Promise<string[]> {
  const names = await readdir(join(target, "backups"));
  const read = async (name: string) =>
    JSON.parse(await readFile(join(target, "backups", name), "utf8")).completed as string;
  const dated = await Promise.all(names.map(async (name) => ({ name, completed: await read(name) })));
  return dated.sort((one, other) => (one.completed < other.completed ? -1 : 1)).map(({ name }) => name);
}

describeWith(["prometheus", "promtool"], "a real Prometheus", () => {
  test("snapshot, download in every format, verify, restore: the same query answers on both", async () => {
    await using folder = await createFolder("holdfast-real");
    const data = join(folder.path, "data");
    await mkdir(data);
    const from = wholeHoursAgo(8);
    await makeBlocks(data, { from, hours: 4, series: 20 });
    await using first = await startPrometheus({ targets: [], flags: [admin], dataFolder: data });
    const snapshots = join(data, "snapshots");
    await using server = await startSnapshotServer({ folder: snapshots, prometheus: first.url });
    const expression = "sum(sum_over_time(demo_value[4h]))";
    const time = from + 4 * 3600;
    const expected = await first.query(expression, time);
    expect(expected).toHaveLength(1);

    for (const format of ["tar", "tgz", "tzst", "zip"]) {
      const archive = join(folder.path, `a.${format}`);
      await holdfast(
        "snapshot",
        "create",
        "--server",
        server.url,
        "--format",
        format,
        "--output",
        archive,
        "--skip_head",
      );
      expect(await holdfast("snapshot", "verify", archive)).toMatch(/^right: [2-4] blocks/m);
    }
    const restored = join(folder.path, "restored");
    await holdfast("snapshot", "restore", join(folder.path, "a.tzst"), restored);
    await using second = await startPrometheus({ targets: [], dataFolder: restored });
    expect(await second.query(expression, time)).toEqual(expected);
    expect(second.log()).not.toContain("level=error");

    expect(await server.sample("prombackup_server_prometheus_up")).toBe(1);
    expect(await server.sample("prombackup_server_prometheus_admin_api_enabled")).toBe(1);
    expect(await server.sample("prombackup_server_snapshots_stored")).toBe(4);
    expect(await server.sample('prombackup_server_snapshots_total{trigger="api",result="success"}')).toBe(4);
  });

  test("a snapshot with the head in it is right, while it is scraped", async () => {
    let scrapes = 0;
    using scraped = Bun.serve({ hostname: "127.0.0.1", port: 0, fetch: () => new Response(`scrapes ${++scrapes}\n`) });
    await using prometheus = await startPrometheus({
      targets: [`127.0.0.1:${scraped.port}`],
      scrapeInterval: "100ms",
      flags: [admin],
    });
    await waitFor("samples", async () => (await prometheus.query("scrapes")).length > 0);
    const snapshots = join(prometheus.dataFolder, "snapshots");
    await using server = await startSnapshotServer({ folder: snapshots, prometheus: prometheus.url });
    const answer = await server.post("/api/snapshot");
    expect(answer.status).toBe(303);
    const { name } = (await answer.json()) as { name: string };
    const report = await verifySnapshot(await snapshotFolder(join(snapshots, name)));
    expect([report.problems, report.blocks.length]).toEqual([[], 1]);
    expect(report.blocks[0]?.meta?.stats.numSeries).toBeGreaterThan(1);
  });

  test.each([
    ["without the admin API", [], "admin APIs disabled: start Prometheus with --web.enable-admin-api"],
    ["in agent mode", [admin, "--enable-feature=agent"], "unavailable with Prometheus Agent"],
  ])("%s its own reason is told", async (_, flags, reason) => {
    await using prometheus = await startPrometheus({ targets: [], flags });
    await using server = await startSnapshotServer({ prometheus: prometheus.url });
    const answer = await server.post("/api/snapshot");
    expect([answer.status, await answer.text()]).toEqual([500, expect.stringContaining(reason)]);
    const enabled = flags.includes(admin) ? 1 : 0;
    expect(await server.sample("prombackup_server_prometheus_admin_api_enabled")).toBe(enabled);
  });

  test("a folder that is not Prometheus' is told, and a Prometheus that went away", async () => {
    await using prometheus = await startPrometheus({ targets: [], flags: [admin] });
    await using server = await startSnapshotServer({ prometheus: prometheus.url });
    const text = await (await server.post("/api/snapshot")).text();
    expect(text).toContain("is not in snapshot_dir");
    expect(text).toContain(prometheus.dataFolder);
    await prometheus.stop();
    expect(await (await server.post("/api/snapshot")).text()).toContain("connection refused");
    expect(await server.sample("prombackup_server_prometheus_up")).toBe(0);
  });

  test("backups: the second moves what changed alone, any generation can be restored, old ones go", async () => {
    await using folder = await createFolder("holdfast-backups");
    const data = join(folder.path, "data");
    const target = join(folder.path, "target");
    await mkdir(data);
    const from = wholeHoursAgo(8);
    await makeBlocks(data, { from, hours: 4, series: 20 });
    // What is known is to stay as it is, however long this takes: no compaction.
    const flags = [admin, "--storage.tsdb.min-block-duration=2h", "--storage.tsdb.max-block-duration=2h"];
    await using prometheus = await startPrometheus({ targets: [], flags, dataFolder: data });
    // A plugin that runs as in the agent: its start() is called.
    const backUpOnce = async (of: { retention?: object; now?: () => number } = {}) => {
      const { retention = {}, now } = of;
      const disk = { storage: { type: "local", directory: target }, retention };
      await using server = await startSnapshotServer({
        folder: join(data, "snapshots"),
        prometheus: prometheus.url,
        config: { backup: { targets: { disk }, every: "24h" } },
        ...(now ? { now } : {}),
      });
      const stopping = new AbortController();
      const running = server.test.instance.start?.({ signal: stopping.signal, run: undefined as never });
      const line = await waitFor("the backup", () => {
        const failed = server.test.logs.find(({ message }) => message === "Backup failed");
        if (failed) return failed;
        return server.test.logs.find(({ message }) => message === "Backup complete");
      });
      // What the retention forgets comes after that line, the snapshot goes last.
      if (line.message !== "Backup complete") throw new Error(String(line.fields.error));
      await waitFor("the end", async () => (await readdir(join(data, "snapshots"))).length === 0);
      expect(await server.sample('prombackup_server_target_backups{target="disk"}')).toBeGreaterThan(0);
      stopping.abort();
      await running;
      expect(line.message).toBe("Backup complete");
      return line.fields;
    };
    const first = await backUpOnce();
    // Blocks without deletions have equal tombstones: one file in the target.
    expect(Number(first.new_files)).toBeGreaterThanOrEqual(Number(first.files) - 3);
    const second = await backUpOnce();
    expect(Number(second.new_files)).toBeLessThanOrEqual(4);
    const select = "match[]=demo_value{series=%220%22}";
    const url = `${prometheus.url}/api/v1/admin/tsdb/delete_series?${select}`;
    expect((await fetch(url, { method: "POST" })).status).toBe(204);
    const third = await backUpOnce();
    // The meta.json and the tombstones of each block, and the head's four files.
    expect(Number(third.new_bytes)).toBeLessThan(Number(first.new_bytes) / 4);
    expect(Number(third.new_files)).toBeGreaterThan(0);

    const manifests = await manifestsIn(target);
    expect(manifests).toHaveLength(3);
    for (const [index, manifest] of manifests.entries()) {
      const restored = join(folder.path, `restored-${index}`);
      await holdfast("snapshot", "restore", join(target, "backups", manifest), restored);
      await using again = await startPrometheus({ targets: [], dataFolder: restored });
      const count = await again.query("count(count_over_time(demo_value[4h]))", from + 4 * 3600);
      expect(count[0]?.value).toBe(index < 2 ? 20 : 19);
    }

    // What no backup names any more stays for a day.
    await backUpOnce({ retention: { keep_last: 1 }, now: () => Date.now() + 2 * 86_400_000 });
    const [left = ""] = await readdir(join(target, "backups"));
    const named = JSON.parse(await readFile(join(target, "backups", left), "utf8")) as {
      files: { sha256_hex: string }[];
    };
    const stored = (await readdir(join(target, "files"), { recursive: true })).filter((name) => name.includes("/"));
    expect(stored).toHaveLength(new Set(named.files.map(({ sha256_hex }) => sha256_hex)).size);

    const [some = ""] = stored;
    await writeFile(join(target, "files", some), "damaged");
    const restoring = holdfast("snapshot", "restore", join(target, "backups", left), join(folder.path, "damaged"));
    await expect(restoring).rejects.toThrow("is damaged");
    await rm(target, { recursive: true });
  });
});

describeWith(["prometheus"], "a folder to restore into", () => {
  test("is refused while a Prometheus runs on it", async () => {
    await using prometheus = await startPrometheus({ targets: [] });
    // Debian's makes no lock file; its WAL is there from the first moment.
    const refusal = /^Cannot restore into .*: (?:a Prometheus runs on it|it is not empty)/;
    await expect(claimDataFolder(prometheus.dataFolder)).rejects.toThrow(refusal);
  });
});
