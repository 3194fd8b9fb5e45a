import { beforeAll, expect, test } from "bun:test";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { createFolder } from "../../harness/folders.ts";
import { pluginSource } from "../../harness/host.ts";
import { waitFor } from "../../harness/wait.ts";
import { createAuthorFolder, requireAuthorKit } from "./plugin-command.ts";

beforeAll(requireAuthorKit, 120_000);

const plugin = pluginSource("mine", "return { collect: ({ run }) => run(['true']).then(() => {}) };");
const passing = `import { expect, test } from "bun:test";
import { RunError, replay, testPlugin, z } from "holdfast";
import { Hono } from "hono";
import { Gauge } from "prom-client";
import { z as same } from "zod";
import mine from "./mine.ts";

test("collects", async () => {
  const kit = await testPlugin(mine, { run: replay([{ command: ["true"] }]) });
  expect(await kit.collect()).toBe("");
});
test("has the modules of the agent", () => {
  expect(z).toBe(same);
  expect([Hono, Gauge, RunError].map((one) => typeof one)).toEqual(["function", "function", "function"]);
});
`;
const failing = `import { expect, test } from "bun:test";\ntest("fails", () => expect(1).toBe(2));\n`;

test("runs the tests of a plugin that no scaffold has made", async () => {
  await using place = await createAuthorFolder({ "mine.ts": plugin, "mine.test.ts": passing });
  const ran = await place.plugin("test");
  expect(ran.stderr).toContain(" 2 pass\n 0 fail\n");
  expect(ran.status).toBe(0);
});

test("runs what it is given: files, and all tests below folders", async () => {
  await using place = await createAuthorFolder({
    "a/mine.ts": plugin,
    "a/deep/one.test.ts": failing,
    "a/two_test.js": failing,
    "a/node_modules/x/x.test.ts": failing,
    "a/.hidden/x.test.ts": failing,
    "b.test.ts": failing,
    "c.test.ts": failing,
  });
  const ran = await place.plugin("test", "a", "./b.test.ts");
  expect(ran.stderr).toContain("Ran 3 tests across 3 files.");
  expect(ran.status).toBe(1);
});

test("runs the tests of a chosen name alone", async () => {
  await using place = await createAuthorFolder({ "mine.ts": plugin, "mine.test.ts": passing + failing.split("\n")[1] });
  expect((await place.plugin("test", "-t", "^collects$")).status).toBe(0);
  expect((await place.plugin("test")).status).toBe(1);
});

test.each([
  ["there are no tests", ["."], 'Cannot find tests in "."'],
  ["there is no such folder", ["nonesuch"], 'Cannot run the tests of "nonesuch"'],
])("says when %s", async (_, operands, message) => {
  await using place = await createAuthorFolder({ "mine.ts": plugin });
  const ran = await place.plugin("test", ...operands);
  expect(ran.status).toBe(2);
  expect(ran.stderr).toContain(message);
});

test("does not fetch what is not there", async () => {
  const source = `import "is-odd";\nimport { test } from "bun:test";\ntest("x", () => {});\n`;
  await using place = await createAuthorFolder({ "a.test.ts": source });
  const ran = await place.plugin("test");
  expect(ran.status).toBe(1);
  expect(ran.stderr).toMatch(/Cannot find (?:package|module) 'is-odd'/);
});

test("a test that starts this executable gets the executable, not Bun", async () => {
  const source = `import { expect, test } from "bun:test";
test("environment", () => expect(process.env.BUN_BE_BUN).toBeUndefined());\n`;
  await using place = await createAuthorFolder({ "a.test.ts": source });
  expect((await place.plugin("test")).status).toBe(0);
});

test("ends its tests with it when it is told to stop", async () => {
  const source = `import { test } from "bun:test";
test("waits", async () => { await Bun.write("pid", String(process.pid)); await new Promise(() => setInterval(() => {}, 1000)); }, 60_000);\n`;
  await using place = await createAuthorFolder({ "a.test.ts": source });
  const child = place.start("test");
  const pid = await waitFor(
    "the test",
    async () => Number(await Bun.file(join(place.path, "pid")).text()) || undefined,
  );
  child.kill("SIGTERM");
  expect(await child.exited).toBe(143);
  expect(() => process.kill(pid, 0)).toThrow("ESRCH");
});

test("leaves no folder behind", async () => {
  // Of its own: other tests run beside this one.
  await using temporary = await createFolder("holdfast-temporary");
  await using place = await createAuthorFolder({ "a.test.ts": failing }, { TMPDIR: temporary.path });
  expect((await place.plugin("test")).status).toBe(1);
  expect(await readdir(temporary.path)).toEqual([]);
});
