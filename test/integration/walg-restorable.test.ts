/** What the plugin tells of restores, with a command that stands in for wal-g. */
import { expect, test } from "bun:test";
import { waitFor } from "../harness/wait.ts";
import { samplesOf } from "../harness/walg-page.ts";
import { now, start, WalgUnderTest } from "../harness/walg-plugin.ts";
import { fixture } from "../harness/walg-stand-in.ts";

const walg = new WalgUnderTest();
type Timeline = Record<string, unknown>;
const timelines = async (): Promise<Timeline[]> => JSON.parse(await fixture("f1/wal-show.json"));
const backups = async (): Promise<Record<string, unknown>[]> => JSON.parse(await fixture("f1/backup-list.json"));

/** The window after one collection. */
async function windowOf() {
  const test = await walg.plugin();
  const samples = samplesOf(await test.collect());
  return { window: test.instance.restorable?.()[0], samples };
}

test("a storage whose WAL goes on from a backup can be restored, from that backup's end", async () => {
  const { window, samples } = await windowOf();
  const from = samples.walg_pitr_earliest_timestamp_seconds ?? Number.NaN;
  expect(window?.from).toBeCloseTo(from + 0.987, 3);
  expect(window?.reason).toBeUndefined();
  expect(window).toMatchObject({
    to: Date.parse("2026-01-02T02:01:00.25Z") / 1000,
    detail: expect.stringContaining("not known"),
  });
});

test("its end is when the last WAL arrived, where that is known", async () => {
  await walg.standIn.reply("st-ls-wal_005", {
    stdout:
      "type size last modified name\nobj 1000 2026-01-02 11:58:00 +0000 UTC 000000020000000000000051.lz4\nobj 1000 2026-01-02 11:50:00 +0000 UTC 000000020000000000000050.lz4\n",
  });
  const test = await walg.plugin({ wal_times: { enabled: true } });
  const samples = samplesOf(await test.collect());
  const latest = samples.walg_pitr_latest_timestamp_seconds;
  expect(test.instance.restorable?.()[0]?.to).toBe(latest);
  expect(latest).toBe(Date.parse("2026-01-02T11:58:00Z") / 1000);
});

test("backups that are listed without details count from when the storage got them", async () => {
  await walg.standIn.reply("backup-list", { stderr: "ERROR: metadata.json does not exist\n", status: 1 });
  const short = (await backups()).map(({ backup_name, time, wal_file_name }) => ({ backup_name, time, wal_file_name }));
  await walg.standIn.reply("backup-list-short", { stdout: JSON.stringify(short) });
  const { window } = await windowOf();
  expect(window?.reason).toBeUndefined();
  expect(window).toMatchObject({
    from: Date.parse("2026-01-01T02:10:31.204Z") / 1000,
    to: Date.parse("2026-01-02T02:01:00.9Z") / 1000,
  });
});

test("a hole behind the newest backup is a gap, and says how large", async () => {
  const [one = {}, two = {}] = await timelines();
  const missing = ["000000020000000000000044", "000000020000000000000045"];
  await walg.standIn.reply("wal-show", {
    stdout: JSON.stringify([one, { ...two, missing_segments: missing, segments_count: 16, status: "LOST_SEGMENTS" }]),
  });
  const { window } = await windowOf();
  expect(window).toMatchObject({
    reason: "wal_gap",
    from: expect.any(Number),
    detail: expect.stringContaining("2 segments"),
  });
});

/** Of wal-verify, in its order: last two digits of the first and the last segment of timeline 2, and what became of them. */
async function verify(...ranges: readonly (readonly [first: string, last: string, status: string])[]): Promise<void> {
  const name = (end: string) => `0000000200000000000000${end}`;
  const details = ranges.map(([first, last, status]) => ({
    timeline_id: 2,
    start_segment: name(first),
    end_segment: name(last),
    segments_count: Number.parseInt(last, 16) - Number.parseInt(first, 16) + 1,
    status,
  }));
  const found = JSON.parse(await fixture("f1/wal-verify.json"));
  await walg.standIn.reply("wal-verify-integrity-timeline", {
    stdout: JSON.stringify({ ...found, integrity: { status: "WARNING", details } }),
  });
}
/** Of wal-show: the segments of timeline 2 that it misses, by their last two digits. */
async function miss(...missing: readonly string[]): Promise<void> {
  const [one = {}, two = {}] = await timelines();
  const missing_segments = missing.map((end) => `0000000200000000000000${end}`);
  await walg.standIn.reply("wal-show", {
    stdout: JSON.stringify([one, { ...two, missing_segments, status: "LOST_SEGMENTS" }]),
  });
}

test.each([
  [
    "still uploaded",
    ["4F"],
    [
      ["40", "4E", "FOUND"],
      ["4F", "4F", "MISSING_UPLOADING"],
      ["50", "51", "FOUND"],
    ],
  ],
  [
    "still late",
    ["4E"],
    [
      ["40", "4D", "FOUND"],
      ["4E", "4E", "MISSING_DELAYED"],
      ["4F", "52", "MISSING_UPLOADING"],
    ],
  ],
] as const)("segments that overtake one that is %s leave no gap", async (_, missing, ranges) => {
  await miss(...missing);
  await verify(...ranges);
  const { window, samples } = await windowOf();
  expect(window?.reason).toBeUndefined();
  expect(samples.walg_pitr_gap_segments).toBe(0);
});

test("over a timeline without a segment of its own, which wal-show leaves out, wal-verify tells the way", async () => {
  const [one = {}, two = {}] = await timelines();
  await walg.standIn.reply("wal-show", {
    stdout: JSON.stringify([
      { ...one, id: 1 },
      { ...two, id: 3, parent_id: 2 },
    ]),
  });
  const found = await fixture("f1/wal-verify.json");
  const stdout = found.replaceAll('"timeline_id":2', '"timeline_id":3').replaceAll('"00000002', '"00000003');
  await walg.standIn.reply("wal-verify-integrity-timeline", {
    stdout: stdout.replace('_timeline_id":2', '_timeline_id":3'),
  });
  const { window } = await windowOf();
  expect(window?.reason).toBeUndefined();
  expect(window?.from).toBeCloseTo(Date.parse("2026-01-01T02:10:30.987Z") / 1000, 3);
});

test("a hole behind all that wal-verify looked at is one: its server may be a standby that is far behind", async () => {
  await miss("50");
  await verify(["40", "4F", "FOUND"]);
  expect((await windowOf()).window?.reason).toBe("wal_gap");
});

test("what wal-verify calls lost is a gap, whatever is uploaded behind it", async () => {
  await miss("45", "4F");
  await verify(
    ["40", "44", "FOUND"],
    ["45", "45", "MISSING_LOST"],
    ["46", "4E", "FOUND"],
    ["4F", "52", "MISSING_UPLOADING"],
  );
  const { window, samples } = await windowOf();
  expect(window?.reason).toBe("wal_gap");
  expect(samples.walg_pitr_gap_segments).toBe(1);
});

test("without a backup, and with permanent ones alone, there is none", async () => {
  await walg.standIn.reply("backup-list", { stdout: "[]\n" });
  expect((await windowOf()).window).toMatchObject({ reason: "no_backup" });
  const permanent = (await backups()).map((backup) => ({ ...backup, is_permanent: true }));
  await walg.standIn.reply("backup-list", { stdout: JSON.stringify(permanent) });
  expect((await windowOf()).window).toMatchObject({
    reason: "no_backup",
    detail: expect.stringContaining("permanent"),
  });
});

test("of two clusters in one storage, as after pg_upgrade, the newest backup's counts", async () => {
  const [, full = {}, delta = {}] = await backups();
  const next = { ...delta, backup_name: "base_000000010000000000000030", system_identifier: 7002 };
  await walg.standIn.reply("backup-list", { stdout: JSON.stringify([{ ...full, system_identifier: 7001 }, next]) });
  const { window } = await windowOf();
  expect(window?.reason).toBeUndefined();
  expect(window?.from).toBe(Date.parse("2026-01-02T02:01:00.25Z") / 1000);
});

test("backups without any WAL are a gap; as long as nobody told of WAL, nothing is known", async () => {
  await walg.standIn.reply("wal-show", { stdout: "[]\n" });
  await walg.standIn.reply("wal-verify-integrity-timeline", { status: 1, stderr: "no" });
  expect((await windowOf()).window).toMatchObject({ reason: "wal_gap", detail: "No WAL is archived" });
  await walg.standIn.reply("wal-show", { status: 1, stderr: "no" });
  expect((await windowOf()).window).toMatchObject({ reason: "unknown" });
});

test("a storage that does not answer is told as that, with what was known before", async () => {
  const test = await walg.plugin({ list: { interval: "50ms" }, storage: { interval: "50ms" } });
  const stop = start(test);
  try {
    await test.collect();
    const before = test.instance.restorable?.()[0];
    for (const command of ["backup-list", "backup-list-short", "st-check-read", "st-ls"] as const) {
      await walg.standIn.reply(command, { status: 1, stderr: "no route to host" });
    }
    const window = await waitFor("the reason", () =>
      test.instance.restorable?.().find(({ reason }) => reason === "archive_unreachable"),
    );
    expect(window.from).toBe(before?.from);
  } finally {
    await stop();
  }
});

test("what wal-g has told of WAL grows stale when it tells no more, though backups are still listed", async () => {
  let at = now();
  const test = await walg.plugin({ wal: { commands: ["wal-show"], interval: "1m", timeout: "1m" } }, () => at);
  await test.collect();
  expect(test.instance.restorable?.()[0]?.reason).toBeUndefined();
  await walg.standIn.reply("wal-show", { status: 1, stderr: "no" });
  at += 360_000;
  await test.collect();
  expect(test.instance.restorable?.()[0]?.reason).toBeUndefined();
  at += 60_000;
  await test.collect();
  expect(test.instance.restorable?.()[0]).toMatchObject({ reason: "stale", from: expect.any(Number) });
});

test("a hole that wal-verify finds is not covered by what wal-show told long ago", async () => {
  let at = now();
  const test = await walg.plugin({ wal: { interval: "1m", timeout: "1m" } }, () => at);
  await test.collect();
  expect(test.instance.restorable?.()[0]?.reason).toBeUndefined();
  await walg.standIn.reply("wal-show", { status: 1, stderr: "no" });
  const found = JSON.parse(await fixture("f1/wal-verify.json"));
  const range = (from: string, to: string, count: number, status: string) => ({
    timeline_id: 2,
    start_segment: `0000000200000000000000${from}`,
    end_segment: `0000000200000000000000${to}`,
    segments_count: count,
    status,
  });
  const details = [range("40", "43", 4, "FOUND"), range("44", "45", 2, "MISSING_LOST"), range("46", "51", 12, "FOUND")];
  await walg.standIn.reply("wal-verify-integrity-timeline", {
    stdout: JSON.stringify({ ...found, integrity: { status: "FAILURE", details } }),
  });
  at += 420_000;
  await test.collect();
  expect(test.instance.restorable?.()[0]?.reason).toBe("wal_gap");
});
