import { expect, test } from "bun:test";
import { chmod, mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { claimDataFolder } from "../../../agent/commands/snapshot/data-folder.ts";
import { createFolder } from "../../harness/folders.ts";
import { isRoot } from "../../harness/users.ts";

/** Takes the lock as a Prometheus does, by flock; the folder is refused as long as it is held. */
async function expectRefusedWhileHeld(folder: string): Promise<void> {
  expect(await claimDataFolder(folder)).toBe(false);
  const holder = Bun.spawn(["flock", "-x", join(folder, "lock"), "sh", "-c", "echo locked; read -r line"], {
    stdin: "pipe",
    stdout: "pipe",
  });
  await holder.stdout.getReader().read();
  await expect(claimDataFolder(folder)).rejects.toThrow("a Prometheus runs on it, stop that first");
  holder.stdin.end();
  await holder.exited;
}

test("a folder is refused while another process has its lock", async () => {
  await using folder = await createFolder("holdfast-restore");
  await writeFile(join(folder.path, "lock"), "");
  await expectRefusedWhileHeld(folder.path);
  expect(await claimDataFolder(folder.path)).toBe(false);
});

test.skipIf(isRoot)("a folder is judged by a lock file that only another user may write to", async () => {
  await using folder = await createFolder("holdfast-restore");
  const lock = join(folder.path, "lock");
  await writeFile(lock, "");
  await chmod(lock, 0o444);
  await expectRefusedWhileHeld(folder.path);
  await chmod(lock, 0);
  await expect(claimDataFolder(folder.path)).rejects.toThrow(
    `cannot open ${lock} to see whether a Prometheus runs on it (EACCES)`,
  );
});

test("what a killed restore has left in a folder is told by name", async () => {
  await using folder = await createFolder("holdfast-restore");
  await mkdir(join(folder.path, ".restore-1"));
  await expect(claimDataFolder(folder.path)).rejects.toThrow(
    "another restore is at work in it, or was killed; if none is, remove .restore-1",
  );
});

test("what is ours in a folder is no obstacle, anything else is", async () => {
  await using folder = await createFolder("holdfast-restore");
  await mkdir(join(folder.path, ".restore-1"));
  expect(await claimDataFolder(folder.path, ".restore-1")).toBe(false);
  await mkdir(join(folder.path, "wal"));
  await expect(claimDataFolder(folder.path, ".restore-1")).rejects.toThrow("it is not empty (wal)");
});
