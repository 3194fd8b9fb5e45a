/** The comparisons on which the tests of receivers rest must be able to fail. */
import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import fc from "fast-check";
import { createFolder, type TemporaryFolder } from "../../harness/folders.ts";
import { dataEnd, folderDifferences, partialDifferences, serverDifferences } from "../../harness/wal-compare.ts";

let folder: TemporaryFolder;
beforeEach(async () => {
  folder = await createFolder("holdfast-compare");
  for (const name of ["one", "other", "data/pg_wal"]) await mkdir(join(folder.path, name), { recursive: true });
});
afterEach(() => folder[Symbol.asyncDispose]());

const path = (...names: string[]) => join(folder.path, ...names);
const segment = "000000010000000000000003";
const bytes = Buffer.from(Array.from({ length: 20_000 }, (_, at) => (at * 7) % 251));

function flipped(at: number): Buffer {
  const copy = Buffer.from(bytes);
  copy[at] = (copy[at] ?? 0) ^ 1;
  return copy;
}

test("equal folders have no differences", async () => {
  for (const side of ["one", "other"]) await writeFile(path(side, segment), bytes);
  expect(await folderDifferences(path("one"), path("other"))).toEqual([]);
});

test.each([0, 9999, 19_999])(
  "a single bit at byte %d is a difference, between folders and from the server",
  async (at) => {
    await writeFile(path("one", segment), bytes);
    await writeFile(path("other", segment), flipped(at));
    await writeFile(path("data/pg_wal", segment), flipped(at));
    expect(await folderDifferences(path("one"), path("other"))).toHaveLength(1);
    const { compared, differences } = await serverDifferences(path("one"), path("data"));
    expect([compared, differences.length]).toEqual([1, 1]);
  },
);

test("a file that only one folder has is a difference, whatever its name", async () => {
  await writeFile(path("one", "00000002.history"), "");
  await writeFile(path("other", `${segment}.partial`), "");
  await mkdir(path("other", "folder"));
  expect(await folderDifferences(path("one"), path("other"))).toHaveLength(3);
});

const partial = (content: Buffer, receivedBytes: number) =>
  Promise.all([
    writeFile(path("one", `${segment}.partial`), content),
    writeFile(path("data/pg_wal", segment), bytes),
  ]).then(() => partialDifferences(path("one", `${segment}.partial`), path("data/pg_wal", segment), receivedBytes));
const received = (count: number) => Buffer.concat([bytes.subarray(0, count), Buffer.alloc(bytes.length - count)]);

test("a partial file is good when it holds what was received, and zeros after it", async () => {
  expect(await partial(received(12_000), 12_000)).toEqual([]);
  expect(await partial(received(12_000), 11_000)).toEqual([]);
});

test("a partial file is not good when it is short, holds too little, or holds something else", async () => {
  expect(await partial(received(12_000), 12_500)).toHaveLength(1);
  expect(await partial(received(12_000).subarray(0, 19_999), 12_000)).toHaveLength(1);
  expect(await partial(flipped(3), 12_000)).toHaveLength(1);
  const stray = received(12_000);
  stray[15_000] = ((bytes[15_000] ?? 0) + 1) % 256 || 1;
  expect(await partial(stray, 12_000)).toHaveLength(1);
});

test("dataEnd() is the offset after the last byte that is not zero", () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 20_000 }), fc.integer({ min: 0, max: 20_000 }), (data, zeros) => {
      expect(dataEnd(Buffer.concat([Buffer.alloc(data, 1), Buffer.alloc(zeros)]))).toBe(data);
    }),
  );
});
