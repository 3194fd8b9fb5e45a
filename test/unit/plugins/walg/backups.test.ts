import { expect, test } from "bun:test";
import { formatLsn } from "../../../../plugins/common/postgres/lsn.ts";
import { parseBackupList, withKnownDetails } from "../../../../plugins/walg/backups.ts";
import { fixture } from "../../../harness/walg-stand-in.ts";

const record = {
  backup_name: "base_000000010000000000000002",
  time: "2025-11-01T02:20:01Z",
  wal_file_name: "000000010000000000000002",
  storage_name: "default",
  start_time: "2025-11-01T02:00:00Z",
  finish_time: "2025-11-01T02:20:00Z",
  pg_version: 150015,
  start_lsn: 33554472,
  finish_lsn: 33554744,
  is_permanent: false,
  system_identifier: null,
  uncompressed_size: 1000,
  compressed_size: 300,
};
const parse = (...records: unknown[]) => parseBackupList(JSON.stringify(records));
const one = (changes: Record<string, unknown>) => {
  const [backup] = parse({ ...record, ...changes }).backups;
  if (!backup) throw new Error("no backup");
  return backup;
};

test("a detailed list is read whole", async () => {
  const { backups, unreadable } = parseBackupList(await fixture("f1/backup-list.json"));
  expect(unreadable).toBe(0);
  expect(backups.map(({ type, timeline, permanent, incomplete }) => [type, timeline, permanent, incomplete])).toEqual([
    ["full", 1, true, false],
    ["full", 1, false, false],
    ["delta", 1, false, false],
  ]);
  expect(backups[0]).toMatchObject({
    systemIdentifier: "7507672962298572862",
    startLsn: 0x2000028n,
    finishLsn: 0x2000138n,
  });
});

test("the list of a wal-g before 3.0, without storages, sizes and system identifier, is read", () => {
  const { storage_name, uncompressed_size, compressed_size, system_identifier, ...old } = record;
  const [backup] = parse(old).backups;
  expect(backup).toMatchObject({ copies: [{ storage: "default" }], finishedAt: 1_761_963_600, incomplete: true });
});

test("the list without details is read, and completed by what was known", async () => {
  const short =
    '[{"backup_name":"base_000000010000000000000002","time":"2025-11-01T02:20:01Z","wal_file_name":"000000010000000000000002","storage_name":"default"}]';
  const list = parseBackupList(short);
  expect(list.backups[0]).toMatchObject({ incomplete: true, modifiedAt: 1_761_963_601, finishedAt: undefined });
  const known = parseBackupList(await fixture("f1/backup-list.json"));
  expect(withKnownDetails(list, known).backups[0]).toMatchObject({ incomplete: false, finishedAt: 1_761_963_600 });
});

test("a development version's modification_time stands for time", () => {
  const { time, ...rest } = record;
  const [backup] = parse({ ...rest, creation_time: "2025-11-01T02:00:00Z", modification_time: time }).backups;
  expect(backup?.modifiedAt).toBe(1_761_963_601);
});

test.each([
  ["18446744073709551615", "FFFFFFFF/FFFFFFFF"],
  ["9007199254740993", "200000/1"],
  ['"0/10000000"', "0/10000000"],
  ["0", "0/0"],
])("start_lsn %s is %s", (json, text) => {
  const { backups } = parseBackupList(`[{"backup_name":"base_x","start_lsn":${json}}]`);
  expect(formatLsn(backups[0]?.startLsn ?? -1n)).toBe(text);
});

test.each(["-1", "1.5", "18446744073709551616", '"G/0"', "true", "null"])(
  "start_lsn %s flags that record and keeps the others",
  (json) => {
    const { backups } = parseBackupList(
      `[${JSON.stringify(record).replace("33554472", json)},${JSON.stringify({ ...record, backup_name: "base_y" })}]`,
    );
    expect(backups.map(({ startLsn, incomplete }) => [startLsn === undefined, incomplete])).toEqual([
      [true, true],
      [false, false],
    ]);
  },
);

test.each([
  { start_time: undefined },
  { finish_time: "0001-01-01T00:00:00Z" },
  { compressed_size: 0 },
  { uncompressed_size: undefined },
  { finish_time: "soon" },
])("%j makes a backup incomplete", (changes) => {
  expect(one(changes).incomplete).toBe(true);
});

test("records that are no backups are counted and left out", () => {
  const { backups, unreadable } = parse(5, null, "x", {}, { backup_name: 7 }, record);
  expect(backups).toHaveLength(1);
  expect(unreadable).toBe(5);
});

test.each(["null", "{}", "[1]", "7", '"x"', "[[]]"])("%s is no list of backups", (json) => {
  expect(() => parseBackupList(json)).toThrow(SyntaxError);
});

test("a backup in two storages is one backup, described by the default one's record", () => {
  const copy = { ...record, storage_name: "failover", time: "2025-12-01T00:00:00Z" };
  const { backups } = parse(copy, record);
  expect(backups).toHaveLength(1);
  expect(backups[0]).toMatchObject({
    modifiedAt: 1_761_963_601,
    copies: [{ storage: "failover" }, { storage: "default" }],
  });
});

test.each([
  ["base_000000010000000000000030_D_000000010000000000000010", undefined, "delta"],
  ["base_000000010000000000000030_00000040_D_000000010000000000000010", undefined, "delta"],
  ["base_000000010000000000000030", undefined, "full"],
  ["test", true, "full"],
  ["test", false, "delta"],
])("%s with is_full %p is %s", (name, is_full, type) => {
  expect(one({ backup_name: name, is_full }).type).toBe(type as "full");
});

test("the timeline comes from the WAL file, else from the name, else from the record", () => {
  expect(one({ wal_file_name: "000000AB0000000000000002" }).timeline).toBe(171);
  expect(one({ wal_file_name: "Z".repeat(24), backup_name: "base_0000000C0000000000000002" }).timeline).toBe(12);
  expect(one({ wal_file_name: "Z".repeat(24), backup_name: "other", timeline: 9 }).timeline).toBe(9);
  expect(one({ wal_file_name: "", backup_name: "other" }).timeline).toBeUndefined();
});
