/** What WAL and base backups together restore. */
import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdir, rm, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { parseLsn } from "../../../../plugins/common/postgres/lsn.ts";
import { openWalArchive } from "../../../../plugins/common/wal-archive/open.ts";
import { Telemetry } from "../../../../plugins/pgrwl/receiver/telemetry.ts";
import { Survey, type Surveyed } from "../../../../plugins/pgrwl/restorable/survey.ts";
import { restorableWindows, type WindowOptions } from "../../../../plugins/pgrwl/restorable/window.ts";
import { createFolder, type TemporaryFolder } from "../../../harness/folders.ts";

const mib = 2 ** 20;
const lsn = (text: string) => parseLsn(text) ?? -1n;
const segment = (number: number, timeline = 1) =>
  `${timeline.toString(16).padStart(8, "0")}00000000${number.toString(16).padStart(8, "0")}`.toUpperCase();
const label = (name: string, more = "") =>
  `START WAL LOCATION: 0/300028 (file ${name})\nCHECKPOINT LOCATION: 0/300060\nSTART TIME: 2026-11-20 10:00:00 CET\n${more}`;

let folder: TemporaryFolder;
let directory: string;
beforeEach(async () => {
  folder = await createFolder("holdfast-restorable");
  directory = join(folder.path, "wal");
  await mkdir(directory);
});
afterEach(() => folder[Symbol.asyncDispose]());

/** A segment that was completed so many seconds after 1970. */
async function put(name: string, at: number, where = directory, bytes = mib): Promise<void> {
  await mkdir(where, { recursive: true });
  await writeFile(join(where, name), Buffer.alloc(bytes));
  await utimes(join(where, name), at, at);
}

/** @param options `whileListed`: happens before the last object of the archive is listed. */
async function survey(
  options: {
    keepFrom?: string[];
    archive?: string;
    timeline?: number;
    again?: () => Promise<void>;
    whileListed?: () => Promise<void>;
  } = {},
): Promise<Survey> {
  const { archive: place } = options;
  const archive =
    place === undefined
      ? undefined
      : await openWalArchive(
          { storage: { type: "local", directory: place }, compression: { algorithm: "none" } } as never,
          { environment: {} },
        );
  const { whileListed } = options;
  if (archive && whileListed) {
    const list = archive.list.bind(archive);
    archive.list = async function* (more) {
      const files = await Array.fromAsync(list(more));
      yield* files.slice(0, -1);
      await whileListed();
      yield* files.slice(-1);
    };
  }
  let stopping = new AbortController();
  const log = { error() {}, warn() {}, info() {}, debug() {} };
  const one: Survey = new Survey({
    directory,
    archive: archive && (() => archive),
    password: undefined,
    keepFrom: options.keepFrom ?? [],
    log,
    segmentSizeBytes: () => undefined,
    timeline: () => options.timeline,
    now: Date.now,
    onEnd: () => stopping.abort(),
  });
  await one.run(stopping.signal);
  if (options.again === undefined) return one;
  await options.again();
  stopping = new AbortController();
  await one.run(stopping.signal);
  return one;
}

test("WAL here goes on from the last hole to the newest segment, and says since when", async () => {
  for (const number of [1, 2, 4, 5, 6]) await put(segment(number), 1000 * number);
  expect((await survey()).last?.run).toEqual({
    oldestLsn: lsn("0/400000"),
    newestLsn: lsn("0/700000"),
    since: 4000,
    until: 6000,
    timeline: 1,
    ancestors: [],
  });
});

test("the archive and the folder are one chain, over a change of the timeline too", async () => {
  const archive = join(folder.path, "archive");
  for (const number of [1, 2, 3]) await put(segment(number), 1000 * number, join(archive, "wal-archive"));
  await put(segment(3, 2), 3500);
  await put(segment(4, 2), 4000);
  await writeFile(join(directory, "00000002.history"), "1\t0/300100\tno recovery target specified\n");
  const { last, failure } = await survey({ archive });
  expect(failure).toBeUndefined();
  expect(last?.run).toMatchObject({ oldestLsn: lsn("0/100000"), newestLsn: lsn("0/500000"), since: 1000, until: 4000 });
});

test("uploads that overtake each other while the archive is listed leave no gap", async () => {
  const archive = join(folder.path, "archive");
  for (const number of [1, 2, 4]) await put(segment(number), 1000 * number, join(archive, "wal-archive"));
  await put(segment(2), 2000);
  const whileListed = async () => {
    for (const number of [3, 4, 6]) await put(segment(number), 1000 * number);
  };
  const { last } = await survey({ archive, whileListed });
  // What came behind the end is for the next time: 5 was stored and removed here.
  expect(last?.run).toMatchObject({ oldestLsn: lsn("0/100000"), newestLsn: lsn("0/500000"), until: 4000 });
});

test("base backups are those of keep_from with the time of their manifest, or of their history file", async () => {
  await put(segment(3), 3000);
  const backups = join(folder.path, "backups");
  await mkdir(join(backups, "one"), { recursive: true });
  await writeFile(join(backups, "one", "backup_label"), label(segment(3)));
  await writeFile(join(backups, "one", "backup_manifest"), "{}");
  await utimes(join(backups, "one", "backup_manifest"), 5000, 5000);
  const history = join(backups, `${segment(4)}.00000028.backup`);
  await writeFile(history, label(segment(4), "STOP TIME: 2026-11-20 10:05:00 UTC\n"));
  const { last } = await survey({ keepFrom: [join(backups, "*/backup_label"), join(backups, "*.backup"), segment(1)] });
  expect(last?.backups.needs.map(({ segment: from, endedAt }) => [from, endedAt])).toEqual([
    [segment(3), 5000],
    [segment(4), Date.parse("2026-11-20T10:05:00Z") / 1000],
    [segment(1), undefined],
  ]);
});

test("what pgrwl has stored in the archive counts, with the end that its marker tells", async () => {
  const archive = join(folder.path, "archive");
  await put(segment(3), 3000);
  const backup = join(archive, "backups", "20261120100000");
  await mkdir(backup, { recursive: true });
  const marker = { start_lsn: 0x300028, stop_lsn: 0x300100, finished_at: "2026-11-20T10:05:00Z", manifest: null };
  await writeFile(join(backup, "20261120100000.json"), JSON.stringify(marker));
  const { last } = await survey({ archive });
  expect(last?.backups.needs).toEqual([
    { who: "the base backup 20261120100000", segment: segment(3), endedAt: Date.parse("2026-11-20T10:05:00Z") / 1000 },
  ]);
});

test("a folder that is not made yet is no failure, one that cannot be read is", async () => {
  await rm(directory, { recursive: true });
  expect(await survey()).toMatchObject({ last: undefined, failure: undefined });
  await writeFile(directory, "");
  expect((await survey()).failure).toContain("ENOTDIR");
});

const now = 10_000;
function window(given: Partial<WindowOptions> = {}, state: Telemetry["state"] = "streaming") {
  const telemetry = given.telemetry ?? new Telemetry();
  telemetry.state = state;
  return restorableWindows({
    now,
    telemetry,
    surveyed: undefined,
    failure: undefined,
    keepFrom: [],
    damaged: [],
    ...given,
  })[0];
}
const surveyed = (endedAt: readonly (number | undefined)[], first = 3): Surveyed => ({
  at: now,
  segmentSizeBytes: mib,
  run: { oldestLsn: lsn("0/300000"), newestLsn: lsn("0/900000"), since: 3000, until: 9000, timeline: 1, ancestors: [] },
  backups: {
    needs: endedAt.map((at) => ({ who: "keep_from", segment: segment(first), endedAt: at })),
    doubts: [],
  },
});

test("with a base backup since which WAL is whole: from its end to now, less the lag", () => {
  expect(window({ surveyed: surveyed([5000, 4000]) })).toEqual({ from: 4000, to: now, detail: undefined });
  const telemetry = new Telemetry();
  telemetry.set("behindSince", now - 30);
  expect(window({ telemetry, surveyed: surveyed([4000]) })?.to).toBe(now - 30);
  telemetry.set("lastMessageAt", now - 60);
  expect(window({ telemetry, surveyed: surveyed([4000]) }, "waiting")?.to).toBe(now - 60);
});

test("of a stream from which nothing is heard any more: to the last message, not to now", () => {
  const telemetry = new Telemetry();
  telemetry.set("lastMessageAt", now - 7200);
  expect(window({ telemetry, surveyed: surveyed([4000]) })?.to).toBe(now - 7200);
  telemetry.set("behindSince", now - 7300);
  expect(window({ telemetry, surveyed: surveyed([4000]) })?.to).toBe(now - 7300);
});

test("a server that was never reached: to the newest segment", () => {
  expect(window({ surveyed: surveyed([4000]) }, "connecting")?.to).toBe(9000);
});

test("without a base backup it is WAL only, and claims nothing; before anybody looked there is nothing", () => {
  expect(window()).toBeUndefined();
  expect(window({ surveyed: surveyed([]) })).toMatchObject({ from: 3000, to: now, walOnly: true });
  expect(window({ surveyed: surveyed([undefined]), keepFrom: [segment(3)] })).toMatchObject({ walOnly: true });
});

test("base backups that keep_from should name, and does not, are missing", () => {
  expect(window({ surveyed: surveyed([]), keepFrom: ["/backups/*/backup_label"] })).toMatchObject({
    reason: "no_backup",
  });
});

test("WAL that is missing since every base backup, or that the server no longer has, is a gap", () => {
  expect(window({ surveyed: surveyed([4000], 2) })).toMatchObject({ reason: "wal_gap", from: undefined });
  expect(window({ surveyed: { ...surveyed([4000]), run: undefined } })).toMatchObject({ reason: "unknown" });
  const telemetry = new Telemetry();
  telemetry.setInList("gapOpen", 1, 1);
  expect(window({ telemetry, surveyed: surveyed([4000]) }, "refused")).toMatchObject({ reason: "wal_gap", from: 4000 });
});

test("an archive that cannot be looked at is told, with what was known", () => {
  const failure = "connection refused";
  expect(window({ surveyed: surveyed([4000]), failure })).toMatchObject({
    from: 4000,
    reason: "archive_unreachable",
    detail: failure,
  });
  expect(window({ failure })).toMatchObject({ reason: "archive_unreachable", walOnly: true });
  expect(window({ failure, keepFrom: ["/b/*"] })).toMatchObject({ reason: "archive_unreachable", walOnly: false });
});

test("what nobody could look at for an hour is stale, though the receiver streams", () => {
  const old = (at: number) => window({ surveyed: { ...surveyed([4000]), at } });
  expect(old(now - 3600)?.reason).toBeUndefined();
  expect(old(now - 3601)).toMatchObject({ reason: "stale", from: 4000 });
});

test("a base backup whose WAL was not received is no way to restore, until it is", () => {
  expect(window({ surveyed: surveyed([4000], 9) })).toMatchObject({ reason: "wal_gap", from: undefined });
  const telemetry = new Telemetry();
  telemetry.setLsn("flushed", lsn("0/900028"));
  expect(window({ telemetry, surveyed: surveyed([4000], 9) })).toMatchObject({ from: 4000, detail: undefined });
});

test("damaged WAL behind a base backup takes it away, before it does not", () => {
  const damaged = (number: number) => [`wal-archive/${segment(number)}.gz.aes`];
  expect(window({ surveyed: surveyed([4000], 3), damaged: damaged(5) })).toMatchObject({
    reason: "damaged",
    from: undefined,
    detail: expect.stringContaining(segment(5)),
  });
  expect(window({ surveyed: surveyed([4000], 3), damaged: damaged(2) })?.reason).toBeUndefined();
  const several = (...numbers: number[]) => numbers.flatMap((number) => damaged(number));
  expect(window({ surveyed: surveyed([4000], 3), damaged: several(5, 2) })?.reason).toBe("damaged");
  expect(window({ surveyed: surveyed([4000], 3), damaged: several(2, 1) })?.reason).toBeUndefined();
});

test.each([".partial.gz.aes", ".00000028.backup"])("a damaged %s is no WAL that a base backup needs", (ending) => {
  const damaged = [`wal-archive/${segment(5)}${ending}`, "00000002.history"];
  expect(window({ surveyed: surveyed([4000], 3), damaged })).toMatchObject({ from: 4000 });
});

test("base backups that were there, and are gone, are missing: they were more than WAL alone", async () => {
  const archive = join(folder.path, "archive");
  await put(segment(3), 3000);
  const backup = join(archive, "backups", "one");
  await mkdir(backup, { recursive: true });
  const marker = { start_lsn: 0x300028, finished_at: "2026-11-20T10:05:00Z", manifest: null };
  await writeFile(join(backup, "one.json"), JSON.stringify(marker));
  const whileOnce = await survey({ archive, again: () => rm(join(archive, "backups"), { recursive: true }) });
  expect(window({ surveyed: whileOnce.last })).toMatchObject({ reason: "no_backup" });
  expect(window({ surveyed: (await survey({ archive })).last })).toMatchObject({ walOnly: true });
});

/** Timeline 2 left timeline 1 in the middle of segment 6; a base backup of timeline 1 reaches so far. */
const afterPromotion = (reaches: string, timeline = 1): Surveyed => {
  const before = surveyed([4000]);
  const run = { oldestLsn: lsn("0/300000"), newestLsn: lsn("0/900000"), since: 3000, until: 9000 };
  const ancestors = [{ timeline: 1, endLsn: lsn("0/600800") }];
  const needs = before.backups.needs.map((need) => ({ ...need, reaches: { timeline, lsn: lsn(reaches) } }));
  return { ...before, run: { ...run, timeline: 2, ancestors }, backups: { needs, doubts: [] } };
};

test("a base backup of a timeline that the server has left counts up to where it left it", () => {
  expect(window({ surveyed: afterPromotion("0/600800") })).toMatchObject({ from: 4000, detail: undefined });
  expect(window({ surveyed: afterPromotion("0/700028", 2) })).toMatchObject({ from: 4000, detail: undefined });
  expect(window({ surveyed: afterPromotion("0/600801") })).toMatchObject({
    reason: "no_backup",
    from: undefined,
    detail: "Every base backup is of a timeline that was left before 2 began: take a new one",
  });
});

test("damaged WAL that was written on a timeline after the server had left it hurts nobody", () => {
  const damaged = (number: number, timeline: number) => [`wal-archive/${segment(number, timeline)}.gz`];
  const reason = (number: number, timeline: number) =>
    window({ surveyed: afterPromotion("0/400000"), damaged: damaged(number, timeline) })?.reason;
  expect(reason(5, 1)).toBe("damaged");
  expect(reason(6, 1)).toBeUndefined();
  expect(reason(6, 2)).toBe("damaged");
});

test("a base backup of which the end has not been received is no way to restore", () => {
  expect(window({ surveyed: afterPromotion("0/900000", 2) })?.reason).toBeUndefined();
  expect(window({ surveyed: afterPromotion("0/900001", 2) })).toMatchObject({ reason: "wal_gap", from: undefined });
});

test("what is left of a higher timeline, as of a test restore, is not what the server's WAL is measured by", async () => {
  for (const number of [1, 2, 3, 4, 5]) await put(segment(number), 1000 * number);
  for (const number of [3, 4, 5, 6, 7]) await put(segment(number, 2), 1000 * number);
  await writeFile(join(directory, "00000002.history"), "1\t0/300100\tno recovery target specified\n");
  await rm(join(directory, segment(4, 2)));
  expect((await survey({ timeline: 1 })).last?.run).toMatchObject({
    oldestLsn: lsn("0/100000"),
    newestLsn: lsn("0/600000"),
    timeline: 1,
  });
  expect((await survey()).last?.run).toMatchObject({ oldestLsn: lsn("0/500000"), timeline: 2 });
});

test("labels, history files and manifests tell on which timeline a base backup ended, and where", async () => {
  await put(segment(3, 2), 3000);
  const file = join(folder.path, "label");
  await writeFile(file, label(segment(3, 2)));
  const history = join(folder.path, "history");
  await writeFile(history, label(segment(3, 2), `STOP WAL LOCATION: 0/400100 (file ${segment(4, 2)})\n`));
  const archive = join(folder.path, "archive");
  const backup = join(archive, "backups", "one");
  await mkdir(backup, { recursive: true });
  const ranges = [
    { Timeline: 2, "Start-LSN": "0/300080", "End-LSN": "0/300100" },
    { Timeline: 1, "Start-LSN": "0/300028", "End-LSN": "0/300080" },
  ];
  await writeFile(
    join(backup, "one.json"),
    JSON.stringify({ start_lsn: 0x300028, manifest: { "WAL-Ranges": ranges } }),
  );
  const { last } = await survey({ archive, keepFrom: [file, history] });
  expect(last?.backups.needs.map(({ reaches }) => reaches)).toEqual([
    { timeline: 2, lsn: lsn("0/300028") },
    { timeline: 2, lsn: lsn("0/400100") },
    { timeline: 2, lsn: lsn("0/300100") },
  ]);
});
