/** The beginning of the current segment in the archive, on each storage. */
import { expect, test } from "bun:test";
import { rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { ArchivePlace } from "../../../../plugins/pgrwl/archive/archive-place.ts";
import { LocalFiles } from "../../../../plugins/pgrwl/archive/local-files.ts";
import { PartialShipping } from "../../../../plugins/pgrwl/archive/partial-shipping.ts";
import { UploadTelemetry } from "../../../../plugins/pgrwl/archive/upload-telemetry.ts";
import { describeWith } from "../../../harness/describe-with.ts";
import { createFolder } from "../../../harness/folders.ts";
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

const reaches = ({ content: bytes }: { content: Uint8Array }) => bytes.findLastIndex((byte) => byte !== 0) + 1;

test("a beginning never gets shorter while the segment is received again, after a break or a restart", async () => {
  await using place = await placeKinds.find(({ name: one }) => one === "local")?.start();
  await using folder = await createFolder("holdfast-shipped");
  if (!place) throw new Error("There is no folder");
  await writeFile(join(folder.path, `${name}.partial`), content);
  const { signal } = new AbortController();
  const quiet = { error() {}, warn() {}, info() {}, debug() {} };
  let position = at(500_000);
  /** As a new process has it. */
  const begin = async (compression: "gzip" | "zstd") => {
    const archive = await place.open({ compression });
    const files = new LocalFiles(folder.path, "here");
    const telemetry = new UploadTelemetry();
    const own = new ArchivePlace({ archive, files, isMounted: true });
    const common = { archive, files, place: own, telemetry, log: quiet, now: Date.now, position: () => position };
    const shipping = new PartialShipping({ ...common, intervalMs: 1000 });
    return async (offset: number) => {
      position = at(offset);
      await shipping.ship(signal);
      return reaches(await archive.read(`${name}.partial`));
    };
  };
  const ship = await begin("gzip");
  const full = await ship(500_000);
  expect(full).toBeGreaterThan(499_000);
  expect(await ship(1000)).toBe(full);
  const shipOtherwise = await begin("zstd");
  expect(await shipOtherwise(2000)).toBe(full);
  expect(await shipOtherwise(600_000)).toBeGreaterThan(599_000);
  // In two formats now. Who has read segments of the first looks for that one first.
  await using archive = await place.open({ compression: "gzip" });
  await writeFile(join(folder.path, nameOf(number - 1)), segmentOf({ timeline: 1, number: number - 1 }));
  await archive.put(nameOf(number - 1), join(folder.path, nameOf(number - 1)));
  await archive.read(nameOf(number - 1));
  expect(reaches(await archive.read(`${name}.partial`))).toBeGreaterThan(599_000);
});
