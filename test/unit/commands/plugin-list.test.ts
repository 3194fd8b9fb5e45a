import { expect, test } from "bun:test";
import { pluginSource } from "../../harness/host.ts";
import { createAuthorFolder } from "./plugin-command.ts";

const good = pluginSource("good", "return {};");

test("lists the plugins in the executable and those of the plugin_dir", async () => {
  await using place = await createAuthorFolder({ "plugins/good.ts": good, "plugins/good.test.ts": "throw 1" });
  const listed = await place.plugin("list", "--plugin-dir=plugins");
  expect(listed).toMatchObject({ status: 0, stderr: "" });
  const rows = listed.stdout.split("\n");
  expect(rows[0]).toMatch(/^NAME +VERSION +SOURCE +DESCRIPTION$/);
  expect(rows.some((row) => /^barman +\S+ +built-in +\S/.test(row))).toBe(true);
  expect(rows).toContainEqual(expect.stringMatching(/^good +- +\/\S+\/plugins\/good\.ts +A plugin of a test$/));
  expect(listed.stdout).not.toContain("good.test");
});

test("takes the plugin_dir of a configuration", async () => {
  const config = "plugin_dir: mine\nplugins: { barman: }\n";
  await using place = await createAuthorFolder({ "mine/good/index.ts": good, "etc.yml": config });
  const listed = await place.plugin("list", "--config.file=etc.yml", "--json");
  expect(listed.status).toBe(0);
  expect(JSON.parse(listed.stdout)).toContainEqual({
    name: "good",
    source: `${place.path}/mine/good/index.ts`,
    description: "A plugin of a test",
  });
});

test.each([
  ["throws", "throw new Error('no import');", "no import"],
  ["has another name", pluginSource("other", "return {};"), 'calls itself "other"'],
  ["exits", "process.exit(3);", "exit status 3"],
])("lists a plugin that %s with its error, and the others", async (_, source, error) => {
  await using place = await createAuthorFolder({ "plugins/good.ts": good, "plugins/bad.ts": source });
  const listed = await place.plugin("list", "--plugin-dir=plugins");
  expect(listed.status).toBe(1);
  expect(listed.stdout).toMatch(/^bad .* Cannot be loaded: /m);
  expect(listed.stdout).toContain(error);
  expect(listed.stdout).toMatch(/^good .* A plugin of a test$/m);
});

test("lists a name that two files claim with the remedy", async () => {
  await using place = await createAuthorFolder({ "plugins/good.ts": good, "plugins/good/index.ts": good });
  const listed = await place.plugin("list", "--plugin-dir=plugins");
  expect(listed.status).toBe(1);
  expect(listed.stdout).toMatch(/^good .*is in .*good\.ts and in .*good\/index\.ts|good\/index\.ts and in .*good\.ts/m);
});

test("says what is wrong with the configuration or the folder", async () => {
  await using place = await createAuthorFolder({ "etc.yml": "plugin_dri: x\n" });
  const wrong = await place.plugin("list", "--config.file=etc.yml");
  expect(wrong.status).toBe(2);
  expect(wrong.stderr).toContain("etc.yml:1:1: ");
  const missing = await place.plugin("list", "--plugin-dir=nonesuch");
  expect(missing.status).toBe(1);
  expect(missing.stderr).toContain("nonesuch");
});
