/** What becomes of WAL when single calls to the file system fail. */
import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Disk, DiskError } from "../../../../../plugins/pgrwl/receiver/disk.ts";
import { WalFiles } from "../../../../../plugins/pgrwl/receiver/wal-files.ts";
import { type Call, FaultyDisk } from "./faulty-disk.ts";
import { mib, ourSystem, segmentOf } from "./wal-content.ts";

let directory: string;
let calls: FaultyDisk;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "holdfast-disk-faults-"));
  calls = new FaultyDisk();
});
afterEach(() => rmSync(directory, { recursive: true }));

const size = BigInt(mib);
const first = 3n * size;
const wal = Buffer.concat([3, 4, 5].map((number) => segmentOf({ timeline: 1, number })));

function walFiles(zeros = false): WalFiles {
  return new WalFiles({
    directory,
    segmentSizeBytes: mib,
    mode: 0o600,
    systemIdentifier: ourSystem,
    disk: new Disk(calls),
    mustRepeat: true,
    serverLsn: () => (zeros ? 0n : 2n ** 63n),
    onSegment: () => {},
    onSetAside: (file) => {
      throw new Error(`${file} was moved`);
    },
  });
}

/** Receives from a segment's first byte to within segment 5, with a flush behind every message. */
function receive(files: WalFiles, from: bigint, promised: (lsn: bigint) => void): void {
  files.begin(1, from);
  for (let at = Number(from - first); at < 2 * mib + 300_000; at += 400_000) {
    try {
      files.append(first + BigInt(at), wal.subarray(at, Math.min(at + 400_000, 2 * mib + 300_000)), 0);
      files.flush();
    } finally {
      promised(files.flushed);
    }
  }
}

/** Whether the files hold all WAL before a position. */
function holds(lsn: bigint): boolean {
  for (let number = 3; BigInt(number) * size < lsn; number++) {
    const name = `00000001000000000000000${number}`;
    const bytes = lsn - BigInt(number) * size < size ? Number(lsn - BigInt(number) * size) : mib;
    const found = [name, `${name}.partial`].filter((one) => readdirSync(directory).includes(one));
    const wanted = wal.subarray((number - 3) * mib, (number - 3) * mib + bytes);
    if (!found.some((one) => readFileSync(join(directory, one)).subarray(0, bytes).equals(wanted))) return false;
  }
  return true;
}

const faults: readonly [Call, string, RegExp][] = [
  ["open", "EROFS", /Cannot (create|open) .*: the file system is mounted read-only \(EROFS\)/],
  ["open", "EACCES", /Cannot (create|open) .*: permission denied \(EACCES\); the agent's user must own the folder/],
  [
    "open",
    "ENOSPC",
    /Cannot (create|open) .*: no space left on the disk \(ENOSPC\); reception goes on once there is room/,
  ],
  ["chmod", "EPERM", /Cannot set the mode of .*: EPERM: injected/],
  ["allocate", "ENOSPC", /Cannot reserve space for .*: no space left/],
  ["allocate", "EIO", /Cannot reserve space for .*: the disk reported an input\/output error \(EIO\)/],
  ["write", "ENOSPC", /Cannot write .*: no space left/],
  ["write", "EDQUOT", /Cannot write .*: the disk quota is exhausted \(EDQUOT\)/],
  ["write", "EIO", /Cannot write .*: the disk reported/],
  ["syncData", "EIO", /Cannot sync .*: the disk reported/],
  ["syncData", "ENOSPC", /Cannot sync .*: no space left/],
  ["sync", "EIO", /Cannot sync .*: the disk reported/],
  ["syncFolder", "EIO", /Cannot sync .*: the disk reported/],
  ["rename", "EIO", /Cannot rename .*3\.partial to .*3: the disk reported|Cannot rename .*4/],
  ["size", "EIO", /Cannot look at .*: the disk reported/],
  ["read", "EIO", /Cannot read .*: the disk reported/],
];

test.each(faults)(
  "%s failing with %s at any time is told, promises nothing, and is made good later",
  (call, code, message) => {
    let failures = 0;
    for (let nth = 0; ; nth++) {
      rmSync(directory, { recursive: true });
      directory = mkdtempSync(join(tmpdir(), "holdfast-disk-faults-"));
      // Something is there before: it is read and compared.
      writeFileSync(join(directory, "000000010000000000000003.partial"), wal.subarray(0, 100_000));
      calls = new FaultyDisk();
      calls.faults = [{ call, nth, code }];
      const files = walFiles();
      let promised = first;
      const note = (lsn: bigint) => {
        promised = lsn > promised ? lsn : promised;
      };
      let error: unknown;
      try {
        receive(files, first, note);
      } catch (caught) {
        error = caught;
      }
      if (error === undefined) break;
      failures++;
      expect(error).toBeInstanceOf(DiskError);
      expect((error as DiskError).isFull).toBe(code === "ENOSPC" || code === "EDQUOT");
      expect((error as DiskError).message).toMatch(message);
      files.close();
      expect([...calls.open_]).toEqual([]);
      expect(holds(promised)).toBeTrue();
      // A later connection goes on from the first segment that is not whole.
      const whole = readdirSync(directory).filter((name) => /^[0-9A-F]{24}$/.test(name)).length;
      expect(first + BigInt(whole) * size).toBeGreaterThanOrEqual(promised - (promised % size));
      receive(files, first + BigInt(whole) * size, note);
      files.close();
      expect(promised).toBe(first + 2n * size + 300_000n);
      expect(holds(promised)).toBeTrue();
      expect([...calls.open_]).toEqual([]);
    }
    expect(failures).toBeGreaterThan(0);
  },
  120_000,
);

test("a disk that fills up while zeros are written leaves no file that takes the room there is", () => {
  calls.faults = [{ call: "write", nth: 0, code: "ENOSPC" }];
  const files = walFiles(true);
  files.begin(1, first);
  expect(() => files.append(first, wal.subarray(0, 100), 0)).toThrow("no space left");
  expect(readdirSync(directory)).toEqual([]);
  expect(files.flushed).toBe(first);
  files.append(first, wal.subarray(0, 100), 0);
  files.flush();
  expect(holds(first + 100n)).toBeTrue();
  files.close();
});

test("a full disk keeps what was flushed, and the segment that ended counts", () => {
  const files = walFiles();
  files.begin(1, first);
  calls.faults = [{ call: "allocate", nth: 1, code: "ENOSPC" }];
  expect(() => files.append(first, wal.subarray(0, mib + 5000), 0)).toThrow("no space left");
  expect([files.flushed, files.written]).toEqual([first + size, first + size]);
  expect(readdirSync(directory)).toEqual(["000000010000000000000003"]);
});

test.each([1, 7, 4095, 65_536])("a file system that takes and gives %d bytes at a time gets everything", (bytes) => {
  const length = Math.min(mib, bytes * 40_000);
  writeFileSync(join(directory, "000000010000000000000003.partial"), wal.subarray(0, 50_000));
  calls.mostBytes = bytes;
  const files = walFiles();
  files.begin(1, first);
  files.append(first, wal.subarray(0, length), 0);
  files.flush();
  expect(holds(first + BigInt(length))).toBeTrue();
  files.close();
});

test("behind a sync that failed no other sync of the same file is believed", () => {
  const files = walFiles();
  files.begin(1, first);
  files.append(first, wal.subarray(0, 5000), 0);
  calls.faults = [{ call: "syncData", nth: 0, code: "EIO" }];
  for (let times = 0; times < 3; times++) {
    expect(() => files.flush()).toThrow("the disk reported an input/output error");
    expect(files.flushed).toBe(first);
  }
  expect(() => files.append(files.written, wal.subarray(5000, mib), 0)).toThrow("input/output error");
  expect(readdirSync(directory)).toEqual(["000000010000000000000003.partial"]);
  files.begin(1, first);
  files.append(first, wal.subarray(0, 5000), 0);
  files.flush();
  expect(files.flushed).toBe(first + 5000n);
  files.close();
});

test("a small file is there whole, or not at all", () => {
  const path = join(directory, "00000002.history");
  for (const call of ["open", "chmod", "write", "sync", "rename"] as const) {
    calls.faults = [{ call, nth: calls.counts.get(call) ?? 0, code: "ENOSPC" }];
    expect(() => new Disk(calls).writeWhole(path, Buffer.from("1\t0/3000000\treason\n"), 0o640)).toThrow(
      "no space left",
    );
    expect(readdirSync(directory).includes("00000002.history")).toBeFalse();
    expect([...calls.open_]).toEqual([]);
  }
  calls.mostBytes = 3;
  new Disk(calls).writeWhole(path, Buffer.from("1\t0/3000000\treason\n"), 0o640);
  expect(readFileSync(path, "utf8")).toBe("1\t0/3000000\treason\n");
  expect(statSync(path).mode & 0o7777).toBe(0o640);
  expect(readdirSync(directory)).toEqual(["00000002.history"]);
});

test("a small file is not written through a link", () => {
  writeFileSync(join(directory, "precious"), "precious");
  symlinkSync(join(directory, "precious"), join(directory, "00000002.history.tmp"));
  expect(() => new Disk(calls).writeWhole(join(directory, "00000002.history"), Buffer.from("1\n"), 0o600)).toThrow(
    DiskError,
  );
  expect(readFileSync(join(directory, "precious"), "utf8")).toBe("precious");
});

test("every folder that is made is synced into the one above", () => {
  new Disk(calls).makeFolder(join(directory, "a/b/c"), 0o750);
  expect(calls.counts.get("syncFolder")).toBe(3);
  calls.faults = [{ call: "syncFolder", nth: 3, code: "EACCES" }];
  // It was there: whoever made it may keep us from the folder above.
  new Disk(calls).makeFolder(join(directory, "a/b/c"), 0o750);
  expect(calls.counts.get("syncFolder")).toBe(4);
  expect([...calls.open_]).toEqual([]);
});

test("a file system that cannot sync folders is none that is broken", () => {
  calls.faults = [{ call: "syncFolder", nth: 0, code: "EINVAL", stays: true }];
  new Disk(calls).writeWhole(join(directory, "00000002.history"), Buffer.from("1\n"), 0o600);
  expect(readdirSync(directory)).toEqual(["00000002.history"]);
  expect([...calls.open_]).toEqual([]);
});
