/** Uploads on each storage: in order, for ever, and nothing leaves the folder that the archive does not have. */
import { expect, test } from "bun:test";
import { readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describeWith } from "../../../harness/describe-with.ts";
import { segmentOf } from "../../../unit/plugins/pgrwl/receiver/wal-content.ts";
import { range, startArchiver, uploaded } from "./archiver-under-test.ts";
import { mib, nameOf, namesIn, placeKinds, writeSegments } from "./places.ts";

for (const { name: kind, needs, start } of placeKinds) {
  describeWith(needs, `uploads to ${kind}`, () => {
    test("bring what is there at the start and what comes, and keep the newest here", async () => {
      await using place = await start();
      await using tested = await startArchiver({ storage: place.storage, keep_local: 3, compression: "zstd" });
      const { directory, archiver } = tested;
      await writeSegments(directory, range(1, 6));
      await writeFile(join(directory, "00000002.history"), "1\t0/500000\tno recovery target specified\n");
      await writeFile(join(directory, `${nameOf(9)}.partial`), segmentOf({ timeline: 1, number: 9 }));
      await writeFile(join(directory, `${nameOf(9)}.tmp`), "x");
      await writeFile(join(directory, "00000003.history.tmp"), "x");
      tested.run();
      await tested.until("six files", () => uploaded(archiver) === 6);
      await tested.until("three here", async () => (await tested.local()).length === 3);
      await tested.complete([6, 7, 8]);
      await tested.until("nine files", () => uploaded(archiver) === 9);
      await tested.until(
        "three here",
        async () => (await tested.local()).join() === [6, 7, 8].map((n) => nameOf(n)).join(),
      );
      await using archive = await place.open();
      expect(await namesIn(archive)).toEqual([...range(1, 9).map((number) => nameOf(number)), "00000002.history"]);
      expect(archiver.uploader?.backlog()).toEqual({ files: 0, bytes: 0, oldestAt: undefined });
      expect(archiver.uploader?.telemetry.localDeleted).toBe(5);
      expect(archiver.uploader?.telemetry.sourceBytes).toBeGreaterThan(8 * mib);
      expect(await readFile(join(directory, "00000002.history"), "utf8")).toContain("0/500000");
    });

    test.skipIf(kind === "local")("wait as long as an outage lasts, and lose nothing", async () => {
      await using place = await start();
      await using tested = await startArchiver({ storage: place.storage, keep_local: 0 });
      place.proxy?.refuse(true);
      await writeSegments(tested.directory, range(1, 5));
      tested.run();
      const failures = () => tested.archiver.uploader?.telemetry.failures.get("unavailable") ?? 0;
      await tested.until("five failures", () => failures() >= 5);
      expect(tested.archiver.problems.map(({ reason }) => reason)).toEqual(["unavailable"]);
      expect(tested.archiver.uploader?.backlog().files).toBe(4);
      expect(await tested.local()).toEqual(range(1, 5).map((number) => nameOf(number)));
      expect(tested.lines.filter(({ level }) => level === "warn")).toHaveLength(1);
      place.proxy?.behave();
      await tested.until("all", () => uploaded(tested.archiver) === 4);
      expect(tested.archiver.problems).toEqual([]);
      await tested.until("one here", async () => (await tested.local()).join() === nameOf(4));
      // Cut again and again, in the middle; more and more seldom, so that a slow machine gets something through, too.
      let cuts = 0;
      const cut = () => {
        place.proxy?.cut();
        cuts++;
        next = setTimeout(cut, 150 + 50 * cuts);
      };
      let next = setTimeout(cut, 150);
      await tested.complete(range(5, 13));
      await tested
        .until("some, and cuts", () => uploaded(tested.archiver) >= 6 && cuts > 0)
        .finally(() => clearTimeout(next));
      await tested.until("all", () => uploaded(tested.archiver) === 12);
      await using archive = await place.open();
      expect(await namesIn(archive)).toEqual(range(1, 13).map((number) => nameOf(number)));
      for (const number of range(1, 13)) {
        const { content } = await archive.read(nameOf(number));
        expect(Buffer.from(content).equals(segmentOf({ timeline: 1, number }))).toBe(true);
      }
    });

    test.skipIf(kind === "local")(
      "end at once while the storage hangs, and the start does not wait for it",
      async () => {
        await using place = await start();
        const storage = { ...place.storage, timeout: "60s" } as typeof place.storage;
        await using tested = await startArchiver({ storage, ship_partial: "1s", retention: { keep: "1d" } });
        place.proxy?.refuse("hang");
        await writeSegments(tested.directory, [1, 2]);
        const asked = performance.now();
        expect(await tested.archiver.findEnd(new AbortController().signal)).toBeUndefined();
        expect(performance.now() - asked).toBeLessThan(15_000);
        expect(tested.lines).toMatchObject([{ level: "warn", reason: "unavailable" }]);
        tested.run();
        await tested.until("two uploads", ({ uploader }) => uploader?.running === 2);
        const stopped = performance.now();
        await tested.archiver.stop();
        expect(performance.now() - stopped).toBeLessThan(5_000);
        expect(await tested.local()).toEqual([nameOf(1), nameOf(2)]);
      },
    );

    test("leave aside what conflicts, and bring the rest", async () => {
      await using place = await start();
      const other = segmentOf({ timeline: 1, number: 2, systemIdentifier: "99" });
      await using archive = await place.open();
      await archive.storage.put(`wal-archive/${nameOf(2)}`, other);
      await using tested = await startArchiver({ storage: place.storage, keep_local: 0 });
      await writeSegments(tested.directory, range(1, 5));
      await writeFile(join(tested.directory, nameOf(3)), new Uint8Array(mib));
      tested.run();
      await tested.until("two", () => uploaded(tested.archiver) === 2);
      await tested.until("two problems", () => tested.archiver.problems.length === 2);
      expect(new Set(tested.archiver.problems.map(({ reason }) => reason))).toEqual(new Set(["conflict", "source"]));
      await tested.until("three here", async () => (await tested.local()).length === 3);
      expect(await tested.local()).toEqual([2, 3, 4].map((number) => nameOf(number)));
      expect(Buffer.from((await archive.read(nameOf(2))).content).equals(other)).toBe(true);
      // Somebody moves the wrong one away.
      await archive.storage.delete([`wal-archive/${nameOf(2)}`]);
      await tested.until("the conflict is over", async () => (await tested.local()).length === 2);
      // Once each, however often they were tried; what was just being compared as it was moved away is another matter.
      for (const reason of ["conflict", "source"])
        expect(tested.lines.filter((line) => line.level === "error" && line.reason === reason)).toHaveLength(1);
    });
  });
}

const [local] = placeKinds;

test("no more goes out than max_rate allows, however much waits", async () => {
  await using place = await local?.start();
  if (!place) throw new Error("There is no local storage");
  await using tested = await startArchiver({ storage: place.storage, concurrency: 4, max_rate: "4MiB" });
  await writeSegments(tested.directory, range(1, 7));
  const startedAt = performance.now();
  tested.run();
  await tested.until("six", () => uploaded(tested.archiver) === 6);
  // The first goes at once, each of the other five a quarter of a second behind the one before.
  expect(performance.now() - startedAt).toBeGreaterThan(1240);
});

test("a wait for the rate ends, however close to its end the clock is looked at", async () => {
  await using place = await local?.start();
  if (!place) throw new Error("There is no local storage");
  await using tested = await startArchiver({ storage: place.storage, concurrency: 1, max_rate: "64MiB" });
  await writeSegments(tested.directory, range(1, 121));
  tested.run();
  await tested.until("all", () => uploaded(tested.archiver) === 120);
});

test("after a restart nothing is uploaded or read again, and what the archive has lost is stored again", async () => {
  await using place = await local?.start();
  if (!place) throw new Error("There is no local storage");
  const section = { storage: place.storage, keep_local: 3 };
  await using first = await startArchiver(section);
  await writeSegments(first.directory, range(1, 4));
  first.run();
  await first.until("three", () => uploaded(first.archiver) === 3);
  await first.archiver.stop();
  await using archive = await place.open();
  await archive.storage.delete([`wal-archive/${nameOf(1)}`]);
  await using second = await startArchiver(section, first.directory);
  second.run();
  await second.complete([4]);
  await second.until("the new one and the lost one", () => uploaded(second.archiver) === 2);
  await second.until("the oldest has gone", async () => (await second.local()).length === 3);
  expect(await namesIn(archive)).toEqual(range(1, 5).map((number) => nameOf(number)));
  expect(second.archiver.uploader?.telemetry.present).toBe(0);
  // Another archive has to be filled anew.
  await second.archiver.stop();
  const elsewhere = {
    ...section,
    storage: { type: "local", directory: join(second.directory, "..", "other") },
  } as const;
  await using third = await startArchiver(elsewhere, first.directory);
  third.run();
  await third.until("all of them", () => uploaded(third.archiver) === 3);
});

test("the newest segment of the newest timeline stays beside the one at the highest position", async () => {
  await using place = await local?.start();
  if (!place) throw new Error("There is no local storage");
  await using tested = await startArchiver({ storage: place.storage, keep_local: 0 });
  await writeSegments(tested.directory, range(1, 10), 1);
  await writeSegments(tested.directory, range(5, 8), 2);
  tested.run();
  await tested.until("all", () => uploaded(tested.archiver) === 12);
  await tested.until("two here", async () => (await tested.local()).length === 2);
  expect(await tested.local()).toEqual([nameOf(9, 1), nameOf(7, 2)]);
});

test("a duration keeps what was completed within it", async () => {
  await using place = await local?.start();
  if (!place) throw new Error("There is no local storage");
  await using tested = await startArchiver({ storage: place.storage, keep_local: "150s" });
  await writeSegments(tested.directory, range(1, 7));
  tested.run();
  await tested.until("all", () => uploaded(tested.archiver) === 6);
  await tested.until("three here", async () => (await tested.local()).length === 3);
  expect(await tested.local()).toEqual([4, 5, 6].map((number) => nameOf(number)));
});

test("a disk without room gets it from what is archived, before keep_local is reached", async () => {
  await using place = await local?.start();
  if (!place) throw new Error("There is no local storage");
  await using tested = await startArchiver({ storage: place.storage, keep_local: 100 });
  tested.space = { freeBytes: mib / 2, sizeBytes: 100 * mib };
  await writeSegments(tested.directory, range(1, 9));
  tested.run();
  await tested.until("all", () => uploaded(tested.archiver) === 8);
  await tested.until("room for three", async () => (await tested.local()).length <= 5);
  // Each pass makes room for three; without it, nobody would say how many passes there were.
  tested.space = { freeBytes: 100 * mib, sizeBytes: 100 * mib };
  const left = await tested.local();
  expect(left.length).toBeLessThanOrEqual(5);
  expect(left).toContain(nameOf(8));
});

test("a file that changes while it is uploaded is not taken for archived", async () => {
  await using place = await local?.start();
  if (!place) throw new Error("There is no local storage");
  await using tested = await startArchiver({ storage: place.storage, keep_local: 0 });
  await writeSegments(tested.directory, [1, 2]);
  tested.run();
  await tested.until("both", () => uploaded(tested.archiver) === 2);
  await tested.until("one here", async () => (await tested.local()).length === 1);
  // A different segment 2: the server was set back, and somebody said to go on.
  await writeFile(join(tested.directory, nameOf(2)), segmentOf({ timeline: 1, number: 2, systemIdentifier: "5" }));
  await tested.complete([3]);
  tested.archiver.notice(nameOf(2));
  await tested.until("a conflict", () => tested.archiver.problems.some(({ reason }) => reason === "conflict"));
  expect(await tested.local()).toContain(nameOf(2));
  await rm(join(tested.directory, nameOf(2)));
});
