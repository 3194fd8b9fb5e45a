/** What retention takes from an archive, and what holds it back. */
import { expect, test } from "bun:test";
import { mkdir, symlink, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import type { RetentionReport } from "../../../../plugins/pgrwl/archive/retention.ts";
import { Retention } from "../../../../plugins/pgrwl/archive/retention.ts";
import { archiveSection } from "../../../../plugins/pgrwl/archive/settings.ts";
import { createFolder } from "../../../harness/folders.ts";
import { range } from "./archiver-under-test.ts";
import { mib, nameOf, namesIn, placeKinds, writeSegments } from "./places.ts";

const [local] = placeKinds;
const day = 86_400;

/** An archive of segments 1 to 9 on timeline 1 and 6 to 12 on timeline 2, one stored each day, the last one today. */
async function startRetention(
  settings: object = {},
  more: { oldestLocal?: string; segmentSizeBytes?: number; aheadMs?: number } = {},
) {
  await using cleanup = new AsyncDisposableStack();
  const place = cleanup.use(await (local?.start() ?? Promise.reject(new Error("There is no local storage"))));
  const archive = cleanup.use(await place.open());
  if (place.storage.type !== "local") throw new Error("It is no folder");
  const root = place.storage.directory;
  const folder = join(root, "wal-archive");
  await writeSegments(folder, range(1, 10), 1);
  await writeSegments(folder, range(6, 13), 2);
  await writeFile(join(folder, "00000002.history"), "1\t0/600000\tx\n");
  await writeFile(join(folder, `${nameOf(3)}.partial`), new Uint8Array(mib));
  await writeFile(join(folder, "notes.txt"), "ours");
  const age = async (file: string, days: number) => {
    const at = Date.now() / 1000 - days * day - 60;
    await utimes(join(folder, file), at, at);
  };
  for (const number of range(1, 10)) await age(nameOf(number), 12 - number);
  for (const number of range(6, 13)) await age(nameOf(number, 2), 12 - number);
  await age("00000002.history", 100);
  await age(`${nameOf(3)}.partial`, 9);
  const { retention } = archiveSection.parse({
    storage: place.storage,
    retention: { keep: "3d", ...settings },
  });
  if (retention === undefined) throw new Error("There is no retention");
  const lines: string[] = [];
  const write = (message: string, fields: object = {}) => void lines.push(`${message} ${JSON.stringify(fields)}`);
  let report: RetentionReport | undefined;
  const owned = cleanup.move();
  return {
    archive,
    root,
    lines,
    async run(): Promise<RetentionReport> {
      const { oldestLocal, segmentSizeBytes = mib } = more;
      await new Retention({
        archive,
        settings: retention,
        password: undefined,
        log: { error: write, warn: write, info: write, debug: write },
        now: () => Date.now() + (more.aheadMs ?? 0),
        segmentSizeBytes: () => segmentSizeBytes || undefined,
        oldestLocal: () => oldestLocal,
        onReport: (one) => {
          report = one;
        },
      }).run(new AbortController().signal);
      if (report === undefined) throw new Error("There is no report");
      return report;
    },
    left: () => namesIn(archive),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

/** All of WAL from a position on, on both timelines, and what always stays. */
const from = (first: number): string[] =>
  [
    ...range(Math.max(1, first), 10).map((number) => nameOf(number)),
    ...(first <= 3 ? [`${nameOf(3)}.partial`] : []),
    "00000002.history",
    ...range(Math.max(6, first), 13).map((number) => nameOf(number, 2)),
  ].sort();
const all = from(1);

test("what was stored before the time goes, on every timeline; histories and what is not ours stay", async () => {
  await using tested = await startRetention();
  const report = await tested.run();
  expect(report).toMatchObject({
    outcome: "done",
    keptFrom: nameOf(10, 2),
    heldBy: "keep",
    files: all.length,
    deletedFiles: 9 + 4 + 1,
    firstDeleted: nameOf(1),
    lastDeleted: nameOf(9, 2),
    doubts: [],
  });
  expect(await tested.left()).toEqual(from(10));
  expect((await tested.run()).deletedFiles).toBe(0);
});

test("a dry run says the same, and deletes nothing", async () => {
  await using tested = await startRetention({ dry_run: true });
  expect(await tested.run()).toMatchObject({ outcome: "dry_run", deletedFiles: 14, deletedBytes: 14 * mib });
  expect(await tested.left()).toEqual(all);
  expect(tested.lines.join("\n")).toContain("Retention would delete");
});

test("the newest segment stays, however old it is", async () => {
  await using tested = await startRetention({ keep: "1m" });
  await utimes(join(tested.root, "wal-archive", nameOf(12, 2)), 1e9, 1e9);
  expect(await tested.run()).toMatchObject({ outcome: "done", keptFrom: nameOf(11, 2), heldBy: "keep" });
  expect(await tested.left()).toEqual(from(11));
});

test("what is in the receive directory stays in the archive, too", async () => {
  await using tested = await startRetention({}, { oldestLocal: nameOf(4) });
  expect((await tested.run()).heldBy).toBe("the receive directory");
  expect(await tested.left()).toEqual(from(4));
});

const markerOf = (start_lsn: number, ranges?: string) =>
  JSON.stringify({
    start_lsn,
    stop_lsn: start_lsn + 100,
    timeline_id: 1,
    manifest: ranges && { "WAL-Ranges": [{ Timeline: 1, "Start-LSN": ranges, "End-LSN": "0/FFFFFF" }] },
  });

async function putBackup(
  root: string,
  id: string,
  files: Readonly<Record<string, string | Uint8Array>>,
): Promise<void> {
  await mkdir(join(root, "backups", id), { recursive: true });
  for (const [file, content] of Object.entries(files)) await writeFile(join(root, "backups", id, file), content);
}

test("the oldest of pgrwl's base backups holds what it needs, whatever form its marker has", async () => {
  await using tested = await startRetention();
  await putBackup(tested.root, "20260101000000", {
    "base.tar": "x",
    "20260101000000.json.gz": gzipSync(markerOf(8 * mib + 40)),
  });
  await putBackup(tested.root, "20260102000000", { "20260102000000.json": markerOf(9 * mib + 40, "0/700028") });
  expect(await tested.run()).toMatchObject({ outcome: "done", heldBy: "the base backup 20260102000000" });
  expect(await tested.left()).toEqual(from(7));
});

test.each([
  ["is not finished", { "base.tar": "x" }, "is not finished"],
  ["has a marker that is no JSON", { "1.json": "{" }, "cannot be read"],
  ["has a marker without a position", { "1.json": '{"stop_lsn":5}' }, "cannot be read"],
  ["has a marker that is encrypted", { "1.json.aes": "AEADv1…" }, "cannot be read"],
])("a base backup that %s holds everything", async (_, files, said) => {
  await using tested = await startRetention();
  await putBackup(tested.root, "1", files);
  const report = await tested.run();
  expect(report).toMatchObject({ outcome: "doubt", deletedFiles: 0 });
  expect(report.doubts.join()).toContain(said);
  expect(await tested.left()).toEqual(all);
});

const label = (number: number) =>
  `START WAL LOCATION: 0/${number}00028 (file ${nameOf(number)})\nCHECKPOINT LOCATION: 0/${number}00060\nBACKUP METHOD: streamed\n`;

test("labels that keep_from finds, segments that it names, and labels in the archive hold what they need", async () => {
  await using folder = await createFolder("holdfast-backups");
  for (const number of [5, 8]) {
    await mkdir(join(folder.path, `${number}`));
    await writeFile(join(folder.path, `${number}`, "backup_label"), label(number));
  }
  const paths = join(folder.path, "*", "backup_label");
  await using labels = await startRetention({ keep_from: paths });
  expect(await labels.run()).toMatchObject({ outcome: "done", keptFrom: nameOf(5) });
  expect(await labels.left()).toEqual(from(5));
  await using segments = await startRetention({ keep_from: [paths, nameOf(4, 7)] });
  expect((await segments.run()).heldBy).toBe("keep_from");
  expect(await segments.left()).toEqual(from(4));
  await using archived = await startRetention({ keep_from: paths });
  const name = `${nameOf(2)}.00000028.backup`;
  await writeFile(join(archived.root, "wal-archive", name), label(2));
  expect((await archived.run()).keptFrom).toBe(nameOf(2));
  expect(await archived.left()).toEqual([...from(2), name].sort());
});

test("labels that are gone, or are none, hold everything", async () => {
  await using folder = await createFolder("holdfast-backups");
  const path = join(folder.path, "backup_label");
  await using tested = await startRetention({ keep_from: path });
  expect((await tested.run()).doubts.join()).toContain(`there is no file ${path}`);
  await writeFile(path, "nothing");
  expect((await tested.run()).doubts.join()).toContain("cannot be read");
  expect(await tested.left()).toEqual(all);
});

test("a backup that cannot be looked into holds everything, although others can", async () => {
  await using folder = await createFolder("holdfast-backups");
  await mkdir(join(folder.path, "8"));
  await writeFile(join(folder.path, "8", "backup_label"), label(8));
  // A link that leads to itself: like a folder of another user's, it cannot be looked into, not even by root.
  await symlink("2", join(folder.path, "2"));
  await using tested = await startRetention({ keep_from: join(folder.path, "*", "backup_label") });
  expect((await tested.run()).doubts.join()).toContain(join(folder.path, "2"));
  expect(await tested.left()).toEqual(all);
  await using deeper = await startRetention({ keep_from: join(folder.path, "**", "backup_label") });
  expect((await deeper.run()).keptFrom).toBe(nameOf(8));
});

test("time is the storage's: a clock here that is years ahead, or a server that wrote nothing for years, takes nothing", async () => {
  await using tested = await startRetention({}, { aheadMs: 5 * 365 * day * 1000 });
  expect(await tested.run()).toMatchObject({ outcome: "done", heldBy: "keep" });
  await using behind = await startRetention({});
  await behind.run();
  expect(await tested.left()).toEqual(expect.arrayContaining(await behind.left()));
});

test("before anything is known of the server nothing is deleted", async () => {
  await using tested = await startRetention({}, { segmentSizeBytes: 0 });
  expect(await tested.run()).toMatchObject({ outcome: "doubt" });
  expect(await tested.left()).toEqual(all);
});
