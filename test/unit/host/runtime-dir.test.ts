/** Where the sockets of instances' routes are. */
import { afterEach, expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { stat } from "node:fs/promises";
import { dirname } from "node:path";
import { withRuntimeDir } from "../../../agent/host/runtime-dir.ts";
import { createFolder } from "../../harness/folders.ts";

const before = { ...process.env };
afterEach(() => {
  for (const name of ["RUNTIME_DIRECTORY", "TMPDIR"]) {
    if (before[name] === undefined) delete process.env[name];
    else process.env[name] = before[name];
  }
});

test("a private folder in the service manager's, gone afterwards", async () => {
  await using folder = await createFolder("holdfast-runtime");
  process.env.RUNTIME_DIRECTORY = `${folder.path}:/other`;
  const path = await withRuntimeDir(async (given) => {
    expect(dirname(given)).toBe(folder.path);
    expect((await stat(given)).mode & 0o777).toBe(0o700);
    return given;
  });
  expect(existsSync(path)).toBeFalse();
});

test("where there is no folder for temporary files, as in a container with a read-only root, the next place will do", async () => {
  await using folder = await createFolder("holdfast-runtime");
  for (const name of ["RUNTIME_DIRECTORY", "TMPDIR"]) delete process.env[name];
  const use = async (given: string) => given;
  expect(dirname(await withRuntimeDir(use, ["/proc", folder.path]))).toBe(folder.path);
  await expect(withRuntimeDir(use, ["/proc", "/nonesuch"])).rejects.toThrow(
    /^Cannot make a folder for sockets in \/proc: .*, in \/nonesuch: no such file, set TMPDIR to a folder/,
  );
  // What somebody has chosen is not passed over in silence.
  process.env.TMPDIR = "/nonesuch";
  await expect(withRuntimeDir(use, [folder.path])).rejects.toThrow(/ in \/nonesuch: no such file, set TMPDIR /);
});
