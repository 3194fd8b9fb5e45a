import { expect, test } from "bun:test";
import { InstanceMetrics } from "../../../../agent/sdk/metrics.ts";
import { metricTable, profiles } from "../../../../plugins/walg/metric-table.ts";
import { Series } from "../../../../plugins/walg/series.ts";

const documentation = Bun.file(new URL("../../../../docs/plugins/walg.md", import.meta.url));

test("docs/plugins/walg.md has a row for every metric, and none besides", async () => {
  const rows = metricTable.map(({ name, type, labels, profiles, help }) => {
    const sets = labels.length > 0 ? `{${labels.join(",")}}` : "";
    const where = ["both", "readme", "release"]
      .filter((profile) => (profiles as readonly string[]).includes(profile))
      .join(", ");
    return `| \`${name}${sets}\` | ${type} | ${where} | ${help} |`;
  });
  const documented = (await documentation.text()).split("\n").filter((line) => line.startsWith("| `walg_"));
  expect(documented).toEqual(rows);
});

test.each([...profiles])("every metric of the profile %s can be registered once", (profile) => {
  const metrics = new InstanceMetrics();
  new Series(metrics, profile);
  const names = metrics.all().map((metric) => (metric as unknown as { name: string }).name);
  expect(new Set(names).size).toBe(names.length);
  expect(names).not.toContain("walg_uploader_uploads_total");
});

test("names follow the conventions, as far as the original exporters do", () => {
  for (const { name, type } of metricTable) {
    expect(name.endsWith("_total")).toBe(type === "counter");
    // Wal-g's own statistics have these names.
    expect(name).not.toMatch(/^walg_(?:uploader|s3_response)_/);
  }
});
