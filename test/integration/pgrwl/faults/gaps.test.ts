/** Breaks of the chain of WAL: never silent, refused unless told otherwise, and then with nothing lost but what is missing. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { cp, readdir } from "node:fs/promises";
import { join } from "node:path";
import { describeWith } from "../../../harness/describe-with.ts";
import { createFolder } from "../../../harness/folders.ts";
import { type PostgresServer, startPostgres } from "../../../harness/postgres.ts";
import { runTool } from "../../../harness/processes.ts";
import { waitFor } from "../../../harness/wait.ts";
import { dropSlot } from "../../../harness/wal-receiver.ts";
import { faultsIn, type Instance, slot, startInstance, writeWal } from "./instance.ts";

const settings = {
  autovacuum: "off",
  checkpoint_timeout: "1h",
  wal_keep_size: "0",
  max_wal_size: "64MB",
  min_wal_size: "2MB",
};

/** Makes the server remove WAL that nobody keeps; its checkpoints look at it one after the other. */
async function removeOldWal(server: PostgresServer): Promise<void> {
  const [oldest] = await server.walFiles();
  await waitFor("the removal of WAL", async () => {
    await writeWal(server, 2);
    await server.psql("CHECKPOINT");
    const files = await server.walFiles();
    return oldest !== undefined && !files.includes(oldest);
  });
}

/** Receives a few segments, and ends. */
async function receiveSome(server: PostgresServer): Promise<{ instance: Instance; files: string[] }> {
  await using cleanup = new AsyncDisposableStack();
  const instance = cleanup.use(await startInstance(server));
  await instance.until("streaming");
  await writeWal(server, 2);
  await instance.caughtUp(server);
  await instance.kill();
  cleanup.move();
  return { instance, files: await instance.files() };
}

const again = (server: PostgresServer, { directory }: Instance, config: Record<string, unknown> = {}) =>
  startInstance(server, { directory, config, makeSlot: false });

/** All files below the folder, by the names that they had before they were moved. */
async function everything(directory: string): Promise<string[]> {
  const paths = await readdir(directory, { recursive: true });
  return paths.map((path) => path.replace(/^set-aside\/([0-9A-F]+(?:\.partial|\.history)?)\..*$/, "$1"));
}

describeWith(["postgresql", "dist/holdfast"], "gaps", () => {
  let server: PostgresServer;
  beforeAll(async () => {
    server = await startPostgres(settings, { segmentMiB: 1 });
  }, 120_000);
  afterAll(() => server[Symbol.asyncDispose]());

  test("a slot that was dropped, with its WAL still there, is made anew with a warning, and nothing is missing", async () => {
    const { instance } = await receiveSome(server);
    await using _ = instance;
    await dropSlot(server, slot);
    await writeWal(server, 1);
    await using next = await again(server, instance);
    await next.caughtUp(server);
    await next.untilValue("pgrwl_slots_created_total", {}, 1);
    expect(next.log()).toMatch(/level=warn.*slot was missing and has been created/);
    expect(await next.value("pgrwl_gaps_total", { reason: "wal_removed" })).toBe(0);
    const faults = await faultsIn(next.directory, server);
    expect(faults.filter((fault) => !fault.includes("no server has it"))).toEqual([]);
    await next.stop();
    await dropSlot(server, slot);
  }, 120_000);

  test("WAL that was removed is a gap that is refused, and says what to do", async () => {
    const { instance, files } = await receiveSome(server);
    await using _ = instance;
    await dropSlot(server, slot);
    await removeOldWal(server);
    await using next = await again(server, instance);
    const status = await next.until("refused");
    expect(status.gap).toMatchObject({ reason: "wal_removed", open: true, refused: true });
    expect(status.problem).toMatch(/has already been removed.*take a new base backup and set on_gap: continue/);
    expect(status.stream_status.running).toBe(false);
    await next.untilValue("pgrwl_gap", { reason: "wal_removed" }, 1);
    expect(await next.value("pgrwl_gaps_total", { reason: "wal_removed" })).toBe(1);
    const attempts = (await next.value("pgrwl_disconnects_total", { reason: "gap" })) ?? 0;
    await waitFor("more attempts", async () => {
      return ((await next.value("pgrwl_disconnects_total", { reason: "gap" })) ?? 0) >= attempts + 3;
    });
    expect(await next.value("pgrwl_gaps_total", { reason: "wal_removed" })).toBe(1);
    expect(next.log().match(/level=error/g)).toHaveLength(1);
    expect(await next.files()).toEqual(files);
    // The slot still stands where there is WAL.
    const oldest = (await server.walFiles()).at(0);
    const kept = `SELECT pg_walfile_name(restart_lsn) >= '${oldest}' FROM pg_replication_slots WHERE slot_name = '${slot}'`;
    expect(await server.psql(kept)).toBe("t\n");
    await next.stop();

    await using beyond = await again(server, instance, { on_gap: "continue" });
    await beyond.caughtUp(server);
    await beyond.untilValue("pgrwl_gaps_total", { reason: "wal_removed" }, 1);
    await beyond.untilValue("pgrwl_gap", { reason: "wal_removed" }, 0);
    expect(beyond.log()).toMatch(/level=error msg="There is a gap in the WAL/);
    expect(await beyond.files()).toEqual(expect.arrayContaining(files.filter((name) => name.length === 24)));
    await writeWal(server, 2);
    await beyond.caughtUp(server);
    // Restarted, it goes on where it is, and not at the gap.
    await beyond.kill();
    await using last = await again(server, instance);
    await last.caughtUp(server);
    await last.untilValue("pgrwl_connected", {}, 1);
    expect(await last.value("pgrwl_gaps_total", { reason: "wal_removed" })).toBe(0);
    await last.stop();
    await dropSlot(server, slot);
  }, 120_000);

  test("a slot that had to keep too much is a gap, and its loss is told", async () => {
    const { instance } = await receiveSome(server);
    await using _ = instance;
    await server.psql("ALTER SYSTEM SET max_slot_wal_keep_size = '2MB'");
    await server.psql("SELECT pg_reload_conf()");
    const isLost = `SELECT wal_status = 'lost' FROM pg_replication_slots WHERE slot_name = '${slot}'`;
    await waitFor("the loss of the slot", async () => {
      await writeWal(server, 2);
      await server.psql("CHECKPOINT");
      return (await server.psql(isLost)) === "t\n";
    });
    await server.psql("ALTER SYSTEM RESET max_slot_wal_keep_size");
    await server.psql("SELECT pg_reload_conf()");
    await using next = await again(server, instance);
    const { gap, problem } = await next.until("refused");
    expect(["slot_lost", "wal_removed"]).toContain(gap?.reason ?? "");
    expect(problem).toContain("on_gap: continue");
    await next.stop();
    await using beyond = await again(server, instance, { on_gap: "continue" });
    await beyond.caughtUp(server);
    await beyond.stop();
    await dropSlot(server, slot);
  }, 120_000);

  test("another cluster behind the same address is refused; with on_gap: continue the old files are moved", async () => {
    const { instance, files } = await receiveSome(server);
    await using _ = instance;
    await dropSlot(server, slot);
    await using other = await startPostgres({}, { segmentMiB: 1 });
    await using refused = await startInstance(other, { directory: instance.directory });
    const { gap, problem } = await refused.until("refused");
    expect(gap).toMatchObject({ reason: "system_identifier", open: true, refused: true });
    expect(problem).toContain("give this server a directory of its own");
    expect(await refused.files()).toEqual(files);
    await refused.kill();

    await using next = await again(other, instance, { on_gap: "continue" });
    await next.caughtUp(other);
    await writeWal(other, 1);
    await next.caughtUp(other);
    expect(await faultsIn(next.directory, other)).toEqual(["set-aside: neither a segment nor a history"]);
    expect(await everything(next.directory)).toEqual(expect.arrayContaining(files));
    await next.untilValue("pgrwl_set_aside_files_total", {}, files.length);
  }, 120_000);

  test.each([
    ["segments ago", 3, "server_behind"],
    ["in the same segment", 0, "diverged"],
  ] as const)(
    "a server that is set back to %s on its own timeline is refused, and no file is touched",
    async (_, segments, reason) => {
      await using folder = await createFolder("holdfast-set-back", server.user);
      await using old = await startPostgres({ ...settings, wal_keep_size: "1GB" }, { segmentMiB: 1 });
      await old.psql("CREATE TABLE t (name text); SELECT pg_switch_wal()");
      await using instance = await startInstance(old);
      await instance.caughtUp(old);
      await old.stop();
      const copy = join(folder.path, "data");
      await runTool(["cp", "-a", old.dataFolder, copy], { user: old.user, cwd: "/" });
      await old.start();
      await old.psql("INSERT INTO t SELECT 'now lost ' || n FROM generate_series(1, 50) n");
      await writeWal(old, segments);
      await instance.caughtUp(old);
      await old.stop();
      await runTool(["rm", "-r", old.dataFolder], { user: old.user, cwd: "/" });
      await cp(copy, old.dataFolder, { recursive: true, preserveTimestamps: true });
      await runTool(["chown", "-R", `${old.user}:`, old.dataFolder], { user: "root", cwd: "/" }).catch(() => {});
      await runTool(["chmod", "0700", old.dataFolder], { user: old.user, cwd: "/" });
      const before = await contents(instance);
      await old.start();
      await old.psql("INSERT INTO t SELECT 'written anew ' || n FROM generate_series(1, 20) n");
      const { gap, problem } = await instance.until("refused");
      expect(gap).toMatchObject({ reason, open: true, refused: true });
      expect(problem).toContain("on_gap: continue");
      expect(await contents(instance)).toEqual(before);
      await instance.untilValue("pgrwl_gap", { reason }, 1);
      const attempts = (await instance.value("pgrwl_disconnects_total", { reason: "gap" })) ?? 0;
      await waitFor("more attempts", async () => {
        return ((await instance.value("pgrwl_disconnects_total", { reason: "gap" })) ?? 0) >= attempts + 3;
      });
      // It stays one gap, told once, and what is refused stays so in the metrics.
      expect(await instance.value("pgrwl_gaps_total", { reason })).toBe(1);
      expect(await instance.value("pgrwl_connected")).toBe(0);
      expect(instance.log().match(/level=error/g)).toHaveLength(1);
      expect(await contents(instance)).toEqual(before);
      await instance.kill();

      await using next = await again(old, instance, { on_gap: "continue" });
      await next.caughtUp(old);
      const faults = await faultsIn(next.directory, old);
      expect(faults).toEqual(["set-aside: neither a segment nor a history"]);
      expect((await everything(next.directory)).sort()).toEqual(expect.arrayContaining(Object.keys(before)));
    },
    120_000,
  );
});

/** What may not change: each file and the hash of its content. */
async function contents({ directory }: Instance): Promise<Record<string, string>> {
  const hashes: Record<string, string> = {};
  for (const name of (await readdir(directory)).sort()) {
    const file = Bun.file(join(directory, name));
    hashes[name] = Bun.SHA256.hash(await file.arrayBuffer(), "hex") as string;
  }
  return hashes;
}
