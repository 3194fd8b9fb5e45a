/** What is found out about the archive's end once it can be asked, when reception has long begun. */
import { expect, test } from "bun:test";
import { readdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { ourSystem, segmentOf } from "../../../unit/plugins/pgrwl/receiver/wal-content.ts";
import { range, startArchiver } from "./archiver-under-test.ts";
import { mib, nameOf, placeKinds, writeSegments } from "./places.ts";

const s3 = () => placeKinds.find(({ name }) => name === "S3")?.start() ?? Promise.reject(new Error("There is no S3"));

/** An archive of segments 1 to 5, that was away while reception began. */
async function beginLate(
  number: number,
  { timeline = 1, identifier = ourSystem, isAway = true, received = async (_directory: string) => {} } = {},
) {
  await using cleanup = new AsyncDisposableStack();
  const place = cleanup.use(await s3());
  const tested = cleanup.use(await startArchiver({ storage: place.storage }));
  {
    await using archive = await place.open();
    for (const one of await writeSegments(tested.directory, range(1, 6)))
      await archive.put(one, join(tested.directory, one));
    for (const one of await readdir(tested.directory)) await rm(join(tested.directory, one));
  }
  if (isAway) {
    place.proxy?.refuse(true);
    expect(await tested.archiver.findEnd(new AbortController().signal)).toBeUndefined();
  }
  expect(tested.archiver.missingAtStart).toBeUndefined();
  tested.beginning = { timeline, lsn: BigInt(number * mib), segmentSizeBytes: mib, systemIdentifier: identifier };
  await received(tested.directory);
  tested.run();
  place.proxy?.behave();
  const owned = cleanup.move();
  return { tested, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

test("WAL that is missing before the beginning is told of, and counted", async () => {
  await using late = await beginLate(9);
  const { tested } = late;
  await tested.until("the look", ({ missingAtStart }) => missingAtStart !== undefined);
  expect(tested.archiver.missingAtStart).toBe(3);
  expect(tested.lines).toContainEqual(
    expect.objectContaining({ level: "warn", first: nameOf(6), last: nameOf(8), segments: 3 }),
  );
  expect(tested.archiver.startProblem).toContain(`${nameOf(6)} to ${nameOf(8)}`);
});

test.each([
  ["right behind the archive's end", 6, 1],
  ["before the archive's end", 3, 1],
  ["on a new timeline", 6, 2],
])("nothing is missing where it began %s", async (_, number, timeline) => {
  const received = async (directory: string) => {
    if (timeline === 1) return;
    await writeFile(join(directory, "00000002.history"), "1\t0/600010\tx\n");
    await writeFile(join(directory, nameOf(6, 2)), segmentOf({ timeline: 2, number: 6 }));
  };
  await using late = await beginLate(number, { timeline, received });
  const { tested } = late;
  await tested.until("the look", ({ missingAtStart }) => missingAtStart !== undefined);
  expect(tested.archiver.missingAtStart).toBe(0);
  expect(tested.archiver.startProblem).toBeUndefined();
});

test.each([true, false])(
  "another cluster's WAL in the archive is told of (was it away at the start: %j)",
  async (isAway) => {
    await using late = await beginLate(6, { identifier: "1234567", isAway });
    const { tested } = late;
    await tested.until("the look", ({ missingAtStart }) => missingAtStart !== undefined);
    expect(tested.archiver.startProblem).toContain(ourSystem);
  },
);
