/** Promotions: in the middle of a segment, exactly at its end, behind what was received, several while nobody looks. */
import { expect, test } from "bun:test";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { parseTimelineHistory } from "../../../../plugins/common/postgres/timeline-history.ts";
import { describeWith } from "../../../harness/describe-with.ts";
import { type PostgresServer, startPostgres } from "../../../harness/postgres.ts";
import { restore } from "../../../harness/restore.ts";
import { waitFor } from "../../../harness/wait.ts";
import { currentLsn } from "../../../harness/wal-receiver.ts";
import { faultsIn, type Instance, mib, startInstance, writeWal } from "./instance.ts";

const settings = { wal_keep_size: "1GB", autovacuum: "off", checkpoint_timeout: "1h" };

async function startPrimary(): Promise<PostgresServer> {
  const primary = await startPostgres(settings, { segmentMiB: 1 });
  await primary.psql("CREATE TABLE t (name text)");
  return primary;
}

const insert = (server: PostgresServer, name: string) => server.psql(`INSERT INTO t VALUES ('${name}')`);

const namesIn = async (server: PostgresServer) =>
  (await server.psql("SELECT name FROM t ORDER BY name")).split("\n").filter(Boolean);

/** Whichever of them takes writes. */
const toAny = (...servers: readonly PostgresServer[]) => {
  const ports = servers.map(({ port }) => port).join(",");
  const hosts = servers.map(({ host }) => host).join(",");
  return { postgres: `host=${hosts} port=${ports} user=postgres target_session_attrs=read-write` };
};

const toOne = ({ host, port }: PostgresServer) => ({ postgres: `host=${host} port=${port} user=postgres` });

/** Waits until a standby has replayed all that its primary has. */
async function replayed(standby: PostgresServer, primary: PostgresServer): Promise<void> {
  const lsn = await currentLsn(primary);
  await waitFor(`the replay of ${lsn}`, async () => {
    return (await standby.psql(`SELECT pg_last_wal_replay_lsn() >= '${lsn}'`)) === "t\n";
  });
}

/** Where a timeline left its parent, within its segment. */
async function forkOffset(instance: Instance, timeline: number): Promise<number> {
  const name = `${String(timeline).padStart(8, "0")}.history`;
  const fork = parseTimelineHistory(await readFile(join(instance.directory, name), "utf8")).at(-1);
  return Number((fork?.endLsn ?? 0n) % BigInt(mib));
}

/**
 * To the segment's end, with nothing behind it. So little is left behind the last record that it goes in one message: a
 * standby sends what it has replayed, and a switch is replayed before all of its empty rest has come and is written.
 */
async function endSegment(primary: PostgresServer, standby: PostgresServer): Promise<void> {
  const offset = async () => Number(await primary.psql("SELECT (pg_current_wal_insert_lsn() - '0/0') % (1024 * 1024)"));
  await primary.psql("CHECKPOINT");
  const row = "before the end of a segment";
  await primary.psql(`INSERT INTO t SELECT '${row}' WHERE NOT EXISTS (SELECT FROM t WHERE name = '${row}')`);
  const left = Math.max(0, mib - (await offset()) - 60_000);
  await primary.psql(`SELECT pg_logical_emit_message(true, 'test', repeat('x', ${left}))`);
  await replayed(standby, primary);
  await primary.psql("SELECT pg_switch_wal()");
  await replayed(standby, primary);
  // Every 15 s the background writer adds a record of its own: then once more. A page's head is 40 bytes.
  if ((await offset()) > 40) await endSegment(primary, standby);
}

describeWith(["postgresql", "dist/holdfast"], "timelines", () => {
  test("a standby that is promoted while it is received from is followed in the same stream", async () => {
    await using primary = await startPrimary();
    await using standby = await primary.standby(settings);
    await using instance = await startInstance(standby);
    await instance.until("streaming");
    await writeWal(primary, 2);
    await insert(primary, "one");
    await replayed(standby, primary);
    await standby.promote();
    await insert(standby, "two");
    await writeWal(standby, 2);
    await instance.caughtUp(standby);
    expect((await instance.status()).stream_status.timeline).toBe(2);
    expect(await forkOffset(instance, 2)).toBeGreaterThan(0);
    expect(await faultsIn(instance.directory, standby, primary)).toEqual([]);
    await instance.untilValue("pgrwl_history_files_received_total", {}, 1);
    expect(await instance.value("pgrwl_timeline_forks_behind_total")).toBe(0);
  }, 120_000);

  test("when the primary is lost, the promoted standby is found and followed, and all can be restored", async () => {
    await using primary = await startPrimary();
    await using standby = await primary.standby(settings);
    await using instance = await startInstance(primary, { config: toAny(primary, standby) });
    await instance.until("streaming");
    await using backup = await primary.baseBackup();
    await insert(primary, "one");
    await writeWal(primary, 2);
    await instance.caughtUp(primary);
    await replayed(standby, primary);
    await primary.crash();
    await standby.promote();
    await insert(standby, "two");
    await instance.caughtUp(standby);
    expect(await faultsIn(instance.directory, standby, primary)).toEqual([]);
    await standby.crash();
    await using restored = await restore(backup, instance.directory);
    expect(await namesIn(restored)).toEqual(["one", "two"]);
  }, 120_000);

  test("a fork exactly at a segment's end is followed in the stream", async () => {
    await using primary = await startPrimary();
    await using standby = await primary.standby(settings);
    await using instance = await startInstance(standby);
    await instance.until("streaming");
    await endSegment(primary, standby);
    await primary.crash();
    await standby.promote();
    await insert(standby, "two");
    await instance.caughtUp(standby);
    expect(await forkOffset(instance, 2)).toBe(0);
    expect(await faultsIn(instance.directory, standby, primary)).toEqual([]);
  }, 120_000);

  test("a fork exactly at a segment's end is followed by a receiver that comes later", async () => {
    await using primary = await startPrimary();
    await using standby = await primary.standby(settings);
    await using instance = await startInstance(primary, { config: toAny(primary, standby) });
    await instance.until("streaming");
    await using backup = await primary.baseBackup();
    await endSegment(primary, standby);
    await waitFor("the segment", async () => (await instance.files()).every((name) => !name.endsWith(".partial")));
    await primary.crash();
    await standby.promote();
    await insert(standby, "two");
    await instance.caughtUp(standby);
    expect(await forkOffset(instance, 2)).toBe(0);
    expect((await instance.files()).filter((name) => /^00000001.*partial/.test(name))).toEqual([]);
    expect(await faultsIn(instance.directory, standby, primary)).toEqual([]);
    await standby.crash();
    await using restored = await restore(backup, instance.directory);
    expect(await namesIn(restored)).toEqual(["before the end of a segment", "two"]);
  }, 120_000);

  test.each([
    ["in the same segment", 0],
    ["three segments ahead", 3],
  ])(
    "an asynchronous standby is promoted that lacks what was received, %s",
    async (_, segmentsAhead) => {
      await using primary = await startPrimary();
      await using standby = await primary.standby(settings);
      await using instance = await startInstance(primary, { config: toAny(primary, standby) });
      await instance.until("streaming");
      await using backup = await primary.baseBackup();
      await writeWal(primary, 2);
      await insert(primary, "both");
      await replayed(standby, primary);
      await standby.stop();
      await writeWal(primary, segmentsAhead);
      await insert(primary, "lost with the primary");
      await instance.caughtUp(primary);
      const before = await instance.files();
      await primary.crash();
      await standby.start();
      await standby.promote();
      await insert(standby, "new");
      await instance.caughtUp(standby);
      await instance.untilValue("pgrwl_timeline_forks_behind_total", {}, 1);
      expect(await instance.files()).toEqual(expect.arrayContaining(before));
      expect(await faultsIn(instance.directory, standby, primary)).toEqual([]);
      expect(instance.log()).toContain("those transactions are in the archive only");

      // It is not told again, whatever is restarted; and nothing is received twice.
      await using again = await restart(instance, primary, standby);
      await insert(standby, "newer");
      await again.caughtUp(standby);
      expect(await faultsIn(instance.directory, standby, primary)).toEqual([]);
      await standby.crash();
      await using restored = await restore(backup, instance.directory);
      expect(await namesIn(restored)).toEqual(["both", "new", "newer"]);
    },
    120_000,
  );

  test.each([0, 2])(
    "two promotions while the agent is down, %d segments apart, are followed one after the other",
    async (apart) => {
      await using primary = await startPrimary();
      await using second = await primary.standby(settings);
      const upstream = `host=${second.socketFolder} port=${second.port} user=postgres`;
      await using third = await primary.standby({ ...settings, primary_conninfo: upstream });
      await using instance = await startInstance(primary, { config: toOne(primary) });
      await instance.until("streaming");
      await using backup = await primary.baseBackup();
      await insert(primary, "one");
      await instance.caughtUp(primary);
      await replayed(third, primary);
      await instance.kill();
      await insert(primary, "while it is down");
      await writeWal(primary, apart);
      await replayed(third, primary);
      await primary.crash();
      await second.promote();
      await insert(second, "two");
      await writeWal(second, apart);
      await replayed(third, second);
      await second.crash();
      await third.promote();
      await insert(third, "three");
      await using again = await restart(instance, third);
      await again.caughtUp(third);
      expect((await again.status()).stream_status.timeline).toBe(3);
      expect(await again.files()).toEqual(expect.arrayContaining(["00000002.history", "00000003.history"]));
      expect(await faultsIn(instance.directory, third, second, primary)).toEqual([]);
      await third.crash();
      await using restored = await restore(backup, instance.directory);
      expect(await namesIn(restored)).toEqual(["one", "three", "two", "while it is down"]);
    },
    120_000,
  );

  test("the old primary, started again, is refused; with on_gap: continue it is followed, and no file is lost", async () => {
    await using primary = await startPrimary();
    await using standby = await primary.standby(settings);
    await using instance = await startInstance(primary, { config: toAny(primary, standby) });
    await instance.until("streaming");
    await insert(primary, "one");
    await replayed(standby, primary);
    await primary.crash();
    await standby.promote();
    await insert(standby, "two");
    await instance.caughtUp(standby);
    await standby.crash();
    await primary.start();
    await insert(primary, "elsewhere");
    const status = await instance.until("refused");
    expect(status.gap).toMatchObject({ reason: "timeline", open: true, refused: true });
    expect(status.problem).toMatch(/00000002.*connect to the server that was promoted last/);
    const before = await instance.files();
    await instance.kill();

    const config = { ...toOne(primary), on_gap: "continue" };
    await using again = await startInstance(primary, { directory: instance.directory, config });
    await again.caughtUp(primary);
    await again.untilValue("pgrwl_gaps_total", { reason: "timeline" }, 1);
    expect(again.log()).toContain("There is a gap in the WAL");
    expect((await again.files()).filter((name) => name.startsWith("00000002"))).toEqual([]);
    const kept = [...new Bun.Glob("**").scanSync(again.directory)].map((path) =>
      path.replace(/^set-aside\/|\.\d+$/g, ""),
    );
    expect(kept).toEqual(expect.arrayContaining(before));
  }, 120_000);
});

/** Kills it, and starts another in its place that finds one of these servers. */
async function restart(instance: Instance, ...servers: readonly [PostgresServer, ...PostgresServer[]]) {
  await instance.kill();
  return startInstance(servers[0], { directory: instance.directory, config: toAny(...servers), makeSlot: false });
}
