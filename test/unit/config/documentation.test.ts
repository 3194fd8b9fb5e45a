import { expect, test } from "bun:test";
import { instanceSchema, settingsSchema } from "../../../agent/config/schema.ts";
import { configOf } from "./files.ts";
import { keyTable } from "./key-table.ts";

const read = (path: string) => Bun.file(new URL(`../../../${path}`, import.meta.url)).text();

test.each([
  ["the main file", settingsSchema],
  ["an instance", instanceSchema],
])("docs/configuration.md has every key of %s as the schema has it", async (_, schema) => {
  expect(await read("docs/configuration.md")).toContain(`\n\n${keyTable(schema)}\n\n`);
});

test("the examples of docs/configuration.md load", async () => {
  const document = await read("docs/configuration.md");
  const [main = "", archive = ""] = [...document.matchAll(/```yaml\n(.*?)```/gs)].map(([, yaml]) => yaml ?? "");
  const { instances } = await configOf({ "holdfast.yml": main, "plugins.d/archive.yml": archive });
  expect(instances.map(({ name, config }) => [name, config])).toEqual([
    ["barman", {}],
    ["other", { path: "/usr/bin/barman" }],
    ["archive", {}],
  ]);
});

test("config/holdfast.yml loads as it is, and with every commented key put in", async () => {
  const example = await read("config/holdfast.yml");
  expect((await configOf(example)).instances.map(({ name }) => name)).toEqual(["barman"]);
  const whole = await configOf(example.replace(/^( *)# ( *[a-z_]+:( |$))/gm, "$1$2"));
  expect(whole.pluginDir).toEndWith("/plugins");
  expect(whole).toMatchObject({ log: { level: "info", format: "logfmt" }, enableReload: false, maxRequests: 40 });
  expect(whole.instances[0]).toMatchObject({
    staleAfterSeconds: 300,
    labels: { cluster: "main" },
    listen: { host: "", port: 9780 },
    config: { path: "/usr/bin/barman" },
  });
});
