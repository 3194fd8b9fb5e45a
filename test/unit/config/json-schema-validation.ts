/** As much of JSON Schema 2020-12 as the schema of the configuration uses; an unknown keyword throws. */
type Schema = Readonly<Record<string, unknown>>;

/** Whether a document fits a schema. */
export function accepts(root: Schema, document: unknown): boolean {
  return fits(root, document, root);
}

type Keyword = (argument: never, value: unknown, root: Schema, schema: Schema) => boolean;

const all = (schemas: readonly (Schema | boolean)[], value: unknown, root: Schema) =>
  schemas.every((schema) => fits(schema, value, root));
const some = (schemas: readonly (Schema | boolean)[], value: unknown, root: Schema) =>
  schemas.some((schema) => fits(schema, value, root));

const keywords: Readonly<Record<string, Keyword>> = {
  $ref: (ref: string, value, root) => fits(pointer(root, ref), value, root),
  type: (type: string | string[], value) => [type].flat().some((one) => hasType(one, value)),
  enum: (values: unknown[], value) => values.includes(value),
  const: (wanted: unknown, value) => wanted === value,
  pattern: (pattern: string, value) => typeof value !== "string" || new RegExp(pattern, "u").test(value),
  minLength: (least: number, value) => typeof value !== "string" || [...value].length >= least,
  maxLength: (most: number, value) => typeof value !== "string" || [...value].length <= most,
  minimum: (least: number, value) => typeof value !== "number" || value >= least,
  maximum: (most: number, value) => typeof value !== "number" || value <= most,
  minItems: (least: number, value) => !Array.isArray(value) || value.length >= least,
  items: (schema: Schema, value, root) => !Array.isArray(value) || value.every((item) => fits(schema, item, root)),
  anyOf: some,
  oneOf: (schemas: readonly Schema[], value, root) => schemas.filter((one) => fits(one, value, root)).length === 1,
  allOf: all,
  not: (schema: Schema, value, root) => !fits(schema, value, root),
  if: (schema: Schema, value, root, whole) => {
    const branch = whole[fits(schema, value, root) ? "then" : "else"];
    return branch === undefined || fits(branch as Schema, value, root);
  },
  required: (keys: string[], value) => !isObject(value) || keys.every((key) => Object.hasOwn(value, key)),
  properties: (properties: Record<string, Schema>, value, root) =>
    !isObject(value) ||
    Object.entries(properties).every(([key, schema]) => !Object.hasOwn(value, key) || fits(schema, value[key], root)),
  propertyNames: (schema: Schema, value, root) =>
    !isObject(value) || Object.keys(value).every((key) => fits(schema, key, root)),
  additionalProperties: (schema: Schema | boolean, value, root, { properties = {} }) =>
    !isObject(value) ||
    Object.keys(value).every((key) => Object.hasOwn(properties as object, key) || fits(schema, value[key], root)),
};
const annotations = new Set([
  "$schema",
  "$defs",
  "title",
  "description",
  "default",
  "deprecated",
  "format",
  "then",
  "else",
]);

function fits(schema: Schema | boolean, value: unknown, root: Schema): boolean {
  if (typeof schema === "boolean") return schema;
  return Object.entries(schema).every(([name, argument]) => {
    if (annotations.has(name)) return true;
    const keyword = keywords[name];
    if (!keyword) throw new Error(`Cannot validate: unknown keyword ${JSON.stringify(name)}`);
    return keyword(argument as never, value, root, schema);
  });
}

function pointer(root: Schema, ref: string): Schema {
  let found: unknown = root;
  for (const step of ref.split("/").slice(1)) found = (found as Record<string, unknown> | undefined)?.[step];
  if (!isObject(found)) throw new Error(`Cannot follow ${ref}`);
  return found;
}

function hasType(type: string, value: unknown): boolean {
  if (type === "null") return value === null;
  if (type === "array") return Array.isArray(value);
  if (type === "object") return isObject(value);
  return type === "integer" ? Number.isInteger(value) : typeof value === type;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
