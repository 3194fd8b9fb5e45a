import { expect, test } from "bun:test";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { formatSegmentName } from "../../../../../plugins/common/postgres/wal-segments.ts";
import { openWalArchive } from "../../../../../plugins/common/wal-archive/open.ts";
import { archiveSettings } from "../../../../../plugins/common/wal-archive/settings.ts";
import { lastArchived } from "../../../../../plugins/pgrwl/archive/last-archived.ts";
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

test("an archive without segments has no end", async () => {
  expect(await endOf([], ["00000002.history"])).toBeUndefined();
});
