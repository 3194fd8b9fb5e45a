import { expect, test } from "bun:test";
import { mkdir, readFile, rename, rm, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import fc from "fast-check";
import { snapshotFolder } from "../../../../../plugins/common/tsdb/block-files.ts";
import { crc32c } from "../../../../../plugins/common/tsdb/crc32c.ts";
import { isUlid, ulidTimeMs } from "../../../../../plugins/common/tsdb/ulid.ts";
import { Cursor } from "../../../../../plugins/common/tsdb/varint.ts";
import { verifySnapshot } from "../../../../../plugins/common/tsdb/verify.ts";
import { skipHeadName, snapshotFolderFixture, withHeadName } from "../../../../harness/snapshot-fixture.ts";

const block = "01M7YES8CFHH15SSVT05T7XN09";
const headBlock = "01M7YFD1ERWHYV3R6TSHXEV9WK";

async function fixture(name = skipHeadName) {
  const folder = await snapshotFolderFixture();
  const root = join(folder.path, name);
  return {
    root,
    verify: async () => verifySnapshot(await snapshotFolder(root)),
    /** Changes one byte, counted from the end where the place is negative. */
    async flip(path: string, at: number) {
      const bytes = await readFile(join(root, path));
      const place = at < 0 ? bytes.length + at : at;
      bytes[place] = (bytes[place] ?? 0) ^ 0x01;
      await writeFile(join(root, path), bytes);
    },
    [Symbol.asyncDispose]: () => folder[Symbol.asyncDispose](),
  };
}

test("recorded snapshots are right, with the counts of their meta.json", async () => {
  await using with_ = await fixture(withHeadName);
  const report = await with_.verify();
  expect(report.problems).toEqual([]);
  expect(report.warnings).toEqual([]);
  expect(report.blocks.map(({ ulid, meta }) => [ulid, meta?.stats.numSamples])).toEqual([
    [block, 9600],
    ["01M7YES8D3BXZ143VZS1HDNWSF", 9600],
    [headBlock, 143_545],
  ]);
});

test.each([
  ["index", 0, "magic number"],
  ["index", -20, "table of contents"],
  ["index", -1, "table of contents"],
  ["index", 12, "symbol table"],
  ["chunks/000001", 0, "magic number"],
  ["chunks/000001", 4, "version"],
  ["chunks/000001", 200, "chunk"],
  ["tombstones", 0, "magic number"],
  ["tombstones", 7, "checksum"],
  ["meta.json", 0, "content"],
])("one changed bit in %s at %d is found: %s", async (path, at, check) => {
  await using damaged = await fixture();
  await damaged.flip(`${block}/${path}`, at);
  const { problems } = await damaged.verify();
  expect(problems[0]).toMatchObject({ file: `${block}/${path}`, check });
});

test("any changed bit in an index or a segment is found, but for padding", async () => {
  await using damaged = await fixture();
  for (const path of [`${block}/index`, `${block}/chunks/000001`]) {
    const whole = await readFile(join(damaged.root, path));
    await fc.assert(
      fc.asyncProperty(fc.nat(whole.length - 1), fc.nat(7), async (at, bit) => {
        const bytes = Buffer.from(whole);
        bytes[at] = (bytes[at] ?? 0) ^ (1 << bit);
        await writeFile(join(damaged.root, path), bytes);
        const { problems } = await damaged.verify();
        // Zeros between sections and the three bytes behind a segment's version mean nothing.
        const isPadding = whole[at] === 0 && (whole[at - 1] === 0 || whole[at + 1] === 0 || problems.length === 0);
        // Version 3 is one that there is.
        const isVersion = path.endsWith("index") && at === 4;
        return problems.length > 0 || isPadding || isVersion;
      }),
      { numRuns: 60 },
    );
    await writeFile(join(damaged.root, path), whole);
  }
});

test("a missing segment, file or folder name is told", async () => {
  await using damaged = await fixture();
  await rm(join(damaged.root, block, "chunks/000001"));
  const segment = await damaged.verify();
  expect(segment.problems).toEqual([
    { file: `${block}/chunks/000001`, check: "presence", found: "it is missing, the index has chunks in it" },
  ]);
  await rm(join(damaged.root, block, "tombstones"));
  expect((await damaged.verify()).problems.map(({ file }) => file)).toContain(`${block}/tombstones`);
  await rename(join(damaged.root, block), join(damaged.root, "01M7YES8CFHH15SSVT05T7XN00"));
  expect((await damaged.verify()).problems.map(({ check }) => check)).toContain("ulid");
  await mkdir(join(damaged.root, "stray"));
  expect((await damaged.verify()).problems.map(({ file }) => file)).toContain("stray");
});

test("wrong counts, strange files and links are told", async () => {
  await using damaged = await fixture();
  const meta = join(damaged.root, block, "meta.json");
  await writeFile(meta, (await readFile(meta, "utf8")).replace("9600", "9601"));
  await writeFile(join(damaged.root, block, "index.bak"), "x");
  await symlink("/etc/passwd", join(damaged.root, block, "link"));
  expect((await damaged.verify()).problems.map(({ check, found }) => `${check}: ${found}`).sort()).toEqual([
    "kind: neither a file nor a folder",
    "name: no file of a block is called so",
    "number of samples: 9601, the block has 9600",
  ]);
});

test("an empty snapshot is told, and blocks that overlap are", async () => {
  await using damaged = await fixture();
  const meta = join(damaged.root, block, "meta.json");
  await writeFile(meta, (await readFile(meta, "utf8")).replace("1795103985001", "1795104000001"));
  const { problems, warnings } = await damaged.verify();
  expect(problems).toEqual([]);
  expect(warnings[0]).toContain("overlap");
  await rm(damaged.root, { recursive: true });
  await mkdir(damaged.root);
  expect((await damaged.verify()).warnings).toEqual(["it is empty: there is no block in it"]);
});

test("crc32c() is that of RFC 3720, in pieces too", () => {
  expect(crc32c(Buffer.from("123456789"))).toBe(0xe3069283);
  expect(crc32c(Buffer.alloc(32))).toBe(0x8a9136aa);
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 100 }), fc.nat(100), (bytes, at) => {
      const cut = Math.min(at, bytes.length);
      return crc32c(bytes) === crc32c(bytes, cut, bytes.length, crc32c(bytes, 0, cut));
    }),
  );
});

test("varints are read as Go writes them, and never beyond their end", () => {
  expect(new Cursor(Buffer.from([0xac, 0x02])).uvarint()).toBe(300);
  expect([0, 1, 2, 3].map((byte) => new Cursor(Buffer.from([byte])).varint())).toEqual([0, -1, 1, -2]);
  expect(() => new Cursor(Buffer.from([0x80])).uvarint()).toThrow("ends within a number");
  expect(() => new Cursor(Buffer.alloc(12, 0xff)).uvarint()).toThrow("too large");
});

test("ULIDs", () => {
  expect(isUlid(block)).toBe(true);
  for (const text of [
    "",
    "8ZZZZZZZZZZZZZZZZZZZZZZZZZ",
    block.toLowerCase(),
    `${block}0`,
    "01M7YES8CFHH15SSVT05T7XN0I",
  ]) {
    expect(isUlid(text)).toBe(false);
  }
  expect(ulidTimeMs("01ARZ3NDEKTSV4RRFFQ69G5FAV")).toBe(1469922850259);
});

test.each([
  ["minTime", 1_000_000],
  ["maxTime", -1_000_000],
])("a %s that leaves chunks out is found: Prometheus would not find them, or delete the block", async (name, by) => {
  await using damaged = await fixture();
  const path = join(damaged.root, block, "meta.json");
  const meta = JSON.parse(await readFile(path, "utf8"));
  await writeFile(path, JSON.stringify({ ...meta, [name]: meta[name] + by }));
  expect((await damaged.verify()).problems).toMatchObject([{ file: `${block}/meta.json`, check: name }]);
});
