/** Archives that are not where they seem to be: nothing is deleted here, or written there, because of them. */
import { expect, test } from "bun:test";
import { mkdir, readdir, rename, rm, symlink } from "node:fs/promises";
import { join } from "node:path";
import { describeWith } from "../../../harness/describe-with.ts";
import { createFolder } from "../../../harness/folders.ts";
import { range, startArchiver, uploaded } from "./archiver-under-test.ts";
import { nameOf, placeKinds, segmentsIn, writeSegments } from "./places.ts";

const all = range(1, 6).map((number) => nameOf(number));

test.each(["itself", "a link"])(
  "a storage whose folder is the receive directory (%s) takes nothing from it",
  async (how) => {
    await using folder = await createFolder("holdfast-same");
    const directory = join(folder.path, "wal-archive");
    await mkdir(directory);
    await writeSegments(directory, range(1, 6));
    const root = how === "itself" ? folder.path : join(folder.path, "linked");
    if (how === "a link") {
      await mkdir(root);
      await symlink(directory, join(root, "wal-archive"));
    }
    await using tested = await startArchiver({ storage: { type: "local", directory: root }, keep_local: 1 }, directory);
    tested.run();
    await tested.until("a problem", ({ problems }) => problems.length > 0);
    expect(tested.archiver.problems).toMatchObject([{ reason: "misconfigured" }]);
    expect(await tested.local()).toEqual(all);
    expect(await readdir(directory)).not.toContain(expect.stringContaining("holdfast"));
  },
);

test("the original's place, a folder in the receive directory, is one of its own", async () => {
  await using folder = await createFolder("holdfast-same");
  await writeSegments(folder.path, range(1, 6));
  await using tested = await startArchiver({ storage: { type: "local", directory: folder.path } }, folder.path);
  tested.run();
  await tested.until("five", ({ uploader }) => uploader?.telemetry.stored === 5);
  expect(await segmentsIn(join(folder.path, "wal-archive"))).toEqual(all);
});

for (const { name: kind, needs, start } of placeKinds.filter(({ name }) => name === "SFTP")) {
  describeWith(needs, `a receive directory that is the storage's folder over ${kind}`, () => {
    test("loses nothing", async () => {
      await using place = await start();
      if (place.storage.type !== "sftp") throw new Error("It is no SFTP");
      const directory = place.storage.directory;
      await writeSegments(directory, range(1, 6));
      await using tested = await startArchiver({ storage: place.storage, keep_local: 1 }, directory);
      tested.run();
      await tested.until("a problem", ({ problems }) => problems.length > 0);
      expect(tested.archiver.problems).toMatchObject([{ reason: "misconfigured" }]);
      expect(await tested.local()).toEqual(all);
    });
  });
}

test.each(["missing", "empty"])(
  "a disk that is no longer mounted (%s) gets nothing, until it is there again",
  async (how) => {
    await using folder = await createFolder("holdfast-mount");
    const root = join(folder.path, "mounted");
    await mkdir(root);
    await using tested = await startArchiver({ storage: { type: "local", directory: root }, keep_local: 1 });
    await writeSegments(tested.directory, range(1, 6));
    tested.run();
    await tested.until("five", ({ uploader }) => uploader?.telemetry.stored === 5);
    await tested.until("one here", async () => (await tested.local()).length === 1);
    await rename(root, `${root}.away`);
    if (how === "empty") await mkdir(root);
    await tested.complete([6, 7]);
    await tested.until("a problem", ({ problems }) => problems.length > 0);
    expect(tested.archiver.problems).toMatchObject([{ reason: "misconfigured" }]);
    expect(await readdir(root).catch(() => [])).toEqual([]);
    expect(await tested.local()).toEqual([5, 6, 7].map((number) => nameOf(number)));
    await rm(root, { recursive: true, force: true });
    await rename(`${root}.away`, root);
    await tested.until("seven", (archiver) => uploaded(archiver) === 7);
    expect(await segmentsIn(join(root, "wal-archive"))).toEqual(range(1, 8).map((number) => nameOf(number)));
    expect(tested.archiver.problems).toEqual([]);
  },
);
