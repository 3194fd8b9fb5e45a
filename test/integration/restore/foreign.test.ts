import { expect, test } from "bun:test";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { LocalStorage } from "../../../plugins/common/storage/local.ts";
import { WalArchive } from "../../../plugins/common/wal-archive/archive.ts";
import { foreignSystem } from "../../../plugins/common/wal-archive/foreign.ts";
import { createFolder } from "../../harness/folders.ts";
import { failure, startS3Server } from "../../harness/s3/server.ts";
import { walSegment } from "../../harness/wal-segment.ts";
import { open, s3Settings } from "../storage/storages.ts";

const ours = 78n;
const theirs = 77n;

/** What the archive is told to be of, where it has these objects, by name with the system identifier of each. */
async function foreignIn(objects: Readonly<Record<string, bigint>>): Promise<string | undefined> {
  await using folder = await createFolder("holdfast-foreign");
  await mkdir(join(folder.path, "wal-archive"));
  for (const [name, systemIdentifier] of Object.entries(objects)) {
    const [, timeline = "", number = ""] = /([0-9A-F]{8})0{8}([0-9A-F]{8})/.exec(name) ?? [];
    const segment = { timeline: Number.parseInt(timeline, 16), number: Number.parseInt(number, 16), systemIdentifier };
    await writeFile(join(folder.path, name), walSegment(segment));
  }
  const archive = new WalArchive({ storage: new LocalStorage(folder.path), codec: { compression: "none" } });
  return await foreignSystem(archive, String(ours), {});
}

test("an archive of another cluster is another's, whatever timelines it has", async () => {
  const objects = { "wal-archive/000000010000000000000003": theirs, "wal-archive/000000020000000000000004": theirs };
  expect(await foreignIn(objects)).toBe("77");
  expect(await foreignIn({})).toBeUndefined();
});

test.each([
  ["the oldest", { "wal-archive/000000010000000000000003": ours, "wal-archive/000000010000000000000004": theirs }],
  ["the newest", { "wal-archive/000000010000000000000003": theirs, "wal-archive/000000010000000000000004": ours }],
  [
    // pg_upgrade begins with timeline 1 again.
    "the newest of timeline 1, behind which another cluster had got to 2",
    {
      "wal-archive/000000010000000000000003": theirs,
      "wal-archive/000000010000000000000006": ours,
      "wal-archive/000000020000000000000004": theirs,
    },
  ],
  [
    "the beginning of the newest",
    { "wal-archive/000000010000000000000003": theirs, "wal-archive/000000010000000000000006.partial": ours },
  ],
  [
    "the newest, beside what an earlier version stored at the root",
    {
      "wal-archive/000000010000000000000003": theirs,
      "wal-archive/000000010000000000000006": ours,
      "000000010000000000000002": theirs,
    },
  ],
])("an archive that has a segment of ours is not another's: %s", async (_, objects) => {
  expect(await foreignIn(objects)).toBeUndefined();
});

test("an archive whose segments were moved to colder storage is not another's, as far as anybody knows", async () => {
  await using folder = await createFolder("holdfast-foreign");
  await using server = startS3Server();
  await using storage = await open(s3Settings(server));
  const archive = new WalArchive({ storage, codec: { compression: "none" } });
  const name = "000000010000000000000003";
  await writeFile(join(folder.path, name), walSegment({ number: 3, systemIdentifier: theirs }));
  await archive.put(name, join(folder.path, name));
  expect(await foreignSystem(archive, String(ours), {})).toBe("77");
  server.intercept = (request, key) =>
    request.method === "GET" && key.endsWith(name) ? failure(request, 403, "InvalidObjectState") : undefined;
  expect(await foreignSystem(archive, String(ours), {})).toBeUndefined();
});
