/** A disk without room: commits wait, nothing that was acknowledged is lost, and once there is room all goes on by itself. */
import { describe, expect, test } from "bun:test";
import { mkdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describeWith } from "../../../harness/describe-with.ts";
import { startLedger } from "../../../harness/ledger.ts";
import { startPostgres } from "../../../harness/postgres.ts";
import { restore } from "../../../harness/restore.ts";
import { canMakeSmallDisk, createSmallDisk } from "../../../harness/small-disk.ts";
import { waitFor } from "../../../harness/wait.ts";
import { faultsIn, mib, slot, startInstance, writeWal } from "./instance.ts";

const settings = { synchronous_standby_names: slot, wal_keep_size: "8GB", autovacuum: "off" };
const startServer = () => startPostgres(settings, { segmentMiB: 1 });

const disks = canMakeSmallDisk() ? describe : describe.skip;

disks("a full disk (needs mounts or user namespaces)", () => {
  describeWith(["postgresql", "dist/holdfast"], "under writers with synchronous commit", () => {
    // 4.5 MiB: a segment does not fit any more; 5 MiB: not a byte is left when the next is to be created.
    test.each([4.5, 5])(
      "of %d MiB makes commits wait, and they go on when it has grown",
      async (sizeMiB) => {
        await using disk = await createSmallDisk(sizeMiB * mib);
        const directory = join(disk.path, "wal");
        await mkdir(directory);
        await using server = await startServer();
        await using instance = await startInstance(server, { directory });
        await instance.until("streaming");
        await using backup = await server.baseBackup();
        await using ledger = await startLedger(server, { rowBytes: 4000 });

        const status = await instance.until("disk_full");
        expect(status.problem).toMatch(/no space left.*goes on once there is room/);
        expect(status.stream_status.running).toBe(false);
        await instance.untilValue("pgrwl_receiver_state", { state: "disk_full" }, 1);
        expect(await instance.value("pgrwl_connected")).toBe(0);
        const retries = (await instance.value("pgrwl_disconnects_total", { reason: "disk_full" })) ?? 0;
        const acknowledged = ledger.acknowledged.size;
        await waitFor("two more attempts", async () => {
          return ((await instance.value("pgrwl_disconnects_total", { reason: "disk_full" })) ?? 0) >= retries + 2;
        });
        expect(ledger.acknowledged.size).toBe(acknowledged);
        expect(await faultsIn(directory, server)).toEqual([]);
        // What repeats is told once.
        expect(instance.log().match(/level=error.*no space left/g)).toHaveLength(1);

        await disk.resize(64 * mib);
        await instance.until("streaming");
        await waitFor("commits", () => ledger.acknowledged.size > acknowledged + 100, 60_000);
        await instance.untilValue("pgrwl_receiver_state", { state: "disk_full" }, 0);
        await server.crash();
        await ledger.stop();
        expect(await faultsIn(directory, server)).toEqual([]);
        await using restored = await restore(backup, directory);
        expect(await ledger.differences(restored)).toEqual([]);
      },
      120_000,
    );

    test("that is lost with the primary while it is full has all that was acknowledged", async () => {
      await using disk = await createSmallDisk(3.25 * mib);
      await using server = await startServer();
      await using instance = await startInstance(server, { directory: disk.path });
      await instance.until("streaming");
      await using backup = await server.baseBackup();
      await using ledger = await startLedger(server, { rowBytes: 4000 });
      await instance.until("disk_full");
      await server.crash();
      await instance.kill();
      await ledger.stop();
      expect(ledger.acknowledged.size).toBeGreaterThan(100);
      expect(await faultsIn(disk.path, server)).toEqual([]);
      await using restored = await restore(backup, disk.path);
      expect(await ledger.differences(restored)).toEqual([]);
    }, 120_000);

    test("that fills while it catches up goes on when somebody deletes something", async () => {
      await using disk = await createSmallDisk(24 * mib);
      const directory = join(disk.path, "wal");
      const filler = join(disk.path, "filler");
      await using server = await startPostgres({ ...settings, synchronous_standby_names: "" }, { segmentMiB: 1 });
      {
        await using instance = await startInstance(server, { directory });
        await instance.until("streaming");
      }
      await writeWal(server, 12);
      await writeFile(filler, new Uint8Array((await disk.freeBytes()) - 5 * mib));
      await using instance = await startInstance(server, { directory });
      await instance.until("disk_full");
      expect((await instance.files()).filter((name) => name.length === 24).length).toBeGreaterThan(3);
      expect(await faultsIn(directory, server)).toEqual([]);
      // The server need not keep what was completed.
      const restart = `SELECT restart_lsn >= pg_current_wal_lsn() - 10 * 1024 * 1024 FROM pg_replication_slots`;
      await waitFor("the slot to advance", async () => (await server.psql(restart)) === "t\n");
      await rm(filler);
      await instance.caughtUp(server);
      expect(await faultsIn(directory, server)).toEqual([]);
    }, 120_000);

    test("without room for the first segment is no reason to end", async () => {
      await using disk = await createSmallDisk(mib / 2);
      await using server = await startServer();
      await using instance = await startInstance(server, { directory: disk.path });
      await instance.until("disk_full");
      expect(await instance.files()).toEqual([]);
      await disk.resize(16 * mib);
      await instance.caughtUp(server);
      expect(await faultsIn(disk.path, server)).toEqual([]);
    }, 120_000);
  });
});
