/** The tables of `docs/plugins/pgrwl.md`, written from the code. */
import { z } from "holdfast";
import { originalKeys } from "../common/wal-archive/original-keys.ts";
import {
  archiveMetricTable,
  type MetricDefinition,
  metricTable,
  serveMetricTable,
  verifyMetricTable,
} from "./metric-table.ts";
import { ownKeys } from "./settings.ts";

interface Property {
  readonly description?: string;
  readonly default?: unknown;
  readonly properties?: Readonly<Record<string, Property>>;
}

/** Markdown: each key with its default and its description. */
export function settingsTable(): string {
  const schema = z.toJSONSchema(ownKeys, { io: "input", unrepresentable: "any" }) as Property;
  return `| Key | Default | |\n| --- | --- | --- |\n${rowsOf("", schema).join("")}`;
}

function rowsOf(prefix: string, { properties = {} }: Property): string[] {
  return Object.entries(properties).flatMap(([key, property]) => {
    if (property.properties) return rowsOf(`${prefix}${key}.`, property);
    const value = property.default === undefined ? "" : `\`${property.default}\``;
    return [`| \`${prefix}${key}\` | ${value} | ${property.description ?? ""} |\n`];
  });
}

/** Markdown: the original's keys by what becomes of them. */
export function originalKeysTable(): string {
  const rows = Map.groupBy(originalKeys, ({ here }) => here)
    .entries()
    .map(([here, keys]) => `| ${keys.map(({ key }) => `\`${key}\``).join(", ")} | ${here} |\n`);
  return `| Key of the original | Here |\n| --- | --- |\n${[...rows].join("")}`;
}

/** Markdown: each metric with its type and its help. */
export function metricsTable(): string {
  const rows = (
    [...metricTable, ...archiveMetricTable, ...verifyMetricTable, ...serveMetricTable] as readonly MetricDefinition[]
  ).map(({ name, type, labels, help }) => {
    const sets = labels.length > 0 ? `{${labels.join(",")}}` : "";
    return `| \`${name}${sets}\` | ${type} | ${help} |\n`;
  });
  return `| Metric | Type | |\n| --- | --- | --- |\n${rows.join("")}`;
}
