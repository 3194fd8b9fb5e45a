/** The tables of docs/configuration.md as the schema has them. */
import { z } from "zod";

type Schema = Readonly<Record<string, unknown>>;

/** A row for each key, those of mappings with fixed keys among them: `| key | meaning |`. */
export function keyTable(schema: z.ZodType): string {
  const rows = rowsOf(z.toJSONSchema(schema, { io: "input", unrepresentable: "any" }), "");
  return ["| Key | Meaning |", "| --- | --- |", ...rows].join("\n");
}

function rowsOf(schema: Schema, prefix: string): string[] {
  return Object.entries((schema.properties ?? {}) as Record<string, Schema>).flatMap(([key, property]) => {
    const name = `${prefix}${key}`;
    const { default: value, description = "" } = property;
    const meaning = value === undefined ? description : `${description} Default: \`${value}\`.`;
    const branches = [property, ...((property.anyOf ?? []) as Schema[])];
    return [`| \`${name}\` | ${meaning} |`, ...branches.flatMap((branch) => rowsOf(branch, `${name}.`))];
  });
}
