import { beforeAll, expect, test } from "bun:test";
import { chmod, mkdir, readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { isRoot } from "../../harness/users.ts";
import { createAuthorFolder, requireAuthorKit } from "./plugin-command.ts";

const tsc = new URL("../../../node_modules/.bin/tsc", import.meta.url).pathname;

beforeAll(requireAuthorKit, 120_000);

test("writes a plugin whose types are right under strict and whose test passes", async () => {
  await using place = await createAuthorFolder();
  const written = await place.plugin("new", "My-spool", "plugins");
  expect(written).toMatchObject({ status: 0, stderr: "" });
  expect(written.stdout).toContain("holdfast plugin test plugins/My-spool\n");
  expect(written.stdout).toContain(`plugin_dir: ${place.path}/plugins\n`);
  const folder = join(place.path, "plugins/My-spool");
  expect((await readdir(folder)).sort()).toEqual([
    ".holdfast",
    "index.test.ts",
    "index.ts",
    "recordings",
    "tsconfig.json",
  ]);
  const types = Bun.spawn([tsc, "--project", folder], { stdout: "pipe" });
  expect(await types.stdout.text()).toBe("");
  expect((await place.plugin("test", "plugins/My-spool")).status).toBe(0);
  expect((await place.plugin("list", "--plugin-dir=plugins")).stdout).toContain("My-spool");
}, 120_000);

test("gives an editor the types of every module that a plugin imports", async () => {
  await using place = await createAuthorFolder();
  await place.plugin("new", "spool");
  const imports = `import { type CollectContext, RunError, z } from "holdfast";
    import { SQL } from "bun";
    import { test } from "bun:test";
    import { readFile } from "node:fs/promises";
    import { Hono } from "hono";
    import { Gauge } from "prom-client";
    import { z as same } from "zod";
    export const wrong: readonly number[] = [same.string().parse("")];
    export const right: typeof z = same;
    export const app: Hono = new Hono();
    export const text: Promise<string> = readFile("x", "utf8");
    export type { CollectContext };
    export { Gauge, RunError, SQL, test };\n`;
  await place.write({ "spool/imports.ts": imports });
  const types = Bun.spawn([tsc, "--project", join(place.path, "spool"), "--pretty", "false"], { stdout: "pipe" });
  const errors = (await types.stdout.text()).trimEnd().split("\n");
  expect(errors).toHaveLength(1);
  expect(errors[0]).toContain("'string' is not assignable to type 'number'");
}, 120_000);

test("lets Bun itself run the test, without the executable", async () => {
  await using place = await createAuthorFolder();
  await place.plugin("new", "spool");
  const child = Bun.spawn([process.execPath, "test"], { cwd: join(place.path, "spool"), stderr: "pipe" });
  expect(await child.stderr.text()).toContain(" 3 pass\n 0 fail\n");
});

test.each([
  ["is built in", "barman", "the executable has a plugin of that name"],
  ["begins with a digit", "1st", "expected a letter"],
  ["is a path", "../x", "expected a letter"],
  ["is empty", "", "expected a letter"],
  ["would have metrics of the agent", "process-list", "the agent's own"],
])("refuses a name that %s", async (_, name, why) => {
  await using place = await createAuthorFolder();
  const refused = await place.plugin("new", name);
  expect(refused).toMatchObject({ status: 2, stdout: "" });
  expect(refused.stderr).toContain(`Cannot name a plugin ${JSON.stringify(name)}: `);
  expect(refused.stderr).toContain(why);
  expect(await readdir(place.path)).toEqual([]);
});

test.each(["spool.ts", "spool.js", "spool/index.ts", "spool/notes.txt"])(
  "overwrites nothing where there is %s",
  async (file) => {
    await using place = await createAuthorFolder({ [`plugins/${file}`]: "mine" });
    const refused = await place.plugin("new", "spool", "plugins");
    expect(refused.status).toBe(1);
    expect(refused.stderr).toContain("is there already");
    expect(await readdir(join(place.path, "plugins"), { recursive: true })).not.toContain("spool/tsconfig.json");
    expect(await Bun.file(join(place.path, "plugins", file)).text()).toBe("mine");
  },
);

test("fills an empty folder, with the rights that the umask gives", async () => {
  await using place = await createAuthorFolder();
  await mkdir(join(place.path, "spool"), { mode: 0o700 });
  expect((await place.plugin("new", "spool")).status).toBe(0);
  const umask = process.umask();
  expect((await stat(join(place.path, "spool"))).mode & 0o777).toBe(0o777 & ~umask);
});

test.skipIf(isRoot)("leaves nothing behind in a folder that it may not write to", async () => {
  await using place = await createAuthorFolder();
  await mkdir(join(place.path, "plugins"));
  await chmod(join(place.path, "plugins"), 0o555);
  const refused = await place.plugin("new", "spool", "plugins");
  expect(refused.status).toBe(1);
  expect(refused.stderr).toMatch(/^holdfast: Cannot write .*\/plugins\/spool: EACCES/);
});

test("says why it cannot write below a file", async () => {
  await using place = await createAuthorFolder({ plugins: "a file" });
  const refused = await place.plugin("new", "spool", "plugins");
  expect(refused.status).toBe(1);
  expect(refused.stderr).toContain(`Cannot write ${place.path}/plugins/spool: `);
});

test("--types writes the types anew and leaves the plugin alone", async () => {
  await using place = await createAuthorFolder({
    "spool/index.ts": "mine",
    "spool/.holdfast/old.d.ts": "of an earlier version",
  });
  expect((await place.plugin("new", "--types", "spool")).status).toBe(0);
  expect((await readdir(join(place.path, "spool"))).sort()).toEqual([".holdfast", "index.ts"]);
  const types = await readdir(join(place.path, "spool/.holdfast"));
  expect(types).toContain("holdfast.d.ts");
  expect(types).not.toContain("old.d.ts");
  expect(await Bun.file(join(place.path, "spool/index.ts")).text()).toBe("mine");
  const missing = await place.plugin("new", "--types", "other");
  expect(missing).toMatchObject({ status: 1 });
  expect(missing.stderr).toContain("Cannot write types beside a plugin: expected one at ");
});
