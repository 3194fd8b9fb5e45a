/** What verification makes of an archive that grows while it is listed. */
import { expect, test } from "bun:test";
import { archivedFile } from "../../../../../plugins/common/wal-archive/archived-file.ts";
import { verifyArchive } from "../../../../../plugins/common/wal-archive/verify.ts";
import { walSegment } from "../../../../harness/wal-segment.ts";

const mib = 2 ** 20;
const segment = (number: number, timeline = 1) =>
  `0000000${timeline}00000000${number.toString(16).toUpperCase().padStart(8, "0")}`;

/** Lists segments; `while` happens before those from the second on are listed. */
const archiveOf = (numbers: readonly number[], during: () => void) => ({
  async *list() {
    for (const [index, number] of numbers.entries()) {
      if (index === 1) during();
      yield* archivedFile({ name: `wal-archive/${segment(number)}`, sizeBytes: mib, modified: new Date() });
    }
  },
});

const verify = (archive: unknown, here: readonly number[]) =>
  verifyArchive(archive as never, {
    depth: "names",
    segmentSizeBytes: mib,
    waiting: () => here.map((number) => segment(number)),
    signal: new AbortController().signal,
  });

test("segments that overtake each other on their way there, while it is listed, leave no gap", async () => {
  const here = [1, 2];
  const archive = archiveOf([1, 2, 4], () => here.push(3, 4, 5));
  expect(await verify(archive, here)).toMatchObject({ isWhole: true, gaps: [] });
});

test("what comes behind its end while it is listed is not looked for", async () => {
  const here = [1, 2];
  // With keep_local 0, 4 has come, was stored and went.
  const archive = archiveOf([1, 2, 3], () => here.splice(0, 2, 5));
  expect(await verify(archive, here)).toMatchObject({ isWhole: true, gaps: [] });
});

test("a segment that is nowhere is a gap all the same", async () => {
  const archive = archiveOf([1, 2, 5], () => {});
  expect((await verify(archive, [1, 2, 4])).gaps).toMatchObject([{ first: segment(3), last: segment(3) }]);
});

test("an archive of another server's WAL is not read whole to find some of ours", async () => {
  const numbers = Array.from({ length: 300 }, (_, number) => number + 1);
  const archive = {
    ...archiveOf(numbers, () => {}),
    verify: () => Promise.resolve({ head: walSegment({ number: 1 }), sizeBytes: mib }),
  };
  const { readObjects, damaged } = await verifyArchive(archive as never, {
    depth: "sampled",
    segmentSizeBytes: mib,
    systemIdentifier: "1",
    timeline: 1,
    signal: new AbortController().signal,
  });
  expect(readObjects).toBeLessThan(30);
  expect(damaged).toHaveLength(readObjects);
});
