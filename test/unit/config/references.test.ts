import { expect, test } from "bun:test";
import fc from "fast-check";
import { loadConfig } from "../../../agent/config/load.ts";
import { parseReferences } from "../../../agent/config/references.ts";
import { configOf, load, problemsIn } from "./files.ts";

/** A reference, written so that no template string is suspected. */
const ref = (inside: string) => `\${${inside}}`;

async function configBelow(yaml: string, environment: Record<string, string> = {}) {
  const [instance] = (await configOf(`plugins:\n  a:\n    config:\n      ${yaml}\n`, { environment })).instances;
  return { config: instance?.config as Record<string, unknown>, secrets: instance?.secrets };
}

test("references are replaced anywhere in a text, defaults where a variable is unset or empty", async () => {
  const { config } = await configBelow(
    `{ a: "x-${ref("A")}-${ref("B")}", b: "${ref("EMPTY:-d e")}", c: "${ref("EMPTY")}", d: "${ref("NO:-")}" }`,
    { A: "1", B: "2", EMPTY: "" },
  );
  expect(config).toEqual({ a: "x-1-2", b: "d e", c: "", d: "" });
});

test("a doubled dollar gives a literal brace, other dollars stay", async () => {
  const { config } = await configBelow(`{ a: "$${ref("A")}", b: "$A $ $$", c: "$$${ref("A")}", "$${ref("K")}": 1 }`);
  expect(config).toEqual({ a: ref("A"), b: "$A $ $$", c: `$${ref("A")}`, [ref("K")]: 1 });
});

test("a plain scalar that is one variable becomes the number or boolean that YAML reads there; quotes keep text", async () => {
  const environment = { N: "5432", F: "1.5", T: "true", NULL: "null", BIG: "12345678901234567890", S: "1s" };
  const names = Object.keys(environment);
  const plain = await configBelow(names.map((name) => `${name}: ${ref(name)}`).join("\n      "), environment);
  expect(plain.config).toEqual({ ...environment, N: 5432, F: 1.5, T: true });
  const quoted = await configBelow(names.map((name) => `${name}: "${ref(name)}"`).join("\n      "), environment);
  expect(quoted.config).toEqual(environment);
  expect((await configBelow(`N: !!str ${ref("N")}`, environment)).config).toEqual({ N: "5432" });
});

test("a value is never read as YAML", async () => {
  const { config } = await configBelow(`a: ${ref("A")}`, { A: "{x: 1}\nb: 2 # *x" });
  expect(config).toEqual({ a: "{x: 1}\nb: 2 # *x" });
});

test("files and credentials give text without the newline at their end", async () => {
  const yaml = `plugins:\n  a:\n    config: { a: "${ref("file:pw")}", c: "${ref("credential:pw")}" }\n  b:\n    config:\n      n: ${ref("file:number")}\n`;
  const files = { "holdfast.yml": yaml, pw: "geheim\r\n", number: "1234\n" };
  await load(files, {}, async (_, folder) => {
    await Bun.write(`${folder}/credentials/pw`, "two\nlines\n\n");
    const environment = { CREDENTIALS_DIRECTORY: `${folder}/credentials` };
    const result = await loadConfig("holdfast.yml", { environment, cwd: folder });
    const instances = "config" in result ? result.config.instances : [];
    expect(instances.map(({ config }) => config)).toEqual([{ a: "geheim", c: "two\nlines\n" }, { n: "1234" }]);
    expect(instances.map(({ secrets }) => secrets)).toEqual([["two\nlines\n", "geheim"], ["1234"]]);
  });
});

test.each([
  [ref("NO"), "the environment has no NO, set it or give a default as in ${NO:-default}"],
  [ref("file:/no/such"), "/no/such: no such file"],
  [ref("file:/tmp"), "/tmp: a directory, expected a file"],
  [ref("credential:pw"), "CREDENTIALS_DIRECTORY is not set, expected LoadCredential=pw:PATH in the service's unit"],
  ...[ref(""), ref("A B"), ref("A:?x"), ref("http://x"), ref("credential:../x"), ref("file:"), "${OPEN"].map((text) => [
    text,
    "expected ${NAME}, ${NAME:-default}, ${file:/path} or ${credential:NAME}, none inside another; $${ is a literal ${",
  ]),
])("%s without a value is a problem at its place", async (text, why) => {
  const shown = text === "${OPEN" ? "${" : text;
  expect(await problemsIn(`plugins:\n  a:\n    config: { x: "${text}" }\n`)).toEqual([
    `holdfast.yml:3:18: Cannot replace ${shown}: ${why}`,
  ]);
});

test("what follows from a missing reference is not reported as well", async () => {
  expect(await problemsIn(`plugins:\n  a:\n    interval: ${ref("NO")}\n`)).toHaveLength(1);
});

test("secrets are the texts that came in, of four characters and more, or what holds a shorter one", async () => {
  const environment = { PW: "hunter22", PIN: "123", USER: "anna", PORT: "5432", ACCOUNT: "12345678", YES: "true" };
  const { secrets } = await configBelow(
    `{ a: "x:${ref("PW")}", b: "pin:${ref("PIN")}", c: "${ref("PIN")}", d: plain, e: ["${ref("USER")}"] }`,
    environment,
  );
  expect(secrets?.toSorted()).toEqual(["anna", "hunter22", "pin:123"]);
  const typed = await configBelow(`a: ${ref("PORT")}\n      b: ${ref("ACCOUNT")}\n      c: ${ref("YES")}`, environment);
  expect(typed.secrets).toEqual(["12345678"]);
});

test("parseReferences() gives back any text without references", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), (text) => {
      const escaped = text.replaceAll("${", "$${");
      expect(parseReferences(escaped).join("")).toBe(text);
    }),
  );
});

test("parseReferences() finds every reference between texts", () => {
  const name = fc.stringMatching(/^[A-Za-z_][A-Za-z0-9_]{0,8}$/);
  const literal = fc.stringMatching(/^[^$]{1,8}$/);
  fc.assert(
    fc.property(fc.array(fc.tuple(literal, name)), (pairs) => {
      const parts = parseReferences(pairs.map(([text, inside]) => `${text}${ref(inside)}`).join(""));
      expect(parts.map((part) => (typeof part === "string" ? part : part.spelling))).toEqual(
        pairs.flatMap(([text, inside]) => [text, ref(inside)]),
      );
    }),
  );
});
