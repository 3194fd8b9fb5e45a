/** A disk with little room, or none, under a recovery: it goes on without prefetching, and nothing is ever half there. */
import { describe, expect, test } from "bun:test";
import { appendFileSync, existsSync, readdirSync } from "node:fs";
import { mkdir, readdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { prefetch } from "../../../../plugins/common/wal-archive/prefetch.ts";
import { notePosition, prefetchFolder } from "../../../../plugins/common/wal-archive/prefetch-folder.ts";
import type { WalSource } from "../../../../plugins/common/wal-archive/wal-source.ts";
import { runOnce } from "../../../harness/agent.ts";
import { databaseContent } from "../../../harness/database-content.ts";
import { describeWith } from "../../../harness/describe-with.ts";
import { createFolder } from "../../../harness/folders.ts";
import { startFrom } from "../../../harness/postgres.ts";
import { runTool } from "../../../harness/processes.ts";
import { startS3Server } from "../../../harness/s3/server.ts";
import { canMakeSmallDisk, createSmallDisk } from "../../../harness/small-disk.ts";
import { serverUser } from "../../../harness/users.ts";
import { waitFor } from "../../../harness/wait.ts";
import { walSegment } from "../../../harness/wal-segment.ts";
import { createRestorer, fill, isPrimary, loseServer, openArchive } from "../../restore/support.ts";
import { s3Settings } from "../../storage/storages.ts";
import { mib, nameOf } from "../archive/places.ts";

const user = serverUser("postgres");
const disks = canMakeSmallDisk() && canMakeSmallDisk(user) ? describe : describe.skip;

/** All files below a folder that are not where PostgreSQL or the prefetcher keeps whole ones. */
const leftOvers = (folder: string) =>
  readdirSync(folder, { recursive: true, encoding: "utf8" }).filter((name) => /holdfast-tmp|\.part$/.test(name));

/** Not a byte is left. */
function fillUp(path: string): void {
  for (let bytes = mib; bytes >= 1; bytes = Math.floor(bytes / 2)) {
    try {
      for (;;) appendFileSync(path, Buffer.alloc(bytes));
    } catch {
      // Smaller pieces may fit.
    }
  }
}

disks("a full disk (needs mounts or user namespaces)", () => {
  describeWith(["dist/holdfast"], "under restore-command", () => {
    test("is no place to prefetch to, and segments come one by one", async () => {
      await using run = await start(5);
      for (let number = 1; number <= 6; number++) {
        expect(await run.get(number)).toEqual({ status: 0, stdout: "", stderr: "" });
        expect(await readFile(run.destination)).toEqual(walSegment({ number }));
        expect(readdirSync(run.data, { recursive: true, encoding: "utf8" }).filter(isSegmentPath)).toEqual([]);
      }
      expect((await run.get(13)).status).toBe(1);
      expect(leftOvers(run.data)).toEqual([]);
    }, 120_000);

    test.each([[[]], [["--prefetch=0"]]])(
      "makes PostgreSQL stop instead of ending the recovery, with %j",
      async (flags) => {
        await using run = await start(5);
        expect((await run.get(1, ...flags)).status).toBe(0);
        await rm(run.destination);
        const filler = join(run.data, "filler");
        fillUp(filler);
        for (let attempt = 0; attempt < 2; attempt++) {
          const { status, stderr } = await run.get(2, ...flags);
          expect([status, stderr]).toEqual([203, expect.stringMatching(/no space left/i)]);
          expect(existsSync(run.destination)).toBe(false);
          expect(leftOvers(run.data)).toEqual([]);
        }
        await rm(filler);
        expect((await run.get(2, ...flags)).status).toBe(0);
        expect(await readFile(run.destination)).toEqual(walSegment({ number: 2 }));
      },
    );
  });

  test("that fills up while segments are prefetched leaves none half there, and prefetching goes on once there is room", async () => {
    await using disk = await createSmallDisk(20 * mib);
    const filler = join(disk.path, "filler");
    let failures = 0;
    let isFilled = false;
    const source: WalSource = {
      description: "a source that somebody fills the disk beside",
      async fetch(name, path) {
        const content = walSegment({ number: Number.parseInt(name.slice(16), 16) });
        await writeFile(path, content.subarray(0, 300_000));
        if (!isFilled) fillUp(filler);
        isFilled = true;
        try {
          await writeFile(path, content);
        } catch (error) {
          failures++;
          throw error;
        }
        return "whole";
      },
      async [Symbol.asyncDispose]() {},
    };
    const folder = prefetchFolder(join(disk.path, "RECOVERYXLOG"), "source");
    await mkdir(folder, { recursive: true });
    notePosition(folder, { name: nameOf(1), segmentSizeBytes: mib });
    const stopping = new AbortController();
    const running = prefetch({ source, folder, count: 3, idleMs: 60_000, signal: stopping.signal });
    const segments = () => readdirSync(folder).filter(isSegmentPath).sort();
    await waitFor("a failure", () => failures > 0 && leftOvers(disk.path).length === 0);
    for (const name of segments())
      expect(await readFile(join(folder, name))).toEqual(walSegment({ number: Number.parseInt(name.slice(16), 16) }));
    expect(segments().length).toBeLessThan(3);
    await rm(filler);
    await waitFor("the segments", () => segments().join() === [2, 3, 4].map((number) => nameOf(number)).join());
    stopping.abort();
    await running;
    expect(existsSync(folder)).toBe(false);
  }, 120_000);

  describeWith(["postgresql-15", "dist/holdfast"], "under PostgreSQL", () => {
    test("ends the prefetching, and not the recovery", async () => {
      const segments = 24;
      await using lost = await loseServer(segments, 1);
      await using s3 = startS3Server();
      const archive = { storage: s3Settings(s3), compression: "zstd" } as const;
      await fill(archive, lost);
      await using restorer = await createRestorer();
      const restore_command = restorer.command(await restorer.configure(archive));

      // What is restored stays in pg_wal until the next restart point, and there is none: little room is left in the end.
      await using disk = await createSmallDisk((segments + 6) * mib, user);
      const walFolder = join(disk.path, "pg_wal");
      await runTool(["mkdir", "-p", "-m", "700", walFolder, join(walFolder, "archive_status")], { user, cwd: "/" });
      const [backup] = lost.backups;
      if (backup === undefined) throw new Error("There is no base backup");
      const ownFolder = join(backup.dataFolder, "pg_wal");
      await rm(ownFolder, { recursive: true });
      await symlink(walFolder, ownFolder);
      const watched = watchPrefetching(walFolder);
      await using server = await startFrom(backup, "recovery.signal", { restore_command, autovacuum: "off" });
      await isPrimary(server);
      const { most, lastOf } = watched.stop();
      expect(most).toBeGreaterThan(1);
      const whole = (await readdir(lost.walFolder)).filter(isSegmentPath).sort();
      expect(lastOf < (whole.at(-1) ?? "")).toBe(true);
      expect((await databaseContent(server)).join("\n") === lost.content.join("\n")).toBe(true);
      expect(server.log()).toContain("archive recovery complete");
      expect(leftOvers(walFolder)).toEqual([]);
    }, 240_000);
  });
});

const isSegmentPath = (path: string) => /(^|\/)[0-9A-F]{24}$/.test(path);

/** What is prefetched meanwhile: how many segments waited at most, and the last one that did. */
function watchPrefetching(walFolder: string) {
  let most = 0;
  let lastOf = "";
  const look = () => {
    const names = readdirSync(walFolder, { recursive: true, encoding: "utf8" });
    const waiting = names.filter((name) => name.startsWith(".holdfast-prefetch/") && isSegmentPath(name)).sort();
    most = Math.max(most, waiting.length);
    const last = waiting.at(-1)?.slice(-24) ?? "";
    if (last > lastOf) lastOf = last;
  };
  const timer = setInterval(() => {
    try {
      look();
    } catch {
      // Something vanished while it was listed.
    }
  }, 5);
  return {
    stop() {
      clearInterval(timer);
      return { most, lastOf };
    },
  };
}

/** A recovery of twelve segments, as `restore-command` sees it, on a disk of so many MiB. */
async function start(sizeMiB: number) {
  await using cleanup = new AsyncDisposableStack();
  const folder = cleanup.use(await createFolder("holdfast-full-disk"));
  const disk = cleanup.use(await createSmallDisk(sizeMiB * mib));
  const storage = { type: "local", directory: join(folder.path, "archive") } as const;
  await using archive = await openArchive({ storage });
  for (let number = 1; number <= 12; number++) {
    const file = join(folder.path, "segment");
    await writeFile(file, walSegment({ number }));
    await archive.put(nameOf(number), file);
  }
  const config = join(folder.path, "holdfast.yml");
  const instance = { directory: join(folder.path, "none"), slot: "s", archive: { storage } };
  await writeFile(config, `plugins: { wal: { plugin: pgrwl, config: ${JSON.stringify(instance)} } }\n`);
  const data = join(disk.path, "data");
  await mkdir(join(data, "pg_wal"), { recursive: true });
  const owned = cleanup.move();
  return {
    data,
    destination: join(data, "pg_wal", "RECOVERYXLOG"),
    get: (number: number, ...flags: string[]) =>
      runOnce(["restore-command", `--config.file=${config}`, ...flags, nameOf(number), "pg_wal/RECOVERYXLOG"], {
        cwd: data,
      }),
    async [Symbol.asyncDispose]() {
      // The prefetcher ends with its folder; it may write there meanwhile.
      const folder = join(data, "pg_wal");
      await waitFor("the folder to be gone", () => rm(folder, { recursive: true, force: true }).then(() => true));
      await owned.disposeAsync();
    },
  };
}
