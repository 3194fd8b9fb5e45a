/** What is the local folder's own. */
import { expect, test } from "bun:test";
import { readdir, symlink, utimes, writeFile } from "node:fs/promises";
import { createFolder } from "../../harness/folders.ts";
import { waitFor } from "../../harness/wait.ts";
import { failureOf, open } from "./storages.ts";

test("a missing root is no empty storage: its disk may not be mounted", async () => {
  await using folder = await createFolder("holdfast-local");
  const directory = `${folder.path}/mnt`;
  const storage = await open({ type: "local", directory });
  for (const work of [
    () => storage.stat("x"),
    () => storage.get("x"),
    () => Array.fromAsync(storage.list("")),
    () => storage.delete(["x"]),
  ]) {
    const error = await failureOf(work());
    expect([error.kind, error.message]).toEqual([
      "misconfigured",
      `Cannot use ${directory}: there is no such folder; make the folder, or mount the disk that it is on`,
    ]);
  }
  await storage.put("wal-archive/x", Buffer.from("x"));
  expect(await storage.stat("y")).toBeUndefined();
});

test("a check leaves no folder behind that was not there: the agent may be another user", async () => {
  await using folder = await createFolder("holdfast-local");
  {
    await using storage = await open({ type: "local", directory: `${folder.path}/mnt/archive` });
    expect(await storage.check()).toEqual([]);
    expect(await Array.fromAsync(storage.list(""))).toEqual([]);
  }
  expect(await readdir(folder.path)).toEqual([]);
  {
    await using storage = await open({ type: "local", directory: `${folder.path}/mnt/archive` });
    await storage.check();
    await storage.put("x", Buffer.from("x"));
  }
  expect(await readdir(`${folder.path}/mnt/archive`)).toEqual(["x"]);
});

test("a check leaves an empty folder that was there", async () => {
  await using folder = await createFolder("holdfast-local");
  {
    await using storage = await open({ type: "local", directory: folder.path });
    await storage.check();
  }
  expect(await readdir(folder.path)).toEqual([]);
});

test("what a crash left behind is not listed, and removed when it is old", async () => {
  await using folder = await createFolder("holdfast-local");
  const storage = await open({ type: "local", directory: folder.path });
  await storage.put("wal/x", Buffer.from("x"));
  const leftOver = `${folder.path}/wal/.y.0123456789abcdef.holdfast-tmp`;
  await writeFile(leftOver, "half");
  await utimes(leftOver, 1000, 1000);
  expect((await Array.fromAsync(storage.list(""))).map(({ name }) => name)).toEqual(["wal/x"]);
  expect(await storage.removeUnfinished(new Date(999_000))).toBe(0);
  expect(await storage.removeUnfinished(new Date())).toBe(1);
  expect(await readdir(`${folder.path}/wal`)).toEqual(["x"]);
});

test("links are not listed", async () => {
  await using folder = await createFolder("holdfast-local");
  const storage = await open({ type: "local", directory: `${folder.path}/root` });
  await storage.put("x", Buffer.from("x"));
  await writeFile(`${folder.path}/outside`, "secret");
  await symlink(`${folder.path}/outside`, `${folder.path}/root/link`);
  await symlink(folder.path, `${folder.path}/root/folder`);
  expect((await Array.fromAsync(storage.list(""))).map(({ name }) => name)).toEqual(["x"]);
});

test("a reader keeps the object that it opened while another one takes its name", async () => {
  await using folder = await createFolder("holdfast-local");
  const storage = await open({ type: "local", directory: folder.path });
  await storage.put("x", Buffer.alloc(1_000_000, 1));
  const { stream } = await storage.get("x");
  await storage.put("x", Buffer.alloc(10, 2));
  let total = 0;
  for await (const chunk of stream) {
    expect(chunk.every((byte) => byte === 1)).toBe(true);
    total += chunk.length;
  }
  expect(total).toBe(1_000_000);
});

test("no file stays open", async () => {
  await using folder = await createFolder("holdfast-local");
  const storage = await open({ type: "local", directory: folder.path });
  await storage.put("x", Buffer.alloc(1_000_000));
  const before = (await readdir("/proc/self/fd")).length;
  for (let n = 0; n < 50; n++) {
    const { stream } = await storage.get("x");
    if (n % 2 === 0) await stream.cancel();
    else for await (const _ of stream) if (n % 3 === 0) break;
    await storage
      .put(
        "y",
        (async function* () {
          yield Buffer.from("x");
          throw new Error("boom");
        })(),
      )
      .catch(() => {});
    await storage.get("none").catch(() => {});
  }
  await waitFor("all files to be closed", async () => (await readdir("/proc/self/fd")).length <= before + 1);
});
