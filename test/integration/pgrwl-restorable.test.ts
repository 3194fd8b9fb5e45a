/** What the plugin tells of restores, with its real thread, a real server and a base backup of it. */
import { expect, test } from "bun:test";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { createRun, type RestorableWindow, testPlugin } from "../../agent/sdk/index.ts";
import plugin from "../../plugins/pgrwl/index.ts";
import { describeWith } from "../harness/describe-with.ts";
import { createFolder } from "../harness/folders.ts";
import { startPostgres } from "../harness/postgres.ts";
import { sampleValue } from "../harness/samples.ts";
import { waitFor } from "../harness/wait.ts";

/** An instance as the agent runs it. */
async function run(config: object) {
  const tested = await testPlugin(plugin, { config: { slot: "holdfast", ...config } });
  const stopping = new AbortController();
  const work = tested.instance.start?.({ signal: stopping.signal, run: createRun(stopping.signal) });
  work?.catch(() => {});
  return {
    until: (holds: (page: string) => boolean) => waitFor("the page", async () => holds(await tested.collect()), 60_000),
    window: (holds: (window: RestorableWindow) => boolean = () => true) =>
      waitFor("a window", () => tested.instance.restorable?.().find(holds), 60_000),
    async [Symbol.asyncDispose]() {
      stopping.abort();
      await tested.stop();
      await work?.catch(() => {});
    },
  };
}

describeWith(["postgresql"], "received WAL and a base backup", () => {
  test("WAL alone claims nothing; with a base backup all since its end can be restored", async () => {
    await using server = await startPostgres({}, { segmentMiB: 1 });
    await using folder = await createFolder("holdfast-restorable");
    const common = { directory: join(folder.path, "wal"), postgres: server.conninfo() };
    const storage = { type: "local", directory: join(folder.path, "archive") };
    await mkdir(storage.directory);
    const archived = (labels: string) => ({
      ...common,
      archive: { storage, retention: { keep: "1d", keep_from: labels } },
    });
    const switchWal = () => server.psql("CREATE TABLE IF NOT EXISTS t (); SELECT pg_switch_wal()");
    {
      await using alone = await run(common);
      await alone.until((page) => sampleValue(page, "pgrwl_connected") === 1);
      await switchWal();
      await alone.until((page) => (sampleValue(page, "pgrwl_wal_files_received_total") ?? 0) > 0);
      expect(await alone.window()).toMatchObject({ walOnly: true });
    }
    {
      await using expecting = await run(archived(join(folder.path, "nothing/*/backup_label")));
      expect(await expecting.window()).toMatchObject({ reason: "no_backup" });
    }
    const before = Date.now() / 1000;
    await using backup = await server.baseBackup();
    const after = Date.now() / 1000;
    await using known = await run(archived(join(backup.dataFolder, "backup_label")));
    await known.until((page) => sampleValue(page, "pgrwl_connected") === 1);
    // WAL of the backup's end may be on its way still.
    const { from = 0, reason, walOnly } = await known.window(({ from, to = 0 }) => from !== undefined && to >= from);
    expect({ reason, walOnly }).toEqual({ reason: undefined, walOnly: undefined });
    expect(from).toBeGreaterThanOrEqual(Math.floor(before));
    expect(from).toBeLessThanOrEqual(after + 1);
    await server.stop();
    await known.until((page) => sampleValue(page, "pgrwl_connected") === 0);
    const stopped = await known.window();
    expect(stopped.reason).toBeUndefined();
    expect((await known.window()).to).toBe(stopped.to);
  }, 180_000);

  test("over a promotion; a base backup of the primary that was left does not count", async () => {
    await using primary = await startPostgres({}, { segmentMiB: 1 });
    await using standby = await primary.standby();
    await using folder = await createFolder("holdfast-promoted");
    const configured = async (name: string, dataFolder: string) => {
      const storage = { type: "local", directory: join(folder.path, name, "archive") };
      await mkdir(storage.directory, { recursive: true });
      return {
        slot: `holdfast_${name}`,
        directory: join(folder.path, name, "wal"),
        postgres: standby.conninfo(),
        archive: { storage, retention: { keep: "1d", keep_from: join(dataFolder, "backup_label") } },
      };
    };
    const isConnected = (page: string) => sampleValue(page, "pgrwl_connected") === 1;
    const isOnNewTimeline = (page: string) => sampleValue(page, "pgrwl_timeline") === 2;
    await using before = await primary.baseBackup();
    await using receiver = await run(await configured("before", before.dataFolder));
    await receiver.until(isConnected);
    await primary.psql("CREATE TABLE t (); SELECT pg_switch_wal()");
    await standby.psql("SELECT pg_promote()");
    await receiver.until(isOnNewTimeline);
    await standby.psql("CREATE TABLE u (); SELECT pg_switch_wal()");
    await primary.psql("CREATE TABLE v (); SELECT pg_switch_wal(); CREATE TABLE w (); SELECT pg_switch_wal()");
    await using left = await primary.baseBackup();
    await standby.psql("CREATE TABLE w (); SELECT pg_switch_wal(); CREATE TABLE x (); SELECT pg_switch_wal()");
    const restorable = await receiver.window(({ from, reason }) => from !== undefined && reason === undefined);
    expect(restorable.walOnly).toBeUndefined();
    await using other = await run(await configured("left", left.dataFolder));
    await other.until(isConnected);
    await standby.psql("CREATE TABLE y (); SELECT pg_switch_wal()");
    expect(await other.window(({ reason }) => reason === "no_backup")).toMatchObject({
      detail: expect.stringContaining("left before 2 began"),
    });
  }, 120_000);
});
