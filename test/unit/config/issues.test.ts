import { expect, test } from "bun:test";
import { z } from "zod";
import { issuesToProblems } from "../../../agent/config/issues.ts";
import { formatProblem } from "../../../agent/config/problems.ts";
import { zodIssues } from "../../../agent/sdk/issues.ts";
import { duration } from "../../../agent/sdk/units.ts";
import { configOf } from "./files.ts";

/** The problems of a plugin's schema with a `config:`, the worker's border between them crossed as it is. */
async function problemsOf(
  schema: z.ZodType,
  yaml: string,
  environment: Record<string, string> = {},
): Promise<string[]> {
  const { instances } = await configOf(`plugins:\n  a:\n    config: ${yaml}\n`, { environment });
  const [instance] = instances;
  if (!instance) throw new Error("no instance");
  const { error } = schema.safeParse(instance.config);
  const issues = structuredClone(zodIssues(schema, error ?? { issues: [] }));
  return issuesToProblems(instance, issues).map(formatProblem);
}

const cases: [string, z.ZodType, string, string[]][] = [
  ["a number", z.number(), "x", ["expected a number, found text"]],
  ["a whole number", z.int(), "1.5", ["expected a whole number"]],
  ["a text", z.string(), "[x]", ["expected text, found a list"]],
  ["a text that became a number", z.string(), "5", ['expected text, found a number, quote it: "5"']],
  ["yes or no", z.boolean(), "on", ["expected true or false, found text"]],
  ["one of several", z.enum(["a", "b"]), "c", ['expected one of "a", "b"']],
  ["a constant", z.literal("s3"), "c", ['expected "s3"']],
  ["a least number", z.number().min(1), "0", ["expected at least 1"]],
  ["more than a number", z.number().positive(), "0", ["expected more than 0"]],
  ["a most number", z.number().max(1), "2", ["expected at most 1"]],
  ["a length", z.string().min(3), "x", ["expected at least 3 characters"]],
  ["any text", z.string().min(1), "''", ["expected text that is not empty"]],
  ["some items", z.array(z.string()).min(1), "[]", ["expected at least 1 item"]],
  ["a URL", z.url(), "x", ["expected a URL"]],
  ["a pattern", z.string().regex(/^a/), "x", ["expected text that matches /^a/"]],
  ["an author's pattern", z.string().regex(/^a/, "Invalid slot name"), "x", ["Invalid slot name"]],
  ["an author's check", z.string().refine(() => false, "no such server"), "x", ["no such server"]],
  ["a multiple", z.number().multipleOf(5), "3", ["expected a multiple of 5"]],
  [
    "a text or a list",
    z.union([z.string(), z.array(z.string())]),
    "3",
    ['expected text or a list, found a number, quote it: "3"'],
  ],
  ["the branch that is near", z.union([z.number(), z.string().min(3)]), "x", ["expected at least 3 characters"]],
  ["a duration", duration(), "30x", ['expected a duration such as "30s" or "1h30m"']],
];

test.each(cases)("zodIssues() expects %s in words", (_, schema, yaml, messages) => {
  const { error } = z.strictObject({ k: schema }).safeParse({ k: Bun.YAML.parse(yaml) });
  const found = zodIssues(schema, error ?? { issues: [] }).map(({ message }) => message);
  expect(found).toEqual(messages.map((message) => message.replace(/, quote it.*/, "")));
});

test.each(cases)("issuesToProblems() places %s", async (_, schema, yaml, messages) => {
  const problems = await problemsOf(z.strictObject({ k: schema }), `{ k: ${yaml} }`);
  const shown = /^\[/.test(yaml) ? "" : ` ${/^[\d.]+$/.test(yaml) ? yaml : JSON.stringify(yaml === "''" ? "" : yaml)}`;
  expect(problems).toEqual(
    messages.map((message) => `holdfast.yml:3:18: Cannot read plugins.a.config.k${shown}: ${message}`),
  );
});

const storage = z.strictObject({
  storage: z.discriminatedUnion("type", [
    z.strictObject({ type: z.literal("s3"), bucket: z.string() }),
    z.strictObject({ type: z.literal("local"), directory: z.string() }),
  ]),
  servers: z.array(z.strictObject({ name: z.string(), retries: z.int().optional() })).optional(),
});

test("unknown keys, deep in lists and unions, get the nearest key that is known there", async () => {
  expect(await problemsOf(storage, "{ storage: { type: s3, buket: x }, servers: [{ nam: a }] }")).toEqual([
    "holdfast.yml:3:24: Cannot find plugins.a.config.storage.bucket: expected text",
    'holdfast.yml:3:36: Cannot read plugins.a.config.storage: unknown key "buket", did you mean "bucket"?',
    "holdfast.yml:3:58: Cannot find plugins.a.config.servers[0].name: expected text",
    'holdfast.yml:3:60: Cannot read plugins.a.config.servers[0]: unknown key "nam", did you mean "name"?',
  ]);
  expect(await problemsOf(storage, "{ storage: { type: sftp } }")).toEqual([
    'holdfast.yml:3:32: Cannot read plugins.a.config.storage.type "sftp": expected one of "s3", "local"',
  ]);
});

test("a key that is missing is reported where its mapping stands, and config: itself where it is missing", async () => {
  expect(await problemsOf(z.strictObject({ path: z.string() }), "")).toEqual([
    "holdfast.yml:3:5: Cannot find plugins.a.config.path: expected text",
  ]);
});

test("a wrong key of a record is reported at the key", async () => {
  const schema = z.strictObject({ m: z.record(z.string().regex(/^a/), z.number()) });
  expect(await problemsOf(schema, "{ m: { b: 1, a: x } }")).toEqual([
    'holdfast.yml:3:20: Cannot use the key "b" in plugins.a.config.m: expected text that matches /^a/',
    'holdfast.yml:3:29: Cannot read plugins.a.config.m.a "x": expected a number, found text',
  ]);
});

test("a value from a reference is shown as it is spelled, whatever the plugin says of it", async () => {
  const schema = z.strictObject({
    url: z.string().refine(() => false, { error: ({ input }) => `cannot use ${input} or ${JSON.stringify(input)}` }),
    pin: z.number().refine(() => false, { error: ({ input }) => `not ${input}, nor 1234` }),
  });
  const yaml = '\n      url: "db://u:${PW}@h"\n      pin: ${PIN}';
  expect(await problemsOf(schema, yaml, { PW: 'p"w\\d!', PIN: "123" })).toEqual([
    'holdfast.yml:4:12: Cannot read plugins.a.config.url "db://u:${PW}@h": cannot use db://u:${PW}@h or "db://u:${PW}@h"',
    "holdfast.yml:5:12: Cannot read plugins.a.config.pin ${PIN}: not ${PIN}, nor 1234",
  ]);
});

test("a literal under a name of secrets is not shown", async () => {
  expect(await problemsOf(z.strictObject({ password: z.string().min(9) }), "{ password: hunter2 }")).toEqual([
    "holdfast.yml:3:25: Cannot read plugins.a.config.password: expected at least 9 characters",
  ]);
});

test.each([
  "host=db1 passwrd=hunter2",
  "host=db1 password = hunter2",
  "postgresql://me:hunt er2@db1/x",
  "HTTPS://me:hunter2@h",
])("what holds a password is not shown: %s", async (text) => {
  const [problem] = await problemsOf(z.strictObject({ postgres: z.string().max(3) }), `{ postgres: "${text}" }`);
  expect(problem).toStartWith("holdfast.yml:3:25: Cannot read plugins.a.config.postgres: ");
  expect(problem).not.toContain("er2");
});

test("a number where a password belongs is not shown", async () => {
  expect(await problemsOf(z.strictObject({ password: z.string() }), "{ password: 12345678 }")).toEqual([
    "holdfast.yml:3:25: Cannot read plugins.a.config.password: expected text, found a number, quote it",
  ]);
});

test("a password of digits is told to be quoted", async () => {
  expect(await problemsOf(z.strictObject({ pw: z.string() }), "\n      pw: ${PW}", { PW: "12345" })).toEqual([
    'holdfast.yml:4:11: Cannot read plugins.a.config.pw ${PW}: expected text, found a number, quote it: "${PW}"',
  ]);
});

test("an instance that no file wrote gets problems all the same", async () => {
  const place = () => ({ file: "x.yml", line: 1, column: 2 });
  const { instances } = await configOf("plugins: { a: }");
  const [instance] = instances.map((one) => ({ ...one, place }));
  if (!instance) throw new Error("no instance");
  expect(issuesToProblems(instance, [{ path: ["k"], message: "expected text" }]).map(formatProblem)).toEqual([
    "x.yml:1:2: Cannot read plugins.a.config.k: expected text",
  ]);
});
