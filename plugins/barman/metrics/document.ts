/** The metric tables of `docs/plugins/barman.md`, written from the definitions that are registered. */
import { exporterMetrics, predecessorMetrics } from "./compat.ts";
import type { MetricDefinition } from "./definition.ts";
import { extendedMetrics } from "./extended.ts";
import { ownMetrics } from "./own.ts";

/** Markdown: one table for each group of metrics. */
export function metricTables(): string {
  return [
    section("Basic metrics with `compat: exporter` (the default)", exporterMetrics),
    section("Basic metrics with `compat: predecessor`", predecessorMetrics),
    section("More metrics (`extended: true`, the default)", extendedMetrics),
    section("Metrics of the plugin's own work", ownMetrics),
  ].join("\n");
}

function section(title: string, definitions: readonly MetricDefinition[]): string {
  const rows = definitions.map(({ name, type, help, labels, topic, source, since }) => {
    const cells = [`\`${name}\``, type, labels.map((label) => `\`${label}\``).join(", "), help, topic, source, since];
    return `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |\n`;
  });
  const head = "| Metric | Type | Labels | Meaning | `collect` | Source | Since Barman |\n";
  return `### ${title}\n\n${head}| --- | --- | --- | --- | --- | --- | --- |\n${rows.join("")}`;
}
