import { expect, test } from "bun:test";
import { parseStorageUsage } from "../../../../plugins/walg/storage-usage.ts";
import { parseStoredSegments } from "../../../../plugins/walg/wal-files.ts";

const listing = [
  "type size     last modified                             name",
  "dir  0        0001-01-01 00:00:00 +0000 UTC             nested/",
  "obj  16777216 2026-01-02 11:50:00.5 +0000 UTC           000000010000000000000002.lz4",
  "obj  1048     2026-01-02 11:55:00.123456789 +0000 UTC   000000010000000000000003.zst",
  "obj  41       2026-01-02 11:56:00 +0000 UTC             00000002.history.lz4",
  "obj  41       2026-01-02 11:56:00 +0000 UTC             000000010000000000000003.00000028.backup.lz4",
  "obj  41       2026-01-02 11:57:00 +0000 UTC             000000010000000000000004.partial.lz4",
  "obj  41       2026-01-02 14:58:00 +0300 MSK             wal_005/000000020000000000000003   v1  true",
  "",
].join("\n");

test("the newest whole segment of each timeline is found, with the moment of its arrival", () => {
  expect([...parseStoredSegments(listing)]).toEqual([
    [1, { segment: "000000010000000000000003", uploadedAt: 1_767_354_900.123, extension: ".zst" }],
    [2, { segment: "000000020000000000000003", uploadedAt: 1_767_355_080, extension: "" }],
  ]);
});

test("an empty or strange listing holds no segments", () => {
  expect(parseStoredSegments("").size).toBe(0);
  expect(parseStoredSegments("ERROR: no such folder\n").size).toBe(0);
});

test("the bytes of a storage are added up by what they are for", () => {
  const recursive = [
    "type size last modified name",
    "obj  10   2026-01-02 11:50:00 +0000 UTC basebackups_005/base_1/tar_partitions/part_1.tar.lz4",
    "obj  20   2026-01-02 11:50:00 +0000 UTC basebackups_005/base_1_backup_stop_sentinel.json",
    "obj  5    2026-01-02 11:50:00 +0000 UTC wal_005/000000010000000000000002.lz4",
    "obj  7    2026-01-02 11:50:00 +0000 UTC walg_storage/x",
    "",
  ].join("\n");
  expect(parseStorageUsage(recursive)).toEqual({ backups: 30, wal: 5, other: 7 });
});
