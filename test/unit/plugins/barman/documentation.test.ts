import { expect, test } from "bun:test";
import { config } from "../../../../plugins/barman/config.ts";
import { metricTables } from "../../../../plugins/barman/metrics/document.ts";
import { wantedMetrics } from "../../../../plugins/barman/metrics/series.ts";
import { optionTable } from "../../../../plugins/barman/options-document.ts";

const page = Bun.file(new URL("../../../../docs/plugins/barman.md", import.meta.url));

/** With UPDATE_DOCS=1 the page is written anew; else it must be what the code says. */
test.each([
  ["metrics", metricTables],
  ["options", optionTable],
])("docs/plugins/barman.md has the %s that the code has", async (name, write) => {
  const text = await page.text();
  const [begin, end] = [`<!-- ${name}: begin, from the code -->\n\n`, `\n<!-- ${name}: end -->`];
  const [from, to] = [text.indexOf(begin) + begin.length, text.indexOf(end)];
  expect(to).toBeGreaterThan(from - 1);
  if (Bun.env.UPDATE_DOCS) await page.write(text.slice(0, from) + write() + text.slice(to));
  else expect(text.slice(from, to)).toBe(write());
});

test("every metric has its labels in alphabetical order, a help text, and one definition in each configuration", () => {
  for (const compat of ["exporter", "predecessor"] as const) {
    const definitions = wantedMetrics({
      ...config.parse({ compat, collect: ["backups", "checks", "servers", "wal", "replication"] }),
    });
    expect(new Set(definitions.map(({ name }) => name)).size).toBe(definitions.length);
    for (const { labels, help, type, name, topic } of definitions) {
      expect([...labels].sort()).toEqual([...labels]);
      expect(help).not.toBe("");
      if (topic !== "always" && type === "counter") expect(name).toEndWith("_total");
    }
  }
});
