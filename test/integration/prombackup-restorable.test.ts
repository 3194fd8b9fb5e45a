/** What the plugin tells of restores, with a recorded snapshot. */
import { expect, test } from "bun:test";
import { createFolder } from "../harness/folders.ts";
import { skipHeadName, snapshotFolderFixture, withHeadName } from "../harness/snapshot-fixture.ts";
import { startSnapshotServer } from "../harness/snapshot-server.ts";

test("snapshots count once they are verified, by the samples in them", async () => {
  await using fixture = await snapshotFolderFixture();
  await using server = await startSnapshotServer({ folder: fixture.path });
  const windows = async () => {
    await server.test.collect();
    return server.test.instance.restorable?.();
  };
  expect(await windows()).toMatchObject([{ cluster: "127.0.0.1:1", reason: "unverified" }]);
  for (const name of [skipHeadName, withHeadName]) await server.post("/api/verify", { name });
  const listed = (await (await server.fetch("/api/snapshots")).json()) as unknown;
  expect(JSON.stringify(listed)).toContain(skipHeadName);
  const [window, ...others] = (await windows()) ?? [];
  expect(others).toEqual([]);
  expect(window).toEqual({ cluster: "127.0.0.1:1", from: expect.any(Number), to: expect.any(Number) });
  expect(window?.to).toBeGreaterThan(window?.from ?? Number.POSITIVE_INFINITY);
});

test("without a snapshot there is nothing to restore", async () => {
  await using folder = await createFolder("holdfast-snapshots");
  await using server = await startSnapshotServer({ folder: folder.path });
  expect(server.test.instance.restorable?.()).toEqual([]);
  await server.test.collect();
  expect(server.test.instance.restorable?.()).toMatchObject([{ reason: "no_backup" }]);
});
