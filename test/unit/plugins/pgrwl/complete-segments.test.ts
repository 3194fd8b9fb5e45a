import { expect, test } from "bun:test";
import { mkdir, symlink, truncate, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { listCompleteSegments } from "../../../../plugins/pgrwl/complete-segments.ts";
import { createFolder } from "../../../harness/folders.ts";

const mib = 2 ** 20;

async function folderWith(files: Readonly<Record<string, number>>) {
  const folder = await createFolder("holdfast-segments");
  for (const [name, bytes] of Object.entries(files)) {
    await writeFile(join(folder.path, name), "");
    await truncate(join(folder.path, name), bytes);
    await utimes(join(folder.path, name), 1_700_000_000, 1_700_000_000);
  }
  return folder;
}

test("complete segments are those of the right name and size, the newest first", async () => {
  await using folder = await folderWith({
    "000000010000000000000002": mib,
    "000000010000000000000003": mib,
    "000000020000000000000004": 16 * mib,
    "000000010000000000000005": 100,
    "000000010000000000000006.partial": mib,
    "000000010000000000000007.gz": mib,
    "00000002.history": mib,
  });
  await mkdir(join(folder.path, "000000010000000000000008"));
  await symlink("gone", join(folder.path, "000000010000000000000009"));
  const names = async (size: number | undefined) =>
    (await listCompleteSegments(folder.path, size)).map(({ name }) => name);
  expect(await names(mib)).toEqual(["000000010000000000000003", "000000010000000000000002"]);
  expect(await names(undefined)).toEqual([
    "000000020000000000000004",
    "000000010000000000000003",
    "000000010000000000000002",
  ]);
  expect((await listCompleteSegments(folder.path, mib))[0]).toEqual({
    name: "000000010000000000000003",
    sizeBytes: mib,
    modifiedAt: 1_700_000_000_000,
  });
});

test("a directory that is gone is an error", async () => {
  await expect(listCompleteSegments("/nonexistent/wal", mib)).rejects.toThrow("ENOENT");
});
