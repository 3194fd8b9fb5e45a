import { expect, test } from "bun:test";
import { metricsTable, originalKeysTable, settingsTable } from "../../../../plugins/pgrwl/document.ts";
import { metricTable } from "../../../../plugins/pgrwl/metric-table.ts";
import { disconnectReasons, gapReasons, states } from "../../../../plugins/pgrwl/receiver/telemetry.ts";

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
])("docs/plugins/pgrwl.md has a row for each of the %s", async (_, values) => {
  const text = await page.text();
  for (const value of values) expect(text).toContain(`\n| \`${value}\` | `);
});

test("names follow the conventions, and no label measures", () => {
  const names = metricTable.map(({ name }) => name);
  expect(new Set(names).size).toBe(names.length);
  for (const { name, type, labels, help } of metricTable) {
    expect(name.endsWith("_total")).toBe(type === "counter");
    expect(name).not.toMatch(/_age_|_timestamp$/);
    expect(help).toEndWith(".");
    for (const label of labels) expect(["state", "reason", "system_identifier", "version"]).toContain(label);
  }
});
