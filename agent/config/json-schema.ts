/** The JSON Schema of the whole YAML, for editors: completion, descriptions, and errors while typing. */
import { z } from "zod";
import { instanceSchema, settingsSchema } from "./schema.ts";

/** A JSON Schema, draft 2020-12. */
export type JsonSchema = Record<string, unknown>;

/** What the schema tells of a plugin; `schema` is that of its `config:`. */
export interface PluginSchema {
  name: string;
  description: string;
  schema: JsonSchema;
}

const referenceRef = { $ref: "#/$defs/reference" };

/**
 * The schema of the main file. An entry's `config:` is that of the plugin it names, or of the plugin of its own name.
 * Wherever a value may stand, a reference (`${NAME}`) may too.
 */
export function configJsonSchema(plugins: PluginSchema[]): JsonSchema {
  const sorted = plugins.toSorted((a, b) => (a.name < b.name ? -1 : 1));
  const settings = inputSchema(settingsSchema);
  const properties = settings.properties as Record<string, JsonSchema>;
  const byKey = sorted.map(({ name, description }) => [name, { description, ...entryOf(name) }] as const);
  return {
    $schema: "https://json-schema.org/draft/2020-12/schema",
    title: "holdfast configuration",
    ...withReferences(settings),
    properties: {
      ...Object.fromEntries(Object.entries(properties).map(([key, schema]) => [key, withReferences(schema)])),
      plugins: {
        description: properties.plugins?.description,
        type: ["object", "null"],
        propertyNames: { pattern: "^[a-zA-Z][a-zA-Z0-9_-]*$", not: { enum: ["metrics", "api", "plugins"] } },
        properties: Object.fromEntries(byKey),
        additionalProperties: { $ref: "#/$defs/instance", type: "object", required: ["plugin"] },
      },
    },
    $defs: {
      reference: { description: "A value from outside.", type: "string", pattern: "\\$\\{[^}]*\\}" },
      instance: instanceDefinition(sorted),
      ...Object.fromEntries(sorted.map(({ name, schema }) => [definitionName(name), pluginDefinition(name, schema)])),
    },
  };
}

/** An entry of any name: the agent's own keys, and `config:` by what `plugin:` says. */
function instanceDefinition(plugins: readonly PluginSchema[]): JsonSchema {
  const { properties, ...rest } = inputSchema(instanceSchema);
  const own = properties as Record<string, JsonSchema>;
  const names = plugins.map(({ name, description }) => ({ const: name, description }));
  return {
    ...rest,
    type: ["object", "null"],
    properties: {
      ...Object.fromEntries(Object.entries(own).map(([key, schema]) => [key, withReferences(schema)])),
      plugin: { description: own.plugin?.description, anyOf: [...names, referenceRef] },
    },
    allOf: plugins.map(({ name }) => ({
      if: { type: "object", properties: { plugin: { const: name } }, required: ["plugin"] },
      // biome-ignore lint/suspicious/noThenProperty: a keyword of JSON Schema.
      then: { $ref: `#/$defs/${definitionName(name)}/$defs/entry` },
    })),
  };
}

/** An entry whose key is a plugin's name: that plugin, unless it names another. */
function entryOf(name: string): JsonSchema {
  return {
    $ref: "#/$defs/instance",
    if: { type: "object", properties: { plugin: { const: name } } },
    // biome-ignore lint/suspicious/noThenProperty: a keyword of JSON Schema.
    then: { $ref: `#/$defs/${definitionName(name)}/$defs/entry` },
  };
}

/** A plugin's `config:`, and in `$defs/entry` an entry that has it; required where the plugin requires a key. */
function pluginDefinition(name: string, schema: JsonSchema): JsonSchema {
  const self = `#/$defs/${definitionName(name)}`;
  const { $schema: _, $defs, ...moved } = withReferences(moveRefs(schema, self));
  const required = Array.isArray(moved.required) && moved.required.length > 0;
  const entry = { properties: { config: { $ref: self } }, ...(required ? { required: ["config"] } : {}) };
  // `config:` with nothing below it is an empty mapping.
  const type = moved.type === "object" && !required ? ["object", "null"] : moved.type;
  return { ...moved, ...(type === undefined ? {} : { type }), $defs: { ...($defs as JsonSchema | undefined), entry } };
}

function definitionName(plugin: string): string {
  return `plugin-${plugin}`;
}

function inputSchema(schema: z.ZodType): JsonSchema {
  const { $schema: _, ...rest } = z.toJSONSchema(schema, { io: "input", unrepresentable: "any" });
  // zod hangs functions of Standard Schema on it, which no JSON has.
  return JSON.parse(JSON.stringify({ ...rest, "~standard": undefined })) as JsonSchema;
}

/** The schema with its references to itself made to work at its new place. */
function moveRefs(schema: unknown, root: string): JsonSchema {
  const move = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(move);
    if (typeof value !== "object" || value === null) return value;
    return Object.fromEntries(
      Object.entries(value)
        .filter(([key]) => key !== "~standard")
        .map(([key, inner]) => [
          key,
          key === "$ref" && typeof inner === "string" && inner.startsWith("#") ? root + inner.slice(1) : move(inner),
        ]),
    );
  };
  return move(schema) as JsonSchema;
}

const narrowing = ["enum", "const", "pattern", "format", "minLength", "maxLength"];
const annotations = ["title", "description", "default", "examples", "deprecated"];

/** The schema with references accepted for every scalar that is not just any text. */
function withReferences(schema: JsonSchema): JsonSchema {
  const deeper: JsonSchema = { ...schema };
  for (const key of ["properties", "$defs", "patternProperties"]) {
    if (isSchema(schema[key])) deeper[key] = mapValues(schema[key], withReferencesIn);
  }
  for (const key of ["additionalProperties", "items"]) deeper[key] = withReferencesIn(schema[key]);
  for (const key of ["anyOf", "allOf", "prefixItems", "oneOf"]) {
    if (Array.isArray(schema[key])) deeper[key] = schema[key].map(withReferencesIn);
  }
  // A reference fits more than one branch, which oneOf refuses.
  if (deeper.oneOf !== undefined) {
    deeper.anyOf = deeper.oneOf;
    deeper.oneOf = undefined;
  }
  if (!refusesReference(schema)) return defined(deeper);
  const notes = Object.fromEntries(annotations.filter((key) => key in deeper).map((key) => [key, deeper[key]]));
  const bare = Object.fromEntries(Object.entries(defined(deeper)).filter(([key]) => !annotations.includes(key)));
  return { ...notes, anyOf: [bare, referenceRef] };
}

function withReferencesIn(schema: unknown): unknown {
  return isSchema(schema) ? withReferences(schema) : schema;
}

/** Whether a scalar stands here that a reference's text would not fit. */
function refusesReference(schema: JsonSchema): boolean {
  const types = [schema.type].flat().filter((type) => type !== undefined);
  if (types.includes("string")) return narrowing.some((key) => key in schema);
  return types.length === 0
    ? "enum" in schema || "const" in schema
    : types.some((type) => type === "number" || type === "integer" || type === "boolean");
}

function isSchema(value: unknown): value is JsonSchema {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function mapValues(schema: JsonSchema, map: (value: unknown) => unknown): JsonSchema {
  return Object.fromEntries(Object.entries(schema).map(([key, value]) => [key, map(value)]));
}

function defined(schema: JsonSchema): JsonSchema {
  return Object.fromEntries(Object.entries(schema).filter(([, value]) => value !== undefined));
}
