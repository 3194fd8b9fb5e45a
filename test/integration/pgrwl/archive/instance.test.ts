/** The agent with a receiver and an archive: where it goes on when the folder tells nothing, and what a storage that is away does to it. */
import { describe, expect, test } from "bun:test";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { describeWith } from "../../../harness/describe-with.ts";
import { startLedger } from "../../../harness/ledger.ts";
import { type PostgresServer, startPostgres } from "../../../harness/postgres.ts";
import { canMakeSmallDisk, createSmallDisk } from "../../../harness/small-disk.ts";
import { waitFor } from "../../../harness/wait.ts";
import { createRestorer, recover } from "../../restore/support.ts";
import { slot, startInstance, writeWal } from "../faults/instance.ts";
import { range } from "./archiver-under-test.ts";
import { mib, namesIn, placeKinds, segmentsIn } from "./places.ts";

const s3 = () => {
  const kind = placeKinds.find(({ name }) => name === "S3");
  if (kind === undefined) throw new Error("There is no S3");
  return kind.start();
};
const startServer = (settings = {}) => startPostgres({ autovacuum: "off", ...settings }, { segmentMiB: 1 });

/** Completes at least so many segments. */
const complete = (server: PostgresServer, segments: number) => writeWal(server, segments + 1);

/** Whether segments follow each other, from the first to the last. */
function isUnbroken(names: readonly string[]): boolean {
  const numbers = names.filter((name) => name.length === 24).map((name) => Number.parseInt(name.slice(8), 16));
  const [first = 0] = numbers;
  return numbers.length > 0 && range(first, first + numbers.length).join() === numbers.join();
}

describeWith(["postgresql", "dist/holdfast"], "an agent with an archive", () => {
  test("archives what it receives, and goes on behind the archive's end when the folder is wiped", async () => {
    await using place = await s3();
    await using archive = await place.open();
    await using server = await startServer();
    const config = { archive: { storage: place.storage, keep_local: 1, compression: "zstd" } };
    {
      await using instance = await startInstance(server, { config });
      await instance.until("streaming");
      await complete(server, 5);
      await instance.caughtUp(server);
      await waitFor("five in the archive", async () => (await namesIn(archive)).length >= 5);
      await waitFor("one here", async () => (await segmentsIn(instance.directory)).length === 1);
      // The page is as old as the last collect.
      await waitFor("uploads", async () => ((await instance.value("pgrwl_wal_files_uploaded_total")) ?? 0) >= 5);
      await instance.untilValue("pgrwl_upload_backlog_files", {}, 0);
      expect(await instance.value("pgrwl_uploads_total", { result: "stored" })).toBeGreaterThanOrEqual(5);
      expect(await instance.value("pgrwl_archive_problem", { reason: "unavailable" })).toBe(0);
      expect(await instance.value("pgrwl_upload_duration_seconds_count")).toBeGreaterThanOrEqual(5);
    }
    // Its folder is gone with it.
    await using instance = await startInstance(server, { config });
    await complete(server, 2);
    await instance.caughtUp(server);
    await waitFor("the log", () => instance.log().includes("The archive reaches further than the directory"));
    await waitFor("seven in the archive", async () => (await namesIn(archive)).length >= 7);
    expect(isUnbroken(await namesIn(archive))).toBe(true);
  }, 120_000);

  test("refuses a start behind the archive's end, where the server has removed WAL", async () => {
    await using place = await s3();
    await using archive = await place.open();
    await using server = await startServer();
    const config = { archive: { storage: place.storage, keep_local: 0 } };
    {
      await using instance = await startInstance(server, { config });
      await instance.until("streaming");
      await complete(server, 3);
      await instance.caughtUp(server);
      await waitFor("three in the archive", async () => (await namesIn(archive)).length >= 3);
    }
    await waitFor("the slot to be free", () => server.psql(`SELECT pg_drop_replication_slot('${slot}')`));
    await complete(server, 6);
    await server.psql("CHECKPOINT; SELECT pg_switch_wal(); CHECKPOINT;");
    await using instance = await startInstance(server, { config });
    const status = await instance.until("refused");
    expect(status.gap).toMatchObject({ reason: "wal_removed", open: true });
    expect(await segmentsIn(instance.directory)).toEqual([]);
  }, 120_000);

  test("refuses another cluster than the archive's, although nothing is here", async () => {
    await using place = await s3();
    await using archive = await place.open();
    const config = { archive: { storage: place.storage } };
    {
      await using server = await startServer();
      await using instance = await startInstance(server, { config });
      await instance.until("streaming");
      await complete(server, 2);
      await instance.caughtUp(server);
      await waitFor("two in the archive", async () => (await namesIn(archive)).length >= 2);
    }
    await using server = await startServer();
    await using instance = await startInstance(server, { config });
    expect((await instance.until("refused")).gap?.reason).toBe("system_identifier");
  }, 120_000);

  test("receives without an archive that can be reached, says so, and archives all once it is there", async () => {
    await using place = await s3();
    await using archive = await place.open();
    await using server = await startServer({ synchronous_standby_names: slot });
    place.proxy?.refuse(true);
    const config = { archive: { storage: place.storage, keep_local: 2 } };
    await using instance = await startInstance(server, { config });
    await instance.until("streaming");
    await waitFor("the log", () => instance.log().includes("It is not known where the archive ends"));
    await complete(server, 6);
    await instance.caughtUp(server);
    await instance.untilValue("pgrwl_archive_problem", { reason: "unavailable" }, 1);
    const here = await segmentsIn(instance.directory);
    expect(here.length).toBeGreaterThanOrEqual(6);
    await instance.untilValue("pgrwl_upload_backlog_bytes", {}, here.length * mib);
    place.proxy?.behave();
    await waitFor("all in the archive", async () => (await namesIn(archive)).length >= here.length);
    await instance.untilValue("pgrwl_archive_problem", { reason: "unavailable" }, 0);
    await waitFor("two here", async () => (await segmentsIn(instance.directory)).length === 2);
    expect((await namesIn(archive)).slice(0, here.length)).toEqual(here);
  }, 120_000);

  test.each([
    [{ secret_access_key: "wrong" }, /access_denied|misconfigured/],
    [{ bucket: "missing" }, /misconfigured/],
  ])(
    "receives with %j, and says what is wrong",
    async (wrong, reason) => {
      await using place = await s3();
      await using server = await startServer();
      const config = { archive: { storage: { ...place.storage, ...wrong } } };
      await using instance = await startInstance(server, { config });
      await instance.until("streaming");
      await complete(server, 2);
      await instance.caughtUp(server);
      await waitFor("the problem", () =>
        /A file cannot be archived.*reason=(\S+)/.exec(instance.log())?.[1]?.match(reason),
      );
      expect((await segmentsIn(instance.directory)).length).toBeGreaterThanOrEqual(2);
      expect(instance.log()).not.toContain("level=error");
    },
    120_000,
  );
});

const disks = canMakeSmallDisk() ? describe : describe.skip;

disks("a storage that is away for longer than the disk lasts (needs mounts or user namespaces)", () => {
  describeWith(["postgresql", "dist/holdfast"], "under writers with synchronous commit", () => {
    test("makes commits wait, loses none, and all goes on by itself", async () => {
      await using place = await s3();
      await using archive = await place.open();
      await using disk = await createSmallDisk(6.5 * mib);
      const directory = join(disk.path, "wal");
      await mkdir(directory);
      await using server = await startServer({ synchronous_standby_names: slot, wal_keep_size: "8GB" });
      // More than the disk has room for: what is archived makes way.
      const config = { archive: { storage: place.storage, keep_local: 16 }, serve: {} };
      await using instance = await startInstance(server, { directory, config });
      await instance.until("streaming");
      await using backup = await server.baseBackup();
      await using ledger = await startLedger(server, { rowBytes: 4000 });
      const first = (await waitFor("a segment in the archive", async () => (await namesIn(archive))[0])) ?? "";
      place.proxy?.refuse(true);
      place.proxy?.cut();
      // At first it is full of what is archived, which makes way.
      await waitFor("a backlog", async () => ((await instance.value("pgrwl_upload_backlog_files")) ?? 0) >= 3);
      await instance.until("disk_full");
      await instance.untilValue("pgrwl_receiver_state", { state: "disk_full" }, 1);
      await instance.untilValue("pgrwl_archive_problem", { reason: "unavailable" }, 1);
      expect(await instance.value("pgrwl_upload_backlog_bytes")).toBeGreaterThanOrEqual(3 * mib);
      const oldest = await instance.value("pgrwl_upload_backlog_oldest_timestamp_seconds");
      expect(Math.abs((oldest ?? 0) - Date.now() / 1000)).toBeLessThan(90);
      expect(await instance.value("pgrwl_upload_failures_total", { reason: "unavailable" })).toBeGreaterThan(0);
      const acknowledged = ledger.acknowledged.size;
      const before = await segmentsIn(directory);
      place.proxy?.behave();
      await instance.until("streaming");
      await waitFor("commits", () => ledger.acknowledged.size > acknowledged + 500, 60_000);
      await ledger.stop();
      await instance.caughtUp(server);
      await waitFor("what was stuck to be archived", async () => {
        const names = await namesIn(archive);
        return before.every((name) => names.includes(name));
      });
      await instance.untilValue("pgrwl_upload_backlog_files", {}, 0);
      await instance.untilValue("pgrwl_archive_problem", { reason: "unavailable" }, 0);
      await instance.untilValue("pgrwl_receiver_state", { state: "disk_full" }, 0);
      const names = new Set([...(await namesIn(archive)), ...(await segmentsIn(directory))]);
      expect(names.has(first)).toBe(true);
      expect(isUnbroken([...names].sort())).toBe(true);
      await server.crash();
      await using restorer = await createRestorer();
      const command = restorer.command(`--serve-addr=127.0.0.1:${instance.agent.port}/wal`);
      await using restored = await recover(backup, command);
      expect(await ledger.differences(restored)).toEqual([]);
    }, 240_000);
  });
});
