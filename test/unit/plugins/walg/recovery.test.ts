import { expect, test } from "bun:test";
import fc from "fast-check";
import { parseLsn } from "../../../../plugins/common/postgres/lsn.ts";
import { formatSegmentName, parseSegmentName, segmentEnd } from "../../../../plugins/common/postgres/wal-segments.ts";
import { parseBackupList } from "../../../../plugins/walg/backups.ts";
import { deltaChains } from "../../../../plugins/walg/delta-chains.ts";
import { assessRecovery, inferSegmentSize, lagBytes, nominalWindowSeconds } from "../../../../plugins/walg/recovery.ts";
import { parseTimelines } from "../../../../plugins/walg/timelines.ts";
import { parseVerification } from "../../../../plugins/walg/verification.ts";
import {
  archiveEnd,
  missingBetween,
  pathThroughTimelines,
  pathThroughVerification,
} from "../../../../plugins/walg/wal-path.ts";
import { fixture } from "../../../harness/walg-stand-in.ts";

const mib = 2 ** 20;
const size = 16 * mib;
const lsn = (text: string) => parseLsn(text) ?? -1n;

test.each([
  ["0/3000060", "000000010000000000000002", 16, 96n],
  ["0/3000000", "000000010000000000000002", 16, 0n],
  ["0/2FFFFFF", "000000010000000000000002", 16, 0n],
  ["1/10", "0000000100000000000000FD", 16, 33_554_448n],
  ["388/EA000150", "0000004400000388000000E9", 16, 336n],
  ["2/0", "00000001000000010000003F", 64, 0n],
  ["2/0", "00000001000000010000003F", 16, 3_221_225_472n],
  ["0/54000100", "000000020000000000000051", 16, 33_554_688n],
])("a server at %s with %s archived, %d MiB each, is %d bytes ahead", (current, archived, mebibytes, expected) => {
  const segment = parseSegmentName(archived, mebibytes * mib) ?? expect.unreachable();
  expect(lagBytes(lsn(current), segmentEnd(segment.number, mebibytes * mib))).toBe(expected);
});

const f1 = async () => {
  const { backups } = parseBackupList(await fixture("f1/backup-list.json"));
  return { backups, chains: deltaChains(backups), timelines: parseTimelines(await fixture("f1/wal-show.json")) };
};

test("the nominal window follows the rule of the profile", async () => {
  const { backups } = await f1();
  const now = Date.parse("2026-01-02T12:00:00Z") / 1000;
  expect(nominalWindowSeconds(backups, now, "release")).toBe(121_768.796);
  expect(nominalWindowSeconds(backups, now, "readme")).toBe(5_391_599);
  expect(nominalWindowSeconds(backups, 0, "release")).toBe(0);
  expect(nominalWindowSeconds(backups, 0, "readme")).toBeLessThan(0);
  const permanent = backups.filter(({ permanent }) => permanent);
  expect(nominalWindowSeconds(permanent, now, "release")).toBe(0);
  expect(nominalWindowSeconds([], now, "readme")).toBe(0);
});

test("the path leads over the switch to the parent's segments before it", async () => {
  const { timelines } = await f1();
  const path = pathThroughTimelines(timelines, undefined, size);
  expect(path?.portions.map(({ timeline, first, last }) => [timeline, first, last])).toEqual([
    [2, 0x40, Number.POSITIVE_INFINITY],
    [1, 0, 0x3f],
  ]);
  expect(path?.archived).toEqual([
    { first: 0x02, last: 0x0d },
    { first: 0x10, last: 0x51 },
  ]);
});

test("recovery starts with the earliest backup behind the last gap", async () => {
  const { backups, chains, timelines } = await f1();
  const path = pathThroughTimelines(timelines, 2, size) ?? expect.unreachable();
  const { end, earliest, gapSegments } = assessRecovery(backups, chains, path);
  expect(earliest).toBe(1_767_233_430.987);
  expect(gapSegments).toBe(0);
  expect(end).toEqual({ timeline: 2, segment: 0x51, lsn: lsn("0/52000000"), isNewest: true });
});

test("wal-verify's ranges make the same path as far as it looked", async () => {
  const verification = parseVerification(await fixture("f1/wal-verify.json"));
  const path = pathThroughVerification(verification, size) ?? expect.unreachable();
  expect(path.archived).toEqual([{ first: 0x10, last: 0x51 }]);
  expect(archiveEnd(path, 0x30)?.lsn).toBe(lsn("0/52000000"));
});

/** One timeline from segment 1 to `end` with holes, and full backups that begin in the given segments, an hour each. */
const storage = (end: number, holes: number[], starts: number[], changes: Record<string, unknown> = {}) => {
  const name = (number: number) => formatSegmentName({ timeline: 1, number }, size);
  const timelines = parseTimelines(
    JSON.stringify([
      {
        id: 1,
        start_segment: name(1),
        end_segment: name(end),
        missing_segments: holes.map(name).reverse(),
        status: "OK",
      },
    ]),
  );
  const { backups } = parseBackupList(
    JSON.stringify(
      starts.map((start, hour) => ({
        backup_name: `base_${name(start)}`,
        wal_file_name: name(start),
        start_lsn: start * size + 40,
        finish_time: `2026-01-01T0${hour}:00:00Z`,
        ...changes,
      })),
    ),
  );
  const path = pathThroughTimelines(timelines, undefined, size) ?? expect.unreachable();
  return { path, backups, ...assessRecovery(backups, deltaChains(backups), path) };
};
const hour = (number: number) => Date.parse(`2026-01-01T0${number}:00:00Z`) / 1000;

test("a gap between two backups leaves only the later one", () => {
  expect(storage(0x40, [0x20], [0x10, 0x30])).toMatchObject({ earliest: hour(1), gapSegments: 1 });
});

test("a gap before the oldest backup does not count", () => {
  expect(storage(0x40, [0x05], [0x10, 0x30])).toMatchObject({ earliest: hour(0), gapSegments: 0 });
  expect(storage(0x40, [0x05, 0x20], [0x10, 0x30])).toMatchObject({ earliest: hour(1), gapSegments: 1 });
});

test("a gap behind the newest backup ends what can be counted on", () => {
  const { end, earliest, gapSegments } = storage(0x40, [0x38, 0x39], [0x10, 0x30]);
  expect(end).toMatchObject({ segment: 0x37, isNewest: false });
  expect(earliest).toBe(hour(0));
  expect(gapSegments).toBe(2);
});

test("permanent backups open no window", () => {
  expect(storage(0x40, [], [0x10], { is_permanent: true })).toMatchObject({
    earliest: undefined,
    gapSegments: undefined,
  });
});

test("a delta of a permanent backup opens a window, nominal and usable", () => {
  const { path } = storage(0x40, [], []);
  const backup = (name: string, start_lsn: number, hour: number, is_permanent: boolean) => ({
    backup_name: name,
    wal_file_name: name.slice(5, 29),
    time: `2026-01-01T0${hour}:00:00Z`,
    finish_time: `2026-01-01T0${hour}:00:00Z`,
    start_lsn,
    is_permanent,
  });
  const { backups } = parseBackupList(
    JSON.stringify([
      backup("base_000000010000000000000010", 0x10000028, 0, true),
      backup("base_000000010000000000000030_D_000000010000000000000010", 0x30000028, 1, false),
    ]),
  );
  expect(assessRecovery(backups, deltaChains(backups), path).earliest).toBe(hour(1));
  expect(nominalWindowSeconds(backups, hour(3), "release")).toBe(7200);
});

test("a delta whose parent is gone opens no window", () => {
  const { path } = storage(0x40, [], []);
  const { backups } = parseBackupList(
    '[{"backup_name":"base_000000010000000000000030_D_000000010000000000000010","wal_file_name":"000000010000000000000030","start_lsn":805306408,"finish_time":"2026-01-01T00:00:00Z"}]',
  );
  expect(assessRecovery(backups, deltaChains(backups), path).earliest).toBeUndefined();
});

test("a backup of a timeline that was left does not count", () => {
  const { backups, chains } = { ...storage(0x50, [], [0x45]), chains: { parent: () => undefined, depth: () => 0 } };
  const timelines = parseTimelines(
    JSON.stringify([
      {
        id: 1,
        start_segment: "000000010000000000000001",
        end_segment: "000000010000000000000050",
        missing_segments: [],
        status: "OK",
      },
      {
        id: 2,
        parent_id: 1,
        switch_point_lsn: 0x40000000,
        start_segment: "000000020000000000000040",
        end_segment: "000000020000000000000042",
        missing_segments: [],
        status: "OK",
      },
    ]),
  );
  const path = pathThroughTimelines(timelines, undefined, size) ?? expect.unreachable();
  expect(assessRecovery(backups, chains, path).earliest).toBeUndefined();
});

/** Timeline 2 left timeline 1 in the middle of segment 0x40; a full backup of timeline 1, of which are told start and end. */
const acrossSwitch = (start_lsn: number, finish_lsn: number) => {
  const timeline = (id: number, first: number, last: number, more = {}) => ({
    id,
    start_segment: formatSegmentName({ timeline: id, number: first }, size),
    end_segment: formatSegmentName({ timeline: id, number: last }, size),
    missing_segments: [],
    status: "OK",
    ...more,
  });
  const two = { parent_id: 1, switch_point_lsn: 0x40000800 };
  const timelines = parseTimelines(JSON.stringify([timeline(1, 1, 0x50), timeline(2, 0x40, 0x48, two)]));
  const name = formatSegmentName({ timeline: 1, number: Math.floor(start_lsn / size) }, size);
  const record = { backup_name: `base_${name}`, wal_file_name: name, start_lsn, finish_lsn };
  const { backups } = parseBackupList(JSON.stringify([{ ...record, finish_time: "2026-01-01T00:00:00Z" }]));
  const path = pathThroughTimelines(timelines, undefined, size) ?? expect.unreachable();
  return assessRecovery(backups, deltaChains(backups), path).earliest;
};

test("a backup that went on behind the switch on the timeline that was left does not count", () => {
  expect(acrossSwitch(0x3f000028, 0x3f000138)).toBe(hour(0));
  expect(acrossSwitch(0x3f000028, 0x41000138)).toBeUndefined();
  expect(acrossSwitch(0x40000028, 0x40000900)).toBeUndefined();
  // 0: its end is not known.
  expect(acrossSwitch(0x41000028, 0)).toBeUndefined();
  expect(acrossSwitch(0x3f000028, 0)).toBe(hour(0));
});

test("a standby's backup that ended right before the switch counts", () => {
  expect(acrossSwitch(0x40000028, 0x40000700)).toBe(hour(0));
});

test("a backup counts when WAL up to its end is archived", () => {
  expect(storage(0x40, [], [0x3e], { finish_lsn: 0x41000000 })).toMatchObject({ earliest: hour(0) });
  expect(storage(0x40, [], [0x3e], { finish_lsn: 0x41000001 })).toMatchObject({ earliest: undefined });
});

test("with nothing archived on the server's new timeline the archive ends with its parent", async () => {
  const { timelines } = await f1();
  const path = pathThroughTimelines(timelines, 3, size) ?? expect.unreachable();
  expect(archiveEnd(path, undefined)).toMatchObject({ timeline: 2, lsn: lsn("0/52000000") });
});

test("a parent's last segment counts up to the switch point", () => {
  const timelines = parseTimelines(
    JSON.stringify([
      {
        id: 1,
        start_segment: "000000010000000000000001",
        end_segment: "00000001000000000000003F",
        missing_segments: [],
        status: "OK",
      },
      {
        id: 2,
        parent_id: 1,
        switch_point_lsn: 0x40000100,
        start_segment: "000000020000000000000042",
        end_segment: "000000020000000000000044",
        missing_segments: [],
        status: "OK",
      },
    ]),
  );
  const path = pathThroughTimelines(timelines, 2, size) ?? expect.unreachable();
  expect(archiveEnd(path, 0x3f)).toEqual({ timeline: 1, segment: 0x3f, lsn: lsn("0/40000000"), isNewest: false });
  expect(missingBetween(path, 0x3f, 0x44)).toBe(2);
});

test("what is missing is what is not archived, for any holes", () => {
  const segments = fc.integer({ min: 1, max: 60 });
  fc.assert(
    fc.property(fc.uniqueArray(fc.integer({ min: 2, max: 59 })), segments, segments, (holes, a, b) => {
      const [first, last] = [Math.min(a, b), Math.max(a, b)];
      const { path } = storage(
        60,
        holes.toSorted((x, y) => x - y),
        [],
      );
      expect(missingBetween(path, first, last)).toBe(holes.filter((hole) => hole >= first && hole <= last).length);
    }),
  );
});

test.each([1, 16, 64, 1024])("backups of a server with segments of %d MiB tell that size", (mebibytes) => {
  const sizeBytes = mebibytes * mib;
  const records = [37, 1025, 70_001].map((number) => ({
    backup_name: `base_${number}`,
    wal_file_name: formatSegmentName({ timeline: 1, number }, sizeBytes),
    start_lsn: number * sizeBytes + 40,
  }));
  expect(inferSegmentSize(parseBackupList(JSON.stringify(records)).backups)).toBe(sizeBytes);
});

test("backups that fit no size, or too many, tell none", () => {
  expect(inferSegmentSize([])).toBeUndefined();
  const { backups } = parseBackupList(
    '[{"backup_name":"a","wal_file_name":"000000010000000000000000","start_lsn":40}]',
  );
  expect(inferSegmentSize(backups)).toBeUndefined();
});
