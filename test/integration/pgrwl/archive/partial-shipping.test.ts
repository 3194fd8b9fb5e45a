/** The beginning of the current segment in the archive, on each storage. */
import { expect, test } from "bun:test";
import { rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describeWith } from "../../../harness/describe-with.ts";
import { segmentOf } from "../../../unit/plugins/pgrwl/receiver/wal-content.ts";
import { startArchiver, uploaded } from "./archiver-under-test.ts";
import { mib, nameOf, namesIn, placeKinds } from "./places.ts";

const number = 5;
const name = nameOf(number);
const content = segmentOf({ timeline: 1, number });
const at = (offset: number) => ({
  timeline: 1,
  flushed: BigInt(number * mib + offset),
  segmentSizeBytes: mib,
});

for (const { name: kind, needs, start } of placeKinds) {
  describeWith(needs, `the current segment's beginning on ${kind}`, () => {
    test("is what is flushed and zeros, follows what comes, and goes when the whole is there", async () => {
      await using place = await start();
      await using archive = await place.open();
      const section = { storage: place.storage, ship_partial: "1s", compression: "gzip" } as const;
      await using tested = await startArchiver(section);
      const { archiver, directory } = tested;
      // Behind what is flushed the file may have anything.
      await writeFile(join(directory, `${name}.partial`), content);
      tested.position = at(100_000);
      tested.run();
      const shipped = (times: number) =>
        tested.until(`${times} times`, () => archiver.uploader?.telemetry.partials === times);
      const expected = (offset: number) => Buffer.concat([content.subarray(0, offset), Buffer.alloc(mib - offset)]);
      await shipped(1);
      expect(Buffer.from((await archive.read(`${name}.partial`)).content).equals(expected(100_000))).toBe(true);
      tested.position = at(mib - 8);
      await shipped(2);
      expect(Buffer.from((await archive.read(`${name}.partial`)).content).equals(expected(mib - 8))).toBe(true);
      await rename(join(directory, `${name}.partial`), join(directory, name));
      tested.position = at(mib);
      archiver.notice(name);
      await tested.until("the whole", () => uploaded(archiver) === 1);
      await tested.until("nothing else", async () => (await namesIn(archive)).join() === name);
      expect(tested.lines.filter(({ level }) => level === "warn" || level === "error")).toEqual([]);
    });
  });
}

test("an outage is told once, and over by itself", async () => {
  const s3 = placeKinds.find(({ name: one }) => one === "S3");
  await using place = await s3?.start();
  if (!place) throw new Error("There is no S3");
  await using archive = await place.open();
  place.proxy?.refuse(true);
  await using tested = await startArchiver({ storage: place.storage, ship_partial: "1s" });
  await writeFile(join(tested.directory, `${name}.partial`), content);
  tested.position = at(5000);
  tested.run();
  await tested.until("two failures", ({ uploader }) => (uploader?.telemetry.failures.get("unavailable") ?? 0) >= 2);
  place.proxy?.behave();
  await tested.until("the beginning", async () => (await namesIn(archive)).length === 1);
  expect(tested.lines.filter(({ level }) => level === "warn")).toHaveLength(1);
});
