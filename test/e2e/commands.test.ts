/** The command line of the compiled executable: what it prints, and its exit statuses. */
import { expect, test } from "bun:test";
import { join } from "node:path";
import { agentExecutable, runOnce } from "../harness/agent.ts";
import { createFolder } from "../harness/folders.ts";
import { pluginFiles } from "./plugins.ts";

const holdfast = (args: readonly string[], cwd = "/", env: Record<string, string> = {}) => runOnce(args, { cwd, env });

test.each([
  [["--version"], /^holdfast \d+\.\d+\.\d+ \(revision \S+, Bun \d+\.\d+\.\d+, linux\/\w+\)\n$/],
  [["version"], /^holdfast \d/],
  [["--help"], /Commands:\n {2}run /],
  [["-h"], /Commands:/],
  [["help"], /Commands:/],
  [["run", "--help"], /--config\.file=FILE/],
  [["check", "-h"], /^Reads the configuration/],
  [["plugin", "new", "--help"], /Usage: holdfast plugin new/],
] as const)("%j prints on stdout and succeeds", async (args, expected) => {
  const { status, stdout, stderr } = await holdfast(args);
  expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
  expect(stdout).toMatch(expected);
});

test.each([
  [[], /Usage: holdfast COMMAND/],
  [["run", "--confg.file=x"], /Unknown flag --confg\.file, did you mean --config\.file\?/],
  [["run", "--config.file"], /--config\.file needs a value/],
  [["check", "--all"], /Unknown flag --all/],
  [["run", "surplus"], /Expected: holdfast run/],
  [["collect"], /Expected: holdfast collect NAME, or --all/],
  [["--config.file=/nonexistent/holdfast.yml"], /\/nonexistent\/holdfast\.yml/],
  [["run", "--config.file=/dev/null", "--log.level=loud"], /loud/],
] as const)("%j is refused with status 2 and the way out", async (args, expected) => {
  const { status, stdout, stderr } = await holdfast(args);
  expect({ status, stdout }).toEqual({ status: 2, stdout: "" });
  expect(stderr).toMatch(expected);
});

// PostgreSQL takes what is below 126 for the end of the WAL.
test.each([
  [["chekc"], /Unknown command "chekc", did you mean "check"\?/],
  [["restore-comand", "000000010000000000000003", "x"], /did you mean "restore-command"\?/],
  [["restore_command", "00000002.history", "x"], /did you mean "restore-command"\?/],
  [["wal", "000000010000000000000003", "x"], /Unknown command "wal", did you mean "wal verify"\?/],
  [["plugin", "nwe"], /did you mean "plugin list" or "plugin new" or "plugin test"\?/],
  [["000000010000000000000003", "x"], /Unknown command "000000010000000000000003"; see/],
  [["--config.file=/dev/null", "000000010000000000000003", "x"], /Expected: holdfast run/],
  [["check", "--al", "000000010000000000000003", "x"], /Unknown flag --al/],
] as const)("%j is no command, as a shell says it: with status 127", async (args, expected) => {
  const { status, stdout, stderr } = await holdfast(args);
  expect({ status, stdout }).toEqual({ status: 127, stdout: "" });
  expect(stderr).toMatch(expected);
});

test("check prints every problem at once, those that plugins find too, by file, line and column", async () => {
  await using folder = await createFolder("holdfast-e2e");
  for (const [name, text] of Object.entries(pluginFiles)) await Bun.write(join(folder.path, name), text);
  await Bun.write(
    join(folder.path, "holdfast.yml"),
    `listne: :9847
plugin_dir: plugins
plugins:
  tick:
    interval: 30x
    config: { valeu: 1 }
  a: { plugin: tick, labels: { k: v } }
  b: { plugin: tick, labels: { k: v }, config: { value: "secret-\${SECRET_OF_TEST}" } }
  c: { plugin: tik }
`,
  );
  const child = Bun.spawn([agentExecutable, "check", "-c", "holdfast.yml"], {
    cwd: folder.path,
    env: { ...process.env, SECRET_OF_TEST: "hunter2hunter2" },
    stderr: "pipe",
  });
  const stderr = await new Response(child.stderr).text();
  expect(await child.exited).toBe(2);
  const places = [
    [/holdfast\.yml:1:1: .*listne.*did you mean "listen"\?/],
    [/holdfast\.yml:5:15: Cannot read plugins\.tick\.interval "30x": expected a duration such as/],
    [/holdfast\.yml:6:15: .*valeu.*did you mean "value"\?/],
    [/holdfast\.yml:8:\d+: .*labels/],
    [/holdfast\.yml:8:\d+: .*plugins\.b\.config\.value/],
    [/holdfast\.yml:9:\d+: Cannot find plugin "tik".*did you mean "tick"\?/],
  ];
  for (const [expected] of places) expect(stderr).toMatch(expected as RegExp);
  expect(stderr).not.toContain("hunter2");
});

test("check accepts a right configuration", async () => {
  await using folder = await createFolder("holdfast-e2e");
  await Bun.write(join(folder.path, "holdfast.yml"), "plugins: { barman: {} }\n");
  const { status, stdout } = await holdfast(["check", "--config.file=holdfast.yml"], folder.path);
  expect({ status, stdout }).toEqual({ status: 0, stdout: `${folder.path}/holdfast.yml: right, 1 instance\n` });
});

test("schema prints a JSON Schema that knows built-in and third-party plugins", async () => {
  await using folder = await createFolder("holdfast-e2e");
  await Bun.write(join(folder.path, "plugins/tick.ts"), pluginFiles["plugins/tick.ts"]);
  const { status, stdout } = await holdfast(["schema", "--plugin-dir=plugins"], folder.path);
  expect(status).toBe(0);
  const schema = JSON.stringify(JSON.parse(stdout));
  expect(schema).toContain("https://json-schema.org/draft/2020-12/schema");
  for (const word of ["plugin_dir", "stale_after", "checks_cache_ttl", "A plugin of a test"])
    expect(schema).toContain(word);
});

test("check and run tell everything that is wrong, web config files and plugin_dir too, at their places", async () => {
  await using folder = await createFolder("holdfast-commands");
  await Bun.write(
    join(folder.path, "holdfast.yml"),
    "plugin_dir: ${DIR:-nonesuch}\nweb_config: web.yml\nplugins:\n  barman:\n    config: { pth: x }\n",
  );
  await Bun.write(join(folder.path, "web.yml"), "basic_auth_user:\n  me: x\ntls: {}\n");
  for (const command of ["check", "run"]) {
    const { status, stderr } = await holdfast([command, "--config.file=holdfast.yml"], folder.path);
    expect(status).toBe(2);
    expect(stderr.replaceAll(`${folder.path}/`, "").split("\n")).toEqual([
      expect.stringMatching(/^web\.yml:1:1: .*unknown key "basic_auth_user", did you mean "basic_auth_users"\?$/),
      expect.stringMatching(/^web\.yml:3:1: .*unknown key "tls"/),
      expect.stringMatching(
        /^holdfast\.yml:1:13: Cannot read plugin_dir \$\{DIR\}: .*: no such file, expected a folder/,
      ),
      expect.stringMatching(/^holdfast\.yml:5:15: Cannot read plugins\.barman\.config: unknown key "pth"/),
      "holdfast: 4 problems in the configuration",
      "",
    ]);
  }
});

test("a folder for sockets that cannot be made is told with its remedy", async () => {
  await using folder = await createFolder("holdfast-commands");
  await Bun.write(join(folder.path, "holdfast.yml"), "listen: 127.0.0.1:0\nplugins: {}\n");
  const { status, stderr } = await holdfast(["run", "-c", "holdfast.yml"], folder.path, { TMPDIR: "/nonesuch" });
  expect(stderr).toBe(
    "holdfast: Cannot make a folder for sockets in /nonesuch: no such file, set TMPDIR to a folder that this user may write to\n",
  );
  expect(status).toBe(1);
});

test("output longer than a pipe is whole, however slow its reader", async () => {
  await using folder = await createFolder("holdfast-commands");
  const keys = `Object.fromEntries(Array.from({ length: 5_000 }, (_, i) => ["key" + i, z.string().optional()]))`;
  await Bun.write(
    join(folder.path, "plugins/wide.ts"),
    `import { definePlugin, z } from "holdfast";
     export default definePlugin({ name: "wide", description: "Wide", config: z.strictObject(${keys}), setup: () => ({}) });`,
  );
  const command = `${agentExecutable} schema --plugin-dir=plugins | (sleep 0.5; cat)`;
  const { stdout } = Bun.spawnSync(["sh", "-c", command], { cwd: folder.path });
  expect(stdout.length).toBeGreaterThan(200_000);
  expect(JSON.parse(stdout.toString())).toHaveProperty("properties");
});

test("config/holdfast.schema.json is what schema prints; UPDATE_DOCS=1 writes it anew", async () => {
  const file = new URL("../../config/holdfast.schema.json", import.meta.url).pathname;
  const { stdout } = await holdfast(["schema"]);
  if (process.env.UPDATE_DOCS) await Bun.write(file, stdout);
  expect(JSON.parse(await Bun.file(file).text())).toEqual(JSON.parse(stdout));
});
