import { expect, test } from "bun:test";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { formatSegmentName } from "../../../../../plugins/common/postgres/wal-segments.ts";
import { openWalArchive } from "../../../../../plugins/common/wal-archive/open.ts";
import { archiveSettings } from "../../../../../plugins/common/wal-archive/settings.ts";
import { lastArchived, reachesFurther } from "../../../../../plugins/pgrwl/archive/last-archived.ts";
import { LocalFiles } from "../../../../../plugins/pgrwl/archive/local-files.ts";
import { createFolder } from "../../../../harness/folders.ts";
import { mib, ourSystem, segmentOf } from "../receiver/wal-content.ts";

type Segment = readonly [timeline: number, number: number];

const nameOf = ([timeline, number]: Segment) => formatSegmentName({ timeline, number }, mib);
const run = (timeline: number, from: number, to: number): Segment[] =>
  Array.from({ length: to - from }, (_, at) => [timeline, from + at]);

/** Only the newest are read; the others need no content. */
async function endOf(segments: readonly Segment[], more: readonly string[] = []) {
  await using folder = await createFolder("holdfast-archive");
  const directory = join(folder.path, "wal-archive");
  await mkdir(directory);
  for (const [timeline, number] of segments) {
    const isLast = !segments.some(([other, later]) => other === timeline && later > number);
    await writeFile(join(directory, nameOf([timeline, number])), isLast ? segmentOf({ timeline, number }) : "x");
  }
  for (const name of more) await writeFile(join(directory, name), "x");
  const settings = archiveSettings.parse({ storage: { type: "local", directory: folder.path } });
  await using archive = await openWalArchive(settings, { environment: {} });
  return await lastArchived(archive, new AbortController().signal);
}

test.each([
  ["one segment", run(1, 5, 6), [1, 5]],
  ["an unbroken run", run(1, 1, 200), [1, 199]],
  ["a run over the end of a log", run(1, 4090, 4100), [1, 4099]],
  ["a hole near the end, where uploads overtook each other", [...run(1, 1, 8), ...run(1, 9, 11)], [1, 7]],
  ["two holes near the end", [...run(1, 1, 8), ...run(1, 9, 11), [1, 12]], [1, 7]],
  ["a hole long ago", [...run(1, 1, 8), ...run(1, 9, 200)], [1, 199]],
  ["a newer timeline at lower positions", [...run(1, 1, 20), ...run(2, 12, 15)], [2, 14]],
  ["a newer timeline that begins where the older ended", [...run(1, 1, 20), ...run(2, 20, 22)], [2, 21]],
] as const)("the end behind %s", async (_, segments, last) => {
  const end = await endOf(segments as readonly Segment[], ["00000009.history", `${nameOf([9, 9])}.partial`, "notes"]);
  expect(end).toEqual({ name: nameOf(last as Segment), systemIdentifier: ourSystem });
});

test.each([
  ["equal to the folder", run(1, 1, 5), [], false],
  ["behind the folder", run(1, 1, 3), [], false],
  ["beyond the folder", run(1, 1, 7), [], true],
  ["beyond the folder, with a hole", [...run(1, 1, 5), [1, 6]], [], true],
  ["on the next timeline", run(1, 1, 5), ["00000002.history"], true],
  ["at the beginning of the next segment only", run(1, 1, 5), [`${nameOf([1, 5])}.partial`], false],
] as const)("an archive %s is told by few requests", async (_, segments, more, further) => {
  await using folder = await createFolder("holdfast-archive");
  const [directory, received] = [join(folder.path, "wal-archive"), join(folder.path, "received")];
  await mkdir(directory);
  await mkdir(received);
  for (const segment of segments) await writeFile(join(directory, nameOf(segment as Segment)), "x");
  for (const name of more) await writeFile(join(directory, name), "x");
  await writeFile(join(received, nameOf([1, 4])), segmentOf({ timeline: 1, number: 4 }));
  const files = new LocalFiles(received, "");
  await files.load();
  const [newest] = files.segments();
  const settings = archiveSettings.parse({ storage: { type: "local", directory: folder.path } });
  await using archive = await openWalArchive(settings, { environment: {} });
  if (newest === undefined) throw new Error("There is no segment");
  expect(await reachesFurther(archive, newest, files, new AbortController().signal)).toBe(further);
});

test("an archive without segments has no end", async () => {
  expect(await endOf([], ["00000002.history"])).toBeUndefined();
});
