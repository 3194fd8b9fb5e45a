import { expect, test } from "bun:test";
import { readdir, rm, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import fc from "fast-check";
import { formatSegmentName } from "../../../../../plugins/common/postgres/wal-segments.ts";
import { LocalFiles } from "../../../../../plugins/pgrwl/archive/local-files.ts";
import { createFolder } from "../../../../harness/folders.ts";
import { mib } from "../receiver/wal-content.ts";

const nameOf = (number: number, timeline = 1) => formatSegmentName({ timeline, number }, mib);
const archived = { objectName: "wal-archive/x", storedBytes: 1 };
const now = Date.parse("2026-01-02T12:00:00Z");

/** Segments of a few bytes; the first is the oldest. */
async function folderWith(names: readonly string[]) {
  const folder = await createFolder("holdfast-local");
  for (const [index, name] of names.entries()) {
    await writeFile(join(folder.path, name), "wal");
    const at = now / 1000 - 60 * (names.length - 1 - index);
    await utimes(join(folder.path, name), at, at);
  }
  return folder;
}

async function loaded(directory: string, archive = "a"): Promise<LocalFiles> {
  const files = new LocalFiles(directory, archive);
  await files.load();
  return files;
}

async function archive(files: LocalFiles, names: readonly string[]): Promise<void> {
  for (const name of names) {
    const file = files.get(name);
    if (file) await files.setArchived(file, archived);
  }
}

test("segments and histories wait; what is partial, being written or unknown does not", async () => {
  const names = [nameOf(1), "00000002.history"];
  const others = [`${nameOf(2)}.partial`, `${nameOf(3)}.tmp`, `${nameOf(3)}.gz`, "00000003.history.tmp", "x"];
  await using folder = await folderWith([...names, ...others]);
  const files = await loaded(folder.path);
  expect([...files.waiting()].map(({ name }) => name).sort()).toEqual(names.sort());
});

test("a folder that is not there yet has nothing", async () => {
  expect([...(await loaded("/nonexistent/wal")).waiting()]).toEqual([]);
});

test("nothing goes that is not archived, or that tells the receiver where to go on; what goes is the oldest", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.uniqueArray(fc.tuple(fc.integer({ min: 1, max: 3 }), fc.integer({ min: 1, max: 12 })), {
        minLength: 1,
        maxLength: 10,
        selector: String,
      }),
      fc.array(fc.boolean(), { minLength: 10, maxLength: 10 }),
      fc.oneof(
        fc.record({ segments: fc.integer({ min: 0, max: 6 }) }),
        fc.record({ seconds: fc.integer({ min: 0, max: 400 }) }),
      ),
      fc.integer({ min: 0, max: 12 }),
      async (segments, isArchived, keep, needBytes) => {
        const names = segments.map(([timeline, number]) => nameOf(number, timeline));
        await using folder = await folderWith(names);
        const files = await loaded(folder.path);
        await archive(
          files,
          names.filter((_, index) => isArchived[index]),
        );
        const removable = files.removable(keep, now, needBytes);
        const all = files.segments();
        const newestTimeline = Math.max(...segments.map(([timeline]) => timeline));
        const lastOfIt = Math.max(...segments.filter(([one]) => one === newestTimeline).map(([, number]) => number));
        for (const file of removable) {
          expect(file.archived).toEqual(archived);
          expect(file).not.toBe(all[0] as typeof file);
          expect(file.name).not.toBe(nameOf(lastOfIt, newestTimeline));
        }
        if (needBytes === 0 && "segments" in keep)
          for (const file of removable) expect(all.indexOf(file)).toBeGreaterThanOrEqual(keep.segments);
        const order = removable.map((file) => all.indexOf(file));
        expect(order).toEqual([...order].sort((one, other) => other - one));
      },
    ),
    { numRuns: 60 },
  );
});

test("what is archived is known after a restart, unless the file, the archive or the record is another one", async () => {
  const names = [1, 2, 3].map((number) => nameOf(number));
  await using folder = await folderWith(names);
  const files = await loaded(folder.path);
  await archive(files, names.slice(0, 2));
  files.writeRecord();
  const waiting = async (identity = "a") =>
    [...(await loaded(folder.path, identity)).waiting()].map(({ name }) => name).sort();
  expect(await waiting()).toEqual([nameOf(3)]);
  expect(await waiting("b")).toEqual(names);
  await writeFile(join(folder.path, nameOf(1)), "WAL");
  expect(await waiting()).toEqual([nameOf(1), nameOf(3)]);
  for (const record of ["", "{", '{"archive":"a","files":[["x"]]}', "[]"]) {
    await writeFile(join(folder.path, ".holdfast-archived.json"), record);
    expect(await waiting()).toEqual(names);
  }
});

test("a file that was replaced is not deleted", async () => {
  await using folder = await folderWith([nameOf(1), nameOf(2)]);
  const files = await loaded(folder.path);
  await archive(files, [nameOf(1)]);
  const [file] = files.removable({ segments: 0 }, now);
  if (file === undefined) throw new Error("Nothing may go");
  await writeFile(join(folder.path, nameOf(1)), "another");
  expect(files.remove(file)).toBe(false);
  await files.scan();
  expect([...files.waiting()].map(({ name }) => name).sort()).toEqual([nameOf(1), nameOf(2)]);
  expect(await readdir(folder.path)).toContain(nameOf(1));
});

test("what has gone is forgotten, what has come is found", async () => {
  await using folder = await folderWith([nameOf(1)]);
  const files = await loaded(folder.path);
  await rm(join(folder.path, nameOf(1)));
  await writeFile(join(folder.path, nameOf(2)), "x");
  await files.scan();
  expect([...files.waiting()].map(({ name }) => name)).toEqual([nameOf(2)]);
});
