import { afterEach, beforeEach, expect, test } from "bun:test";
import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Disk } from "../../../../../plugins/pgrwl/receiver/disk.ts";
import { GapError } from "../../../../../plugins/pgrwl/receiver/gaps.ts";
import { WalFiles, type WalFilesOptions } from "../../../../../plugins/pgrwl/receiver/wal-files.ts";
import { headerOf, mib, segmentOf } from "./wal-content.ts";

let directory: string;
let events: string[];
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "holdfast-wal-files-"));
  events = [];
});
afterEach(() => rmSync(directory, { recursive: true }));

const size = BigInt(mib);
const third = "000000010000000000000003";
const fourth = "000000010000000000000004";

function walFiles(options: Partial<WalFilesOptions> = {}): WalFiles {
  return new WalFiles({
    directory,
    segmentSizeBytes: mib,
    mode: 0o600,
    systemIdentifier: "7388888888888888888",
    disk: new Disk(),
    mustRepeat: true,
    serverLsn: () => 2n ** 63n,
    onSegment: (name) => events.push(`segment ${name}`),
    onSetAside: (file, reason) => events.push(`aside ${file}: ${reason}`),
    ...options,
  });
}

const content = (number: number): Buffer<ArrayBuffer> => segmentOf({ timeline: 1, number });
const path = (name: string) => join(directory, name);
const put = (name: string, bytes: Buffer | string) => writeFileSync(path(name), bytes);
const names = () => readdirSync(directory).sort();
const aside = () => readdirSync(path("set-aside")).map((name) => name.replace(/\.\d+$/, ""));

/** Receives the first bytes of segment 3. */
function receive(files: WalFiles, bytes: number): void {
  files.begin(1, 3n * size);
  files.append(3n * size, content(3).subarray(0, bytes), 0);
  files.flush();
}

test.each([true, false])(
  "a segment being received is partial, of full size, and zeros behind what came (zeros: %p)",
  (zeros) => {
    const files = walFiles({ serverLsn: () => (zeros ? 0n : 2n ** 63n) });
    receive(files, 5000);
    expect(names()).toEqual([`${third}.partial`]);
    const found = readFileSync(path(`${third}.partial`));
    expect(found.length).toBe(mib);
    expect(found.subarray(0, 5000)).toEqual(content(3).subarray(0, 5000));
    expect(found.subarray(5000).every((byte) => byte === 0)).toBeTrue();
    expect([files.written, files.flushed]).toEqual([3n * size + 5000n, 3n * size + 5000n]);
    // Its space is there: nothing that comes later can find the disk full.
    expect(statSync(path(`${third}.partial`)).blocks * 512).toBeGreaterThanOrEqual(mib);
    files.close();
  },
);

test("one message may end several segments; each gets its name, and what it ends is flushed", () => {
  const files = walFiles();
  files.begin(1, 3n * size);
  const bytes = Buffer.concat([Buffer.from("head"), content(3), content(4), content(5).subarray(0, 7000)]);
  files.append(3n * size, bytes, 4);
  expect(names()).toEqual([third, fourth, "000000010000000000000005.partial"]);
  expect(readFileSync(path(third))).toEqual(content(3));
  expect(readFileSync(path(fourth))).toEqual(content(4));
  expect(events).toEqual([`segment ${third}`, `segment ${fourth}`]);
  expect(files.flushed).toBe(5n * size);
  expect(files.written).toBe(5n * size + 7000n);
  files.close();
});

test.each([
  ["0/3000000", 16, "000000010000000000000003"],
  ["1/FF000000", 16, "0000000100000001000000FF"],
  ["0/FFF00000", 1, "000000010000000000000FFF"],
  ["1/4000000", 64, "000000010000000100000001"],
  ["5/C0000000", 1024, "000000010000000500000003"],
])("WAL of %s goes with segments of %d MiB into %s", (lsn, sizeMib, name) => {
  const [high = "", low = ""] = lsn.split("/");
  const position = (BigInt(`0x${high}`) << 32n) + BigInt(`0x${low}`);
  const segmentSizeBytes = sizeMib * mib;
  const files = walFiles({ segmentSizeBytes, serverLsn: () => 2n ** 63n });
  files.begin(1, position);
  files.append(position, headerOf({ timeline: 1, number: 0 }), 0);
  expect(names()).toEqual([`${name}.partial`]);
  expect(statSync(path(`${name}.partial`)).size).toBe(segmentSizeBytes);
  files.close();
});

test.each([
  [0o000, 0o600],
  [0o777, 0o600],
  [0o077, 0o640],
  [0o027, 0o640],
])("under umask %o a file has mode %o all the same", (umask, mode) => {
  const before = process.umask(umask);
  try {
    const files = walFiles({ mode });
    receive(files, 100);
    files.append(files.written, content(3).subarray(100), 0);
    expect(lstatSync(path(third)).mode & 0o7777).toBe(mode);
  } finally {
    process.umask(before);
  }
});

test("reception begins at a segment's first byte, and nothing may be left out or come twice", () => {
  const files = walFiles();
  expect(() => files.begin(1, 3n * size + 1n)).toThrow("it is no segment's first byte");
  receive(files, 5000);
  for (const lsn of [3n * size, 3n * size + 4999n, 3n * size + 5001n])
    expect(() => files.append(lsn, Buffer.alloc(1), 0)).toThrow("0/301388 was to come next");
  files.close();
});

test("a partial file is continued from its first byte, and the same bytes are no change", () => {
  const before = walFiles();
  receive(before, 300_000);
  before.close();
  const files = walFiles();
  files.begin(1, 3n * size);
  expect(files.flushed).toBe(3n * size);
  for (let at = 0; at < mib; at += 100_000)
    files.append(3n * size + BigInt(at), content(3).subarray(at, at + 100_000), 0);
  expect(readFileSync(path(third))).toEqual(content(3));
  expect(events).toEqual([`segment ${third}`]);
});

test.each([0, 1, 39, 5000, mib - 1])(
  "a partial file that was cut off to %d bytes is continued in full size",
  (bytes) => {
    put(`${third}.partial`, content(3).subarray(0, bytes));
    const files = walFiles();
    receive(files, 9000);
    expect(statSync(path(`${third}.partial`)).size).toBe(mib);
    expect(statSync(path(`${third}.partial`)).blocks * 512).toBeGreaterThanOrEqual(mib);
    files.append(files.written, content(3).subarray(9000), 0);
    expect(readFileSync(path(third))).toEqual(content(3));
    expect(events).toEqual([`segment ${third}`]);
  },
);

test("the holes of a partial file of another tool are given space before anything is written", () => {
  put(`${third}.partial`, content(3).subarray(0, 4096));
  truncateSync(path(`${third}.partial`), mib);
  expect(statSync(path(`${third}.partial`)).blocks * 512).toBeLessThan(mib);
  const files = walFiles();
  receive(files, 100);
  expect(statSync(path(`${third}.partial`)).blocks * 512).toBeGreaterThanOrEqual(mib);
  files.close();
});

test("what was never received is zeros, wherever they are, and no divergence", () => {
  const torn = content(3);
  torn.fill(0, 8192, 16_384);
  torn.fill(0, 500_000);
  put(`${third}.partial`, torn);
  const files = walFiles();
  receive(files, mib);
  expect(readFileSync(path(third))).toEqual(content(3));
});

test.each([
  ["too large", Buffer.concat([content(3), Buffer.from("x")]), "its size is 1048577, above 1048576"],
  [
    "of another system",
    segmentOf({ timeline: 1, number: 3, systemIdentifier: "1" }),
    "its content is not that of this segment",
  ],
  ["of another segment", content(4), "its content is not that of this segment"],
  ["of a later timeline", segmentOf({ timeline: 2, number: 3 }), "its content is not that of this segment"],
  [
    "no WAL",
    Buffer.from("Dear diary, today I learned what a write-ahead log is"),
    "its content is not that of this segment",
  ],
])("a partial file that is %s is moved out of the way as it is", (_, bytes, reason) => {
  put(`${third}.partial`, bytes);
  const files = walFiles();
  receive(files, mib);
  expect(events).toEqual([`aside ${third}.partial: ${reason}`, `segment ${third}`]);
  expect(readFileSync(path(third))).toEqual(content(3));
  expect(aside()).toEqual([`${third}.partial`]);
  const [kept = ""] = readdirSync(path("set-aside"));
  expect(readFileSync(path(join("set-aside", kept)))).toEqual(Buffer.from(bytes));
});

test.each(["link", "folder", "pipe"])("a %s in the place of a partial file is moved out of the way", (kind) => {
  const outside = join(mkdtempSync(join(directory, "elsewhere-")), "precious");
  writeFileSync(outside, "precious");
  if (kind === "link") symlinkSync(outside, path(`${third}.partial`));
  else if (kind === "folder") mkdirSync(path(`${third}.partial`));
  else Bun.spawnSync(["mkfifo", path(`${third}.partial`)]);
  receive(walFiles(), mib);
  expect(events).toEqual([`aside ${third}.partial: it is no regular file`, `segment ${third}`]);
  expect(readFileSync(outside, "utf8")).toBe("precious");
  expect(aside()).toEqual([`${third}.partial`]);
});

test("files that are moved within the same millisecond all stay", () => {
  for (let index = 0; index < 20; index++) {
    put(`${third}.partial`, `foreign WAL number ${index}, long enough to be told from a header`);
    const files = walFiles();
    receive(files, 100);
    files.close();
    rmSync(path(`${third}.partial`));
  }
  expect(aside().length).toBe(20);
});

test("a file that was deleted while it is written is noticed", () => {
  const files = walFiles();
  files.checkPlace();
  files.begin(1, 3n * size);
  files.append(3n * size, content(3).subarray(0, 1000), 0);
  files.checkPlace();
  rmSync(path(`${third}.partial`));
  expect(() => files.checkPlace()).toThrow("it was deleted; its segment is received again");
  files.close();
});

test("WAL of a standby takes the place of what it sent before", () => {
  writeFileSync(path(`${third}.partial`), content(3));
  const again = Buffer.from(content(3));
  again.fill(7, 200_000, 300_000);
  const files = walFiles({ mustRepeat: false });
  files.begin(1, 3n * size);
  files.append(3n * size, again.subarray(0, 400_000), 0);
  files.flush();
  files.close();
  expect(readFileSync(path(`${third}.partial`)).subarray(0, 400_000)).toEqual(again.subarray(0, 400_000));
});

test("WAL that differs from what was received before is refused, and the file stays as it was", () => {
  const other = content(3);
  other.writeUInt8(other.readUInt8(200_000) ^ 0x10, 200_000);
  put(`${third}.partial`, other);
  const files = walFiles();
  files.begin(1, 3n * size);
  files.append(3n * size, content(3).subarray(0, 150_000), 0);
  const append = () => files.append(3n * size + 150_000n, content(3).subarray(150_000, 280_000), 0);
  expect(append).toThrow(GapError);
  expect(append).toThrow("from 0/330D40 on the server sends other WAL than it sent before");
  expect(files.written).toBe(3n * size + 150_000n);
  files.close();
  expect(readFileSync(path(`${third}.partial`))).toEqual(other);
});

test("a whole segment that is there may be replaced by its equal", () => {
  put(third, content(3));
  receive(walFiles(), mib);
  expect(names()).toEqual([third]);
  expect(events).toEqual([`segment ${third}`]);
});

test("an archived segment need not be writable to be recognised", () => {
  put(third, content(3));
  Bun.spawnSync(["chmod", "0400", path(third)]);
  receive(walFiles(), mib);
  expect(events).toEqual([`segment ${third}`]);
});

test("a whole segment with other content is never replaced", () => {
  const other = content(3);
  other.writeUInt8(1, mib - 1);
  other.writeUInt8(2, mib - 2);
  put(third, other);
  const files = walFiles();
  files.begin(1, 3n * size);
  expect(() => files.append(3n * size, content(3), 0)).toThrow("it is there already, with other WAL");
  files.close();
  expect(readFileSync(path(third))).toEqual(other);
  expect(readFileSync(path(`${third}.partial`))).toEqual(content(3));
  expect(files.flushed).toBe(3n * size);
});

test.each(["", "short"])("a file of a segment's name that is none is moved when the segment is whole (%j)", (bytes) => {
  put(third, bytes);
  receive(walFiles(), mib);
  expect(events[0]).toBe(`aside ${third}: its size is ${bytes.length}, not ${mib}`);
  expect(readFileSync(path(third))).toEqual(content(3));
  expect(aside()).toEqual([third]);
});

test.each(["link", "folder"])("a %s of a segment's name is moved when the segment is whole", (kind) => {
  if (kind === "link") symlinkSync("/nowhere", path(third));
  else mkdirSync(path(third));
  receive(walFiles(), mib);
  expect(events[0]).toBe(`aside ${third}: it is no regular file`);
  expect(readFileSync(path(third))).toEqual(content(3));
});

test("a timeline that begins within a segment has a file of its own, and the old one stays partial", () => {
  const files = walFiles();
  receive(files, 20_000);
  files.begin(2, 3n * size);
  expect(files.flushed).toBe(3n * size);
  files.append(3n * size, content(3).subarray(0, 10_000), 0);
  files.flush();
  expect(names()).toEqual([`${third}.partial`, "000000020000000000000003.partial"]);
  files.close();
});

test("nothing is open after close(), whatever came before", () => {
  const files = walFiles();
  receive(files, 10);
  files.close();
  files.close();
  files.flush();
  expect(existsSync(path(`${third}.partial`))).toBeTrue();
});
