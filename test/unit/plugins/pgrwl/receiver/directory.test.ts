import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { gzipSync, zstdCompressSync } from "node:zlib";
import { formatSegmentName } from "../../../../../plugins/common/postgres/wal-segments.ts";
import { type HeldSegment, readHoldings } from "../../../../../plugins/pgrwl/receiver/directory.ts";
import { headerOf, mib, ourSystem, segmentOf } from "./wal-content.ts";

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "holdfast-directory-"));
});
afterEach(() => rmSync(directory, { recursive: true }));

const third = "000000010000000000000003";
const content = segmentOf({ timeline: 1, number: 3 });

function put(name: string, bytes: Uint8Array, sizeBytes = bytes.length): void {
  const path = join(directory, name);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, bytes);
  if (sizeBytes !== bytes.length) truncateSync(path, sizeBytes);
}

/** A whole segment, without a body. */
const putSegment = (timeline: number, number: number, ending = "", folder = ".") =>
  put(join(folder, `${formatSegmentName({ timeline, number }, mib)}${ending}`), headerOf({ timeline, number }), mib);

function read(): { files: string[]; segments: HeldSegment[]; ignored: readonly { file: string; reason: string }[] } {
  const { segments, ignored } = readHoldings(directory, mib);
  const all = [...segments];
  return { files: all.map(({ file }) => file), segments: all, ignored };
}

test("a folder that is not there holds nothing", () => {
  expect([...readHoldings(join(directory, "missing"), mib).segments]).toEqual([]);
});

test("the highest segment is first, then the highest timeline, then the whole file", () => {
  putSegment(1, 5);
  putSegment(2, 4);
  putSegment(1, 4);
  putSegment(1, 4, ".partial");
  putSegment(2, 5, ".partial");
  putSegment(1, 16 * 4096);
  const names = read().segments.map(
    ({ timeline, number, isComplete }) => `${timeline}/${number}${isComplete ? "" : "p"}`,
  );
  expect(names).toEqual(["1/65536", "2/5p", "1/5", "2/4", "1/4", "1/4p"]);
});

test("a header tells whose WAL it is, and from which timeline a segment with a fork came", () => {
  put("000000020000000000000003", headerOf({ timeline: 1, number: 3 }), mib);
  const [segment] = read().segments;
  expect(segment).toMatchObject({
    timeline: 2,
    number: 3,
    isComplete: true,
    isEmpty: false,
    header: { timeline: 1, systemIdentifier: ourSystem, startLsn: 0x300000n, segmentSizeBytes: mib },
  });
});

test("segments in wal-archive/ count, and are not looked for deeper or elsewhere", () => {
  putSegment(1, 3);
  putSegment(1, 4, "", "wal-archive");
  putSegment(1, 9, "", "wal-archive/deeper");
  putSegment(1, 9, "", "set-aside");
  putSegment(1, 9, "", "backups");
  expect(read().files).toEqual(["000000010000000000000004", third]);
});

test("files of no segment's name are not looked at", () => {
  for (const name of [
    "00000002.history",
    "00000002.history.tmp",
    "000000010000000000000003.00000028.backup",
    "000000010000000000000003.tmp",
    "000000010000000000000003.partial.1700000000000",
    "000000010000000000000003.partial.partial",
    "00000001000000000000000g",
    "000000010000000000000A3 ",
    "00000001000000000000a003",
    "000000010000000000001000",
    ".manifest.json",
    "lost+found",
  ])
    put(name, content);
  expect(read()).toEqual({ files: [], segments: [], ignored: [] });
});

test("the history of the highest timeline is told, archived and compressed too", () => {
  expect(readHoldings(directory, mib).newestHistory).toBeUndefined();
  put("00000002.history", Buffer.alloc(0));
  put("0000000A.history.tmp", Buffer.alloc(0));
  put("0000000b.history", Buffer.alloc(0));
  expect(readHoldings(directory, mib).newestHistory).toEqual({ file: "00000002.history", timeline: 2 });
  put("wal-archive/00000010.history.gz.aes", Buffer.alloc(0));
  expect(readHoldings(directory, mib).newestHistory).toEqual({ file: "00000010.history.gz.aes", timeline: 16 });
});

test("what archivers put behind a name is known", () => {
  const gz = gzipSync(content);
  put("000000010000000000000003.gz", gz);
  put("000000010000000000000004.zst", zstdCompressSync(content));
  put("000000010000000000000005.lz4", Buffer.from("04224d1864406782", "hex"));
  for (const [index, ending] of [".aes", ".gz.aes", ".zst.aes", ".lz4.aes"].entries())
    put(`00000001000000000000000${index + 6}${ending}`, Buffer.alloc(100, 1));
  put("00000001000000000000000A.gz.partial", gzipSync(segmentOf({ timeline: 1, number: 10 }).subarray(0, 5000)));
  const { segments, ignored } = read();
  expect(ignored).toEqual([]);
  expect(segments.map(({ number, isComplete, header }) => [number, isComplete, header?.startLsn])).toEqual([
    [10, false, 0xa00000n],
    [9, true, undefined],
    [8, true, undefined],
    [7, true, undefined],
    [6, true, undefined],
    [5, true, undefined],
    [4, true, undefined],
    [3, true, 0x300000n],
  ]);
  expect(segments.some(({ isEmpty }) => isEmpty)).toBeFalse();
});

const anotherSize = headerOf({ timeline: 1, number: 0, sizeBytes: 16 * mib });
test.each<[string, string, Uint8Array, number, string]>([
  ["too short", third, content.subarray(0, 5000), 5000, "its size is 5000, not 1048576"],
  ["too long", third, content, mib + 1, "its size is 1048577, not 1048576"],
  ["without a byte", third, Buffer.alloc(0), 0, "its size is 0, not 1048576"],
  ["zeros", third, Buffer.alloc(1), mib, "it is empty"],
  ["no WAL", third, Buffer.from("no WAL at all, but text of more than forty bytes"), mib, "its content is no WAL"],
  ["of another segment", third, headerOf({ timeline: 1, number: 4 }), mib, "its content belongs to another segment"],
  ["of a later timeline", third, headerOf({ timeline: 2, number: 3 }), mib, "its content belongs to another segment"],
  ["of another segment size", "000000010000000000000000", anotherSize, mib, "its content belongs to another segment"],
  ["partial, and no WAL", `${third}.partial`, Buffer.from("text that is no header"), mib, "its content is no WAL"],
  [
    "partial, and of another segment",
    `${third}.partial`,
    headerOf({ timeline: 1, number: 9 }),
    mib,
    "its content belongs to another segment",
  ],
  ["a gzip file of other length", `${third}.gz`, gzipSync(content.subarray(1)), 0, "its content has not 1048576 bytes"],
  ["an empty gzip file", `${third}.gz`, Buffer.alloc(0), 0, "it cannot be read: it is cut off or damaged"],
  ["no gzip file", `${third}.gz`, content, 0, "it cannot be read: it is cut off or damaged"],
  ["an empty zstd file", `${third}.zst`, Buffer.alloc(0), 0, "it cannot be read: it is cut off or damaged"],
  ["no lz4 file", `${third}.lz4`, content, 0, "it cannot be read: it is cut off or damaged"],
  ["an encrypted file without content", `${third}.zst.aes`, Buffer.alloc(50), 0, "it is cut off"],
])("a file that is %s is no segment, and the one before it counts", (_, name, bytes, sizeBytes, reason) => {
  put(name, bytes, sizeBytes || bytes.length);
  putSegment(2, 0);
  const { files, ignored } = read();
  expect(files).toEqual(["000000020000000000000000"]);
  expect(ignored).toEqual([{ file: name, reason }]);
});

test("a gzip file that was cut off within is no whole segment", () => {
  put(`${third}.gz`, gzipSync(content).subarray(0, 70_000));
  expect(read().files).toEqual([]);
});

test("WAL of another system is handed over with its identifier: whoever begins here must know", () => {
  put(third, headerOf({ timeline: 1, number: 3, systemIdentifier: "18446744073709551615" }), mib);
  expect(read().segments[0]?.header?.systemIdentifier).toBe("18446744073709551615");
});

test("partial files without content come last", () => {
  put("000000010000000000000009.partial", Buffer.alloc(0), mib);
  put("000000010000000000000008.partial", Buffer.alloc(0));
  putSegment(1, 3);
  putSegment(1, 2, ".partial");
  const { segments } = read();
  expect(segments.map(({ number, isEmpty }) => [number, isEmpty])).toEqual([
    [3, false],
    [2, false],
    [9, true],
    [8, true],
  ]);
});

test("folders, pipes and links that lead nowhere are no segments, and hold nobody up", () => {
  mkdirSync(join(directory, "000000010000000000000009"));
  Bun.spawnSync([
    "mkfifo",
    join(directory, "000000010000000000000008"),
    join(directory, "000000010000000000000007.partial"),
  ]);
  symlinkSync("/nowhere", join(directory, "000000010000000000000006"));
  putSegment(1, 4, "", "elsewhere");
  symlinkSync(join(directory, "elsewhere/000000010000000000000004"), join(directory, "000000010000000000000004"));
  const { files, ignored } = read();
  expect(files).toEqual(["000000010000000000000004"]);
  expect(ignored.map(({ reason }) => reason)).toEqual([
    "it is no regular file",
    "it is no regular file",
    "it is no regular file",
    "it cannot be opened: ENOENT",
  ]);
});

test("a wal-archive that is no folder holds nothing", () => {
  putSegment(1, 3);
  put("wal-archive", Buffer.from("a file"));
  expect(read().files).toEqual([third]);
});

test("of a hundred thousand files only the newest are opened", () => {
  // Made by the shell: a file each, without content, so that every one that is looked at shows as ignored.
  const script = `cd "$1" && seq -f %.0f 1 100000 | while read -r n; do printf '00000001%08X%08X\\n' $((n / 4096)) $((n % 4096)); done | xargs touch`;
  expect(Bun.spawnSync(["bash", "-c", script, "bash", directory]).exitCode).toBe(0);
  putSegment(1, 100_000);
  putSegment(1, 100_001, ".partial");
  const { segments, ignored } = readHoldings(directory, mib);
  const [newest, next] = segments;
  expect([newest?.number, next?.number]).toEqual([100_001, 100_000]);
  expect(ignored).toEqual([]);
}, 120_000);
