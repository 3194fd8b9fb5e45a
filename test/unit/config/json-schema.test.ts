import { expect, test } from "bun:test";
import { z } from "zod";
import { configJsonSchema, type JsonSchema } from "../../../agent/config/json-schema.ts";
import { accepts } from "./json-schema-validation.ts";

const plugin = (name: string, schema: z.ZodType) => ({
  name,
  description: `What ${name} does`,
  schema: z.toJSONSchema(schema, { io: "input", unrepresentable: "any" }) as JsonSchema,
});

interface Tree {
  name: string;
  below?: Tree[] | undefined;
}
const tree: z.ZodType<Tree> = z.lazy(() => z.strictObject({ name: z.string(), below: z.array(tree).optional() }));

const schema = configJsonSchema([
  plugin(
    "pgrwl",
    z.strictObject({
      directory: z.string(),
      tree: tree.optional(),
      store: z
        .discriminatedUnion("type", [
          z.strictObject({ type: z.literal("s3"), bucket: z.string().min(3) }),
          z.strictObject({ type: z.literal("local") }),
        ])
        .optional(),
    }),
  ),
  plugin(
    "barman",
    z.strictObject({
      path: z.string().default("barman").describe("Barman executable."),
      retries: z.int().min(0).optional(),
      checks: z.enum(["all", "reported"]).optional(),
      quick: z.boolean().optional(),
    }),
  ),
]);

test.each<[string, unknown]>([
  ["nothing", {}],
  ["an empty entry", { plugins: { barman: null } }],
  ["empty config", { plugins: { barman: { config: null } } }],
  ["a plugin by its key", { plugins: { barman: { interval: "30s", config: { path: "x", retries: 3 } } } }],
  ["a plugin by plugin:", { plugins: { main: { plugin: "barman", config: { retries: 3 } } } }],
  ["a key that is another plugin's name", { plugins: { pgrwl: { plugin: "barman" } } }],
  ["a plugin by reference", { plugins: { x: { plugin: "${P}" } } }],
  [
    "references for numbers, booleans and choices",
    {
      max_requests: "${M}",
      enable_reload: "${R}",
      log: { level: "${L}" },
      plugins: { barman: { config: { retries: "${N}", checks: "${C}", quick: "${Q:-true}" } } },
    },
  ],
  [
    "a reference inside a union",
    { plugins: { pgrwl: { config: { directory: "x", store: { type: "s3", bucket: "${B}" } } } } },
  ],
  [
    "what refers to itself",
    { plugins: { pgrwl: { config: { directory: "x", tree: { name: "a", below: [{ name: "b" }] } } } } },
  ],
])("the schema accepts %s", (_, document) => {
  expect(accepts(schema, document)).toBe(true);
});

test.each<[string, unknown]>([
  ["an unknown key", { lisen: ":1" }],
  ["an unknown key of an entry", { plugins: { barman: { intervall: "3s" } } }],
  ["an unknown key of a plugin by its key", { plugins: { barman: { config: { pth: "x" } } } }],
  ["a wrong value of a plugin by plugin:", { plugins: { main: { plugin: "barman", config: { retries: "x" } } } }],
  ["a name that is no plugin's", { plugins: { main: {} } }],
  ["an unknown plugin", { plugins: { main: { plugin: "barmann" } } }],
  ["config left out where a key is required", { plugins: { pgrwl: {} } }],
  ["a required key left out", { plugins: { pgrwl: { config: {} } } }],
  ["a branch that is not whole", { plugins: { pgrwl: { config: { directory: "x", store: { type: "s3" } } } } }],
  [
    "a mistake deep in what refers to itself",
    { plugins: { pgrwl: { config: { directory: "x", tree: { name: "a", below: [{}] } } } } },
  ],
  ["an instance named after a route", { plugins: { metrics: { plugin: "barman" } } }],
  ["a level that is none", { log: { level: "loud" } }],
])("the schema refuses %s", (_, document) => {
  expect(accepts(schema, document)).toBe(false);
});

test("the schema is plain JSON with descriptions of keys, entries and plugins", () => {
  expect(JSON.parse(JSON.stringify(schema))).toEqual(schema);
  const text = JSON.stringify(schema);
  for (const part of ["What barman does", "Barman executable.", "Time from one collection to the next"]) {
    expect(text).toContain(part);
  }
  expect(schema.$schema).toBe("https://json-schema.org/draft/2020-12/schema");
});
