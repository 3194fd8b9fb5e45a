/** scripts/build changes node_modules: it must be its own. */
import { expect, test } from "bun:test";
import { cp, mkdir, readdir, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createFolder } from "../../harness/folders.ts";

const repository = new URL("../../../", import.meta.url).pathname;

/** A tree whose packages are a link to those of another; neither is a real one. @param installed Whether npm has nothing to do. */
async function linkedTree(folder: string, installed: boolean): Promise<string> {
  const [tree, packages] = [join(folder, "tree"), join(folder, "packages")];
  await mkdir(tree);
  await cp(join(repository, "scripts"), join(tree, "scripts"), { recursive: true });
  await writeFile(join(tree, "package.json"), JSON.stringify({ version: "1.0.0", devDependencies: { bun: "1.0.0" } }));
  await mkdir(join(packages, "cpu-features"), { recursive: true });
  await mkdir(join(packages, ".bin"));
  await writeFile(join(packages, ".bin", "bun"), "#!/bin/sh\necho 1.0.0\n", { mode: 0o755 });
  if (installed) await writeFile(join(packages, ".package-lock.json"), "{}");
  await symlink(packages, join(tree, "node_modules"));
  return tree;
}

test.each([
  [true, "building removes the native parts of ssh2"],
  [false, "npm would empty that"],
])(
  "the build refuses a node_modules that is a link, and takes nothing from it (installed: %j)",
  async (installed, why) => {
    await using folder = await createFolder("holdfast-build");
    const tree = await linkedTree(folder.path, installed);
    const before = await readdir(join(folder.path, "packages"));
    const child = Bun.spawn([join(tree, "scripts", "build")], { stdout: "ignore", stderr: "pipe" });
    const stderr = await new Response(child.stderr).text();
    expect([await child.exited, stderr]).toEqual([
      1,
      expect.stringContaining(`node_modules: it is a symbolic link to`),
    ]);
    expect(stderr).toContain(why);
    expect(await readdir(join(folder.path, "packages"))).toEqual(before);
  },
);
