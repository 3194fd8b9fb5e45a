/** What a server and the agent do to each other: ends of both, stalls, reloads, clocks, sizes of segments. */
import { expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describeWith } from "../../../harness/describe-with.ts";
import { createFolder } from "../../../harness/folders.ts";
import { startLedger } from "../../../harness/ledger.ts";
import { type PostgresServer, startPostgres } from "../../../harness/postgres.ts";
import { restore } from "../../../harness/restore.ts";
import { waitFor } from "../../../harness/wait.ts";
import { partialDifferences } from "../../../harness/wal-compare.ts";
import { currentLsn } from "../../../harness/wal-receiver.ts";
import { faultsIn, mib, slot, startInstance, writeWal } from "./instance.ts";

const settings = { wal_keep_size: "4GB", max_wal_size: "4GB", autovacuum: "off", checkpoint_timeout: "1h" };
const synchronous = { ...settings, synchronous_standby_names: slot };
const sender = `SELECT pid FROM pg_stat_replication WHERE application_name = '${slot}'`;

/** SIGSTOP or SIGCONT to the server's processes; first to the one that starts and ends the others. */
async function signalAll(server: PostgresServer, signal: NodeJS.Signals): Promise<void> {
  const main = Number((await readFile(join(server.dataFolder, "postmaster.pid"), "utf8")).split("\n")[0]);
  process.kill(main, signal);
  const children = Bun.spawnSync(["ps", "-o", "pid=", "--ppid", String(main)]).stdout.toString();
  for (const pid of children.trim().split(/\s+/).map(Number)) {
    try {
      process.kill(pid, signal);
    } catch {
      // It has just ended.
    }
  }
}

describeWith(["postgresql", "dist/holdfast"], "a server and its receiver", () => {
  test("a stop of the agent flushes and acknowledges all that came", async () => {
    await using server = await startPostgres(settings, { segmentMiB: 1 });
    await using instance = await startInstance(server);
    await instance.until("streaming");
    await writeWal(server, 1);
    await instance.caughtUp(server);
    await server.psql("SELECT pg_logical_emit_message(true, 'test', 'the last')");
    const lsn = await currentLsn(server);
    await waitFor("the last to be sent", async () => {
      return (await server.psql(`SELECT sent_lsn >= '${lsn}' FROM pg_stat_replication`)) === "t\n";
    });
    await instance.stop();
    const state = `SELECT active, restart_lsn >= '${lsn}' FROM pg_replication_slots WHERE slot_name = '${slot}'`;
    await waitFor("the slot to be free", async () => (await server.psql(state)) === "f|t\n");
    expect(await faultsIn(instance.directory, server)).toEqual([]);
    expect(server.log()).not.toMatch(/unexpected EOF on standby connection|Connection reset/);
  }, 120_000);

  test("a shutdown of the server under load does not wait for the agent, and nothing is lost", async () => {
    await using server = await startPostgres(synchronous, { segmentMiB: 1 });
    await using instance = await startInstance(server);
    await instance.until("streaming");
    await using backup = await server.baseBackup();
    await using ledger = await startLedger(server, { rowBytes: 2000 });
    await waitFor("commits", () => ledger.acknowledged.size > 100);
    const began = performance.now();
    await server.stop();
    // The server waits for a receiver that does not answer for wal_sender_timeout, which is a minute.
    expect(performance.now() - began).toBeLessThan(8000);
    await ledger.stop();
    await instance.until("waiting");
    expect(await faultsIn(instance.directory, server)).toEqual([]);
    await using restored = await restore(backup, instance.directory);
    expect(await ledger.differences(restored)).toEqual([]);
  }, 120_000);

  test("a server whose processes all stand still for longer than receive_timeout loses nothing", async () => {
    await using server = await startPostgres(synchronous, { segmentMiB: 1 });
    const config = { receive_timeout: "2s", connect_timeout: "2s" };
    await using instance = await startInstance(server, { config });
    await instance.until("streaming");
    await using backup = await server.baseBackup();
    await using ledger = await startLedger(server);
    await waitFor("commits", () => ledger.acknowledged.size > 50);
    await signalAll(server, "SIGSTOP");
    await instance.until("waiting");
    await waitFor("an attempt that gets no answer", async () =>
      /no answer/.test((await instance.status()).problem ?? ""),
    );
    await signalAll(server, "SIGCONT");
    const before = ledger.acknowledged.size;
    await waitFor("commits", () => ledger.acknowledged.size > before + 50, 60_000);
    await server.crash();
    await ledger.stop();
    expect(await faultsIn(instance.directory, server)).toEqual([]);
    await using restored = await restore(backup, instance.directory);
    expect(await ledger.differences(restored)).toEqual([]);
  }, 120_000);

  test("commits that wait to be applied go on", async () => {
    await using server = await startPostgres({ ...synchronous, synchronous_commit: "remote_apply" }, { segmentMiB: 1 });
    await using instance = await startInstance(server);
    await instance.until("streaming");
    await using ledger = await startLedger(server);
    await waitFor("commits", () => ledger.acknowledged.size > 200);
  }, 120_000);

  test("a reload that changes another instance does not touch the stream", async () => {
    await using server = await startPostgres(settings, { segmentMiB: 1 });
    await using instance = await startInstance(server);
    await instance.until("streaming");
    const pid = await server.psql(sender);
    const yaml = await readFile(instance.agent.configFile, "utf8");
    const other = "  other:\n    plugin: barman\n    interval: 1h\n    config: {}\n";
    await instance.agent.configure(yaml + other);
    instance.agent.signal("SIGUSR1");
    const hasOther = async () => (await instance.agent.scrape("/api/v1/status")).includes('"other"');
    await waitFor("the other instance", hasOther);
    await instance.agent.configure(yaml);
    instance.agent.signal("SIGUSR1");
    await waitFor("the other instance to end", async () => !(await hasOther()));
    expect(await server.psql(sender)).toBe(pid);
    await instance.caughtUp(server);
  }, 120_000);

  test.each([16, 64])(
    "segments of %d MiB are received to their end",
    async (segmentMiB) => {
      await using server = await startPostgres(settings, { segmentMiB });
      await using instance = await startInstance(server);
      await instance.until("streaming");
      await writeWal(server, 2);
      await instance.kill();
      await writeWal(server, 2);
      await server.psql("SELECT pg_switch_wal()");
      await using next = await startInstance(server, { directory: instance.directory });
      await next.caughtUp(server);
      const complete = async () => (await next.files()).filter((name) => name.length === 24);
      await waitFor("the segment", async () => (await complete()).length > 0, 60_000);
      await next.untilValue("pgrwl_segment_size_bytes", {}, segmentMiB * mib);
      expect(await faultsIn(next.directory, server, segmentMiB)).toEqual([]);
    },
    240_000,
  );

  test("a segment of 1 GiB goes on where it was after a kill", async () => {
    await using server = await startPostgres(settings, { segmentMiB: 1024 });
    await using instance = await startInstance(server);
    await instance.until("streaming");
    await writeWal(server, 2);
    await instance.kill();
    await writeWal(server, 2);
    await using next = await startInstance(server, { directory: instance.directory });
    await next.caughtUp(server);
    const name = (await server.psql("SELECT pg_walfile_name(pg_current_wal_lsn())")).trim();
    const received = join(next.directory, `${name}.partial`);
    const own = join(server.dataFolder, "pg_wal", name);
    expect(await partialDifferences(received, own, 4 * 2 ** 20 - 100_000)).toEqual([]);
  }, 120_000);

  const fakeTime = "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1";
  const clock = existsSync(fakeTime) ? test : test.skip;
  clock(
    "a clock that jumps a day ahead and two back changes nothing (needs the package faketime)",
    async () => {
      await using folder = await createFolder("holdfast-clock");
      const offset = join(folder.path, "offset");
      await writeFile(offset, "+0");
      const env = {
        LD_PRELOAD: fakeTime,
        FAKETIME_TIMESTAMP_FILE: offset,
        FAKETIME_NO_CACHE: "1",
        FAKETIME_DONT_FAKE_MONOTONIC: "1",
      };
      await using server = await startPostgres(settings, { segmentMiB: 1 });
      await using instance = await startInstance(server, { env });
      await instance.until("streaming");
      const pid = await server.psql(sender);
      for (const jump of ["+1d", "-1d", "+0"]) {
        await writeFile(offset, jump);
        const aheadSeconds = Number(jump.replace("d", "")) * 86_400;
        await waitFor(`the agent's clock to be ${aheadSeconds} s ahead`, async () => {
          const seconds = (await instance.value("pgrwl_last_message_timestamp_seconds")) ?? 0;
          await server.psql("SELECT pg_logical_emit_message(true, 'test', 'x')");
          return Math.abs(seconds - aheadSeconds - Date.now() / 1000) < 3600;
        });
        await writeWal(server, 1);
        await instance.caughtUp(server);
        await instance.untilValue("pgrwl_lag_seconds", {}, 0);
      }
      expect(await server.psql(sender)).toBe(pid);
      expect(await faultsIn(instance.directory, server)).toEqual([]);
    },
    120_000,
  );
});
