import { afterAll, beforeAll, expect, test } from "bun:test";
import { randomBytes } from "node:crypto";
import { readSync } from "node:fs";
import { mkdir, rm, truncate, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { gunzipSync, zstdDecompressSync } from "node:zlib";
import fc from "fast-check";
import { unzipSync } from "fflate";
import { membersOf } from "../../../../plugins/common/archive/open-archive.ts";
import {
  archiveStream,
  type FormatName,
  formatProblem,
  tarInPieces,
  tarLayout,
} from "../../../../plugins/prombackup/formats.ts";
import { listSnapshot, type SnapshotListing } from "../../../../plugins/prombackup/snapshot-entries.ts";
import { createFolder, type TemporaryFolder } from "../../../harness/folders.ts";
import { skipHeadName, skipHeadTar, snapshotFolderFixture } from "../../../harness/snapshot-fixture.ts";

let fixture: TemporaryFolder;
beforeAll(async () => {
  fixture = await snapshotFolderFixture();
});
afterAll(() => fixture[Symbol.asyncDispose]());

const moment = Date.UTC(2026, 10, 21, 7, 16, 16) / 1000;

async function bytesOf(listing: SnapshotListing, name: string, format: FormatName, range = {}): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of archiveStream({ name, format, entries: listing.entries, moment, ...range })) {
    // Its buffer is used again.
    chunks.push(new Uint8Array(chunk));
  }
  return Buffer.concat(chunks);
}

/** Node's utimes takes a time before 1970 for now. */
const touch = (file: string, seconds: number) => Bun.spawnSync(["touch", "-d", `@${seconds}`, file]);

/** A snapshot `a-b` of these files, all with one time. */
async function snapshotOf(files: Readonly<Record<string, string>>, mtime = 1_000_000_000) {
  const folder = await createFolder("holdfast-archives");
  await mkdir(join(folder.path, "a-b"));
  for (const [path, text] of Object.entries(files)) {
    const file = join(folder.path, "a-b", path);
    await mkdir(dirname(file), { recursive: true });
    await writeFile(file, text);
    touch(file, mtime);
  }
  return { folder, list: () => listSnapshot(folder.path, "a-b") };
}

test("a tar is byte for byte that of the original", async () => {
  const recorded = Buffer.from(await Bun.file(skipHeadTar).arrayBuffer());
  const listing = await listSnapshot(fixture.path, skipHeadName);
  expect(tarLayout(listing.entries).sizeBytes).toBe(recorded.length);
  expect((await bytesOf(listing, skipHeadName, "tar")).equals(recorded)).toBe(true);
});

test("any stretch of a tar is that stretch of the whole", async () => {
  const listing = await listSnapshot(fixture.path, skipHeadName);
  const whole = await bytesOf(listing, skipHeadName, "tar");
  const borders = [0, 1, 511, 512, 513, 1536, 1537, 23_367, 23_552, 30_000, whole.length - 1024, whole.length - 1];
  for (const from of borders) {
    for (const to of [from + 1, from + 700, whole.length].filter((end) => end <= whole.length)) {
      const part = await bytesOf(listing, skipHeadName, "tar", { from, to });
      expect(part.equals(whole.subarray(from, to))).toBe(true);
    }
  }
});

test("any stretch of a tar in pieces is that stretch of the whole; the last piece is bytes, large ones are stretches of files", async () => {
  const sizes = [0, 1, 65_536, 327_679, 327_680, 1_000_003];
  const files = Object.fromEntries(sizes.map((size) => [`f${size}`, randomBytes(size).toString("latin1")]));
  const { folder, list } = await snapshotOf(files);
  await using _ = folder;
  const listing = await list();
  const whole = await bytesOf(listing, "a-b", "tar");
  const borders = fc
    .tuple(fc.nat(whole.length - 1), fc.nat(whole.length - 1))
    .map(([a, b]) => [Math.min(a, b), Math.max(a, b) + 1]);
  let stretches = 0;
  await fc.assert(
    fc.asyncProperty(fc.oneof(borders, fc.constant([0, whole.length])), async ([from = 0, to = 0]) => {
      const parts: Buffer[] = [];
      let isBytes = false;
      for await (const piece of tarInPieces({ entries: listing.entries, from, to })) {
        isBytes = piece instanceof Uint8Array;
        if (piece instanceof Uint8Array) parts.push(Buffer.from(piece));
        else {
          const read = Buffer.alloc(piece.sizeBytes);
          expect(readSync(piece.fd, read, 0, read.length, piece.position)).toBe(read.length);
          parts.push(read);
          stretches++;
        }
      }
      expect(isBytes).toBe(true);
      expect(Buffer.concat(parts).equals(whole.subarray(from, to))).toBe(true);
    }),
  );
  expect(stretches).toBeGreaterThan(0);
});

test("tgz and tzst hold the same tar, with the original's name and comment and the snapshot's own time", async () => {
  const recorded = Buffer.from(await Bun.file(skipHeadTar).arrayBuffer());
  const listing = await listSnapshot(fixture.path, skipHeadName);
  const tgz = await bytesOf(listing, skipHeadName, "tgz");
  expect(gunzipSync(tgz).equals(recorded)).toBe(true);
  expect(tgz.subarray(0, 10).toString("hex")).toBe(`1f8b0818${littleEndian(moment)}00ff`);
  expect(tgz.subarray(10, 120).toString("latin1")).toStartWith(
    `${skipHeadName}.tar\0Prometheus snapshot ${skipHeadName}\0`,
  );
  expect(zstdDecompressSync(await bytesOf(listing, skipHeadName, "tzst")).equals(recorded)).toBe(true);
});

const littleEndian = (seconds: number) => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(seconds);
  return bytes.toString("hex");
};

test.each(["tar", "tgz", "tzst", "zip"] as const)("two archives of one snapshot are equal: %s", async (format) => {
  const listing = await listSnapshot(fixture.path, skipHeadName);
  const [one, other] = [await bytesOf(listing, skipHeadName, format), await bytesOf(listing, skipHeadName, format)];
  expect(one.equals(other)).toBe(true);
});

test("a zip holds every file and folder", async () => {
  const listing = await listSnapshot(fixture.path, skipHeadName);
  const files = unzipSync(await bytesOf(listing, skipHeadName, "zip"));
  const expected = listing.entries.map(({ path, kind }) => (kind === "folder" ? `${path}/` : path));
  expect(Object.keys(files)).toEqual(expected);
  for (const { path, file, kind } of listing.entries.filter((entry) => entry.kind === "file")) {
    expect(kind).toBe("file");
    expect(Buffer.from(files[path] ?? []).equals(Buffer.from(await Bun.file(file).arrayBuffer()))).toBe(true);
  }
});

test("a zip that can no longer be read ends with an error", async () => {
  const { folder, list } = await snapshotOf({ file: "content" });
  await using _ = folder;
  const path = join(folder.path, "archive.zip");
  await writeFile(path, await bytesOf(await list(), "a-b", "zip"));
  const read = async () => {
    for await (const member of membersOf(path)) {
      await rm(path, { force: true });
      for await (const _ of member.content());
    }
  };
  await expect(read()).rejects.toThrow("ENOENT");
});

test("a snapshot of more than 4 GiB is no zip", async () => {
  await using folder = await createFolder("holdfast-archives");
  await mkdir(join(folder.path, "a-b"));
  await writeFile(join(folder.path, "a-b", "index"), "");
  await truncate(join(folder.path, "a-b", "index"), 2 ** 32);
  const { entries } = await listSnapshot(folder.path, "a-b");
  expect(formatProblem("zip", entries)).toContain("more than 4 GiB");
  expect(formatProblem("tar", entries)).toBeUndefined();
});

test("entries come in the order of their bytes, a folder's before what follows it", async () => {
  const { folder, list } = await snapshotOf({ "a/z": "", "a.b/y": "", a0: "", "A/x": "", B: "" });
  await using _ = folder;
  const below = (await list()).entries.map(({ path }) => path.slice(4));
  expect(below).toEqual(["", "A", "A/x", "B", "a", "a/z", "a.b", "a.b/y", "a0"]);
});

test("times are rounded to the nearest second, half of one up, before 1970 too", async () => {
  for (const [written, seconds] of [
    [1_000_000_000.4999, 1_000_000_000],
    [1_000_000_000.5, 1_000_000_001],
    [-10.5, -10],
    [-10.6, -11],
  ] as const) {
    const { folder, list } = await snapshotOf({ f: "x" }, written);
    await using _ = folder;
    expect((await list()).entries[1]?.mtimeSeconds).toBe(seconds);
  }
});

test("an empty snapshot is a tar of one folder", async () => {
  const { folder, list } = await snapshotOf({});
  await using _ = folder;
  expect((await bytesOf(await list(), "a-b", "tar")).length).toBe(1536);
});

test("paths and sizes that do not fit get PAX records, which tar understands", async () => {
  const long = `${"d".repeat(120)}/${"f".repeat(120)}`;
  const { folder, list } = await snapshotOf({ [long]: "long", ümlaut: "plain" });
  await using _ = folder;
  await writeFile(join(folder.path, "a-b", "old"), "old");
  touch(join(folder.path, "a-b", "old"), -5);
  const tar = await bytesOf(await list(), "a-b", "tar");
  await Bun.write(join(folder.path, "x.tar"), tar);
  const listed = Bun.spawnSync(["tar", "-tvf", join(folder.path, "x.tar"), "--quoting-style=literal"], {
    env: { ...process.env, TZ: "UTC", LC_ALL: "C.UTF-8" },
  }).stdout.toString();
  expect(listed).toContain(`a-b/${long}\n`);
  expect(listed).toContain("a-b/ümlaut\n");
  expect(listed).toContain("1969-12-31 23:59 a-b/old\n");
});

test("a sparse file of 8 GiB has its size in a PAX record, and its layout costs nothing", async () => {
  const { folder, list } = await snapshotOf({ index: "" });
  await using _ = folder;
  await truncate(join(folder.path, "a-b", "index"), 2 ** 33);
  const listing = await list();
  const { entries, sizeBytes } = tarLayout(listing.entries);
  expect(entries[1]?.header.length).toBe(1536);
  expect(entries[1]?.header.subarray(512, 1024).toString("latin1")).toStartWith("19 size=8589934592\n");
  expect(sizeBytes).toBe(512 + 1536 + 2 ** 33 + 1024);
  const tail = await bytesOf(listing, "a-b", "tar", { from: sizeBytes - 2048 });
  expect(tail.equals(Buffer.alloc(2048))).toBe(true);
});
