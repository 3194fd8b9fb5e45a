import { expect, test } from "bun:test";
import { parse } from "yaml";
import { failureReasons } from "../../../../plugins/common/wal-archive/errors.ts";
import { metricsTable, originalKeysTable, settingsTable } from "../../../../plugins/pgrwl/document.ts";
import { archiveMetricTable, metricTable } from "../../../../plugins/pgrwl/metric-table.ts";
import { disconnectReasons, gapReasons, states } from "../../../../plugins/pgrwl/receiver/telemetry.ts";
import { settings } from "../../../../plugins/pgrwl/settings.ts";

const page = Bun.file(new URL("../../../../docs/plugins/pgrwl.md", import.meta.url));

/** With UPDATE_DOCS=1 the page is written anew; else it must be what the code says. */
test.each([
  ["settings", settingsTable],
  ["keys of the original", originalKeysTable],
  ["metrics", metricsTable],
])("docs/plugins/pgrwl.md has the %s that the code has", async (name, write) => {
  const text = await page.text();
  const [begin, end] = [`<!-- ${name}: begin, from the code -->\n\n`, `\n<!-- ${name}: end -->`];
  const [from, to] = [text.indexOf(begin) + begin.length, text.indexOf(end)];
  expect(to).toBeGreaterThan(from - 1);
  if (Bun.env.UPDATE_DOCS) await page.write(text.slice(0, from) + write() + text.slice(to));
  else expect(text.slice(from, to)).toBe(write());
});

test.each([
  ["states", states],
  ["reasons of a gap", gapReasons],
  ["reasons of a disconnect", disconnectReasons],
  ["reasons of the archive", failureReasons],
])("docs/plugins/pgrwl.md has a row for each of the %s", async (_, values) => {
  const text = await page.text();
  for (const value of values) expect(text).toContain(`\n| \`${value}\` | `);
});

test("names follow the conventions, and no label measures", () => {
  const tables = [...metricTable, ...archiveMetricTable];
  const names = tables.map(({ name }) => name);
  expect(new Set(names).size).toBe(names.length);
  for (const { name, type, labels, help } of tables) {
    expect(name.endsWith("_total")).toBe(type === "counter");
    expect(name).not.toMatch(/_age_|_timestamp$/);
    expect(help).toEndWith(".");
    for (const label of labels) expect(["state", "reason", "result", "system_identifier", "version"]).toContain(label);
  }
});

/** What the schema says of every instance of an example; references stand as they are written. */
function problemsOf(yaml: string): unknown[] {
  const { plugins } = parse(yaml) as { plugins: Record<string, { config: object }> };
  return Object.values(plugins).flatMap(({ config }) => settings.safeParse(config).error?.issues ?? []);
}

test("the examples of docs/plugins/pgrwl.md are right", async () => {
  const examples = [...(await page.text()).matchAll(/```yaml\n(plugins:.*?)```/gs)].map(([, yaml]) => yaml ?? "");
  expect(examples.length).toBe(3);
  expect(examples.flatMap(problemsOf)).toEqual([]);
});

test("config/pgrwl.yml is right as it is, and with every commented key put in", async () => {
  const example = await Bun.file(new URL("../../../../config/pgrwl.yml", import.meta.url)).text();
  expect(problemsOf(example)).toEqual([]);
  const whole = example.replace(/^( +)# ([a-z_]+: .*)$/gm, "$1$2");
  expect(whole.split("# ").length).toBeLessThan(example.split("# ").length - 5);
  expect(problemsOf(whole)).toEqual([]);
});
