/** The table of options of `docs/plugins/barman.md`, written from the schema. */
import { z } from "holdfast";
import { config } from "./config.ts";

interface Property {
  readonly description?: string;
  readonly default?: unknown;
  readonly properties?: Readonly<Record<string, Property>>;
}

/** Markdown: each option with its default and its description. */
export function optionTable(): string {
  const schema = z.toJSONSchema(config, { io: "input" }) as Property;
  const rows = options("", schema);
  return `| Option | Default | Meaning |\n| --- | --- | --- |\n${rows.join("")}`;
}

function options(prefix: string, { properties = {} }: Property): string[] {
  return Object.entries(properties).flatMap(([key, property]) => {
    const name = `${prefix}${key}`;
    if (property.properties) return options(`${name}.`, property);
    const value = property.default === undefined ? "" : `\`${JSON.stringify(property.default)}\``;
    return [`| \`${name}\` | ${value} | ${property.description ?? ""} |\n`];
  });
}
