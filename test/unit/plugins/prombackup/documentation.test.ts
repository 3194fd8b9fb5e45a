import { expect, test } from "bun:test";
import { metricTable } from "../../../../plugins/prombackup/metric-table.ts";
import { settings } from "../../../../plugins/prombackup/settings.ts";

const page = Bun.file(new URL("../../../../docs/plugins/prombackup.md", import.meta.url));
const head = "| metric | type | |\n| --- | --- | --- |\n";

test("docs/plugins/prombackup.md has a row for every metric, and none besides; UPDATE_DOCS=1 writes them", async () => {
  const rows = metricTable.map(({ name, type, labels, help }) => {
    const sets = labels.length > 0 ? `{${labels.join(",")}}` : "";
    return `| \`${name}${sets}\` | ${type} | ${help} |\n`;
  });
  const text = await page.text();
  const from = text.indexOf(head) + head.length;
  const to = text.indexOf("\nAlert when", from);
  if (process.env.UPDATE_DOCS) await page.write(text.slice(0, from) + rows.join("") + text.slice(to));
  else expect(text.slice(from, to)).toBe(rows.join(""));
});

test("docs/plugins/prombackup.md names every option", async () => {
  const text = await page.text();
  const shape = settings.shape;
  for (const name of Object.keys(shape)) expect(text).toContain(name);
  for (const name of Object.keys(shape.prometheus.unwrap().shape)) expect(text).toContain(name);
  for (const name of Object.keys(shape.backup.unwrap().shape)) expect(text).toContain(name);
  for (const name of Object.keys(shape.autoprune.unwrap().shape)) expect(text).toContain(name);
});

test("names follow the conventions", () => {
  for (const { name, type } of metricTable) {
    expect(name.endsWith("_total")).toBe(type === "counter");
    expect(name).toStartWith("prombackup_server_");
  }
});
