/** Whether the kill test would notice: a loss in what is restored, and each kind of fault in the receive folder. */
import { expect, test } from "bun:test";
import { cp, open, readdir, readFile, rm, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { postgresVersions } from "../../harness/available.ts";
import { describeWith } from "../../harness/describe-with.ts";
import { createFolder } from "../../harness/folders.ts";
import { dataEnd } from "../../harness/wal-compare.ts";
import { type FolderCheck, folderFaults } from "./kill/folder-check.ts";
import { KillScene, segmentSizeBytes } from "./kill/scene.ts";

const version = postgresVersions()[0] ?? 0;

/** Zeros the end of what was received, as if it had never come. @returns The file. */
async function zeroTail(folder: string, bytes: number): Promise<string> {
  const name =
    (await readdir(folder))
      .filter((one) => one.endsWith(".partial"))
      .sort()
      .at(-1) ?? "";
  const path = join(folder, name);
  const end = dataEnd(await readFile(path));
  const file = await open(path, "r+");
  const first = Math.max(0, end - bytes);
  await file.write(new Uint8Array(end - first), 0, end - first, first);
  await file.close();
  return name;
}

/** With some commits in its last segment. */
async function startScene(): Promise<KillScene> {
  await using cleanup = new AsyncDisposableStack();
  const scene = cleanup.use(await KillScene.start(version));
  for (let segment = 0; segment < 3; segment++) {
    await scene.goOn();
    await scene.switchWal();
  }
  for (let times = 0; times < 5; times++) await scene.goOn();
  cleanup.move();
  return scene;
}

describeWith(["postgresql", "dist/holdfast"], "the check of the kill test", () => {
  test("notices that the last acknowledged rows are missing in what is restored", async () => {
    await using folder = await createFolder("holdfast-kill-check");
    await using scene = await startScene();
    const from = async () => {
      await cp(scene.received, folder.path, { recursive: true });
      await zeroTail(folder.path, 32_768);
      return folder.path;
    };
    await expect(scene.disaster({ killsAgent: true, from })).rejects.toThrow(/\d+ was acknowledged and is missing/);
  }, 120_000);

  test("notices what is missing, damaged or foreign in the receive folder", async () => {
    await using folder = await createFolder("holdfast-kill-check");
    await using scene = await startScene();
    const flushed = await scene.flushed();
    scene.signalAgent("SIGKILL");
    await scene.agentEnded();
    const original = scene.received;
    let copies = 0;
    const faultsOf = async (spoil: (copy: string) => Promise<unknown>) => {
      const received = join(folder.path, String(copies++));
      await cp(original, received, { recursive: true });
      await spoil(received);
      const check: FolderCheck = {
        received,
        dataFolders: [scene.dataFolder],
        segmentSizeBytes,
        flushed,
        compared: new Set(),
      };
      return (await folderFaults(check)).join("\n");
    };
    const complete = (await readdir(original)).filter((name) => name.length === 24).sort();
    const [, second = "", third = ""] = complete;
    const partial = (await readdir(original)).find((name) => name.endsWith(".partial")) ?? "";

    expect(await faultsOf(async () => {})).toBe("");
    expect(await faultsOf((copy) => zeroTail(copy, 32_768))).toContain(`${partial}: data up to`);
    expect(await faultsOf((copy) => truncate(join(copy, partial), segmentSizeBytes / 2))).toContain("bytes, expected");
    expect(await faultsOf((copy) => rm(join(copy, partial)))).toContain("neither it nor its partial is there");
    expect(await faultsOf((copy) => rm(join(copy, second)))).toContain(
      `${second}: missing, while later ones are there`,
    );
    expect(await faultsOf((copy) => cp(join(copy, second), join(copy, third)))).toContain(`${third}: differs at byte`);
    expect(await faultsOf((copy) => truncate(join(copy, third), segmentSizeBytes - 1))).toContain(`${third}: differs`);
    expect(await faultsOf((copy) => cp(join(copy, second), join(copy, `${second}.partial`)))).toContain(
      "both complete and partial",
    );
    expect(await faultsOf((copy) => writeFile(join(copy, "core"), ""))).toContain("core: neither a segment nor");
    const flip = async (copy: string) => {
      const file = await open(join(copy, partial), "r+");
      await file.write(Buffer.of(0x55), 0, 1, segmentSizeBytes - 1);
      await file.close();
    };
    expect(await faultsOf(flip)).toContain(`${partial}: differs from`);
  }, 120_000);
});
