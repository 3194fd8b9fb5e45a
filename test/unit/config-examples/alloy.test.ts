/** config/alloy/holdfast.alloy, held against Alloy's documentation: no Alloy can be had where the tests run. */
import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { type Block, parseAlloy } from "../../harness/alloy-syntax.ts";

const example = readFileSync(new URL("../../../config/alloy/holdfast.alloy", import.meta.url), "utf8");

/** Attributes and blocks that we use and that the documentation of the component has; Alloy 1.x. */
const tls = { tls_config: ["ca_file", "cert_file", "key_file"] };
const basicAuth = { basic_auth: ["username", "password_file"] };
const rule = { rule: ["action", "source_labels", "regex", "target_label", "replacement"] };
const documented: Readonly<
  Record<string, { attributes: readonly string[]; blocks: Readonly<Record<string, readonly string[]>> }>
> = {
  "discovery.relabel": { attributes: ["targets"], blocks: rule },
  "discovery.file": { attributes: ["files"], blocks: {} },
  "prometheus.scrape": {
    attributes: [
      "targets",
      "forward_to",
      "job_name",
      "scrape_interval",
      "scrape_timeout",
      "scheme",
      "bearer_token_file",
    ],
    blocks: { ...tls, ...basicAuth },
  },
  "prometheus.relabel": { attributes: ["forward_to"], blocks: rule },
  "prometheus.remote_write": {
    attributes: ["external_labels"],
    blocks: { endpoint: ["url", "bearer_token_file"], ...tls, ...basicAuth },
  },
};
/** What each component gives to others. */
const exported: Readonly<Record<string, string>> = {
  "discovery.relabel": "output",
  "discovery.file": "targets",
  "prometheus.relabel": "receiver",
  "prometheus.remote_write": "receiver",
};

/** With every commented setting put in; some exclude each other, which is no matter of syntax. */
function whole(): string {
  const code = /^(\s*)\/\/[ \t]?((?:\t| )*(?:[a-z_]+\s*=|[a-z_.]+(?: "\w+")? \{|\}|\{|\/\/ \w+\s*=).*)$/gm;
  return example.replace(code, "$1$2").replace(code, "$1$2");
}

const inner = (block: Block): readonly Block[] => [block, ...block.blocks.flatMap(inner)];

test.each([
  ["as it is", example, 4],
  ["with every comment put in", whole(), 5],
])("the example is right %s", (_, text, components) => {
  const blocks = parseAlloy(text);
  expect(blocks.length).toBe(components);
  const exports = blocks.map(({ name, label }) => `${name}.${label}.${exported[name]}`);
  for (const component of blocks) {
    const known = documented[component.name];
    expect([component.name, known !== undefined, component.label]).toEqual([component.name, true, "holdfast"]);
    const names = component.attributes.map(({ name }) => name);
    expect(known?.attributes).toEqual(expect.arrayContaining(names));
    for (const { name, attributes } of inner(component).slice(1)) {
      expect(known?.blocks[name]).toEqual(expect.arrayContaining(attributes.map((attribute) => attribute.name)));
    }
    const references = inner(component).flatMap(({ attributes }) => attributes.flatMap((one) => one.references));
    for (const reference of references) expect([...exports, "constants.hostname"]).toContain(reference);
  }
});

test("it scrapes, relabels and writes, under the name that the alerts ask for", () => {
  const blocks = parseAlloy(example);
  expect(blocks.map(({ name }) => name)).toEqual(Object.keys(documented).filter((name) => name !== "discovery.file"));
  expect(example).toMatch(/^\tjob_name +=\s"holdfast"$/m);
  for (const { name, attributes } of blocks.flatMap(inner)) {
    const names = attributes.map((attribute) => attribute.name);
    expect([name, new Set(names).size]).toEqual([name, names.length]);
  }
});

test("with every comment put in there is TLS, a user and a token", () => {
  const scrape = parseAlloy(whole()).find(({ name }) => name === "prometheus.scrape");
  expect(scrape?.blocks.map(({ name }) => name)).toEqual(["tls_config", "basic_auth"]);
  expect(scrape?.blocks[0]?.attributes.map(({ name }) => name)).toEqual(["ca_file", "cert_file", "key_file"]);
  expect(scrape?.attributes.map(({ name }) => name)).toContain("bearer_token_file");
});

test.each([
  ['a "b" {', 'line 1: expected a name, found "the end"'],
  ['a "b" { x = }', 'line 1: expected a value, found "}"'],
  ['a "b" { x = 1 y = 2 }', 'line 1: expected a new line, found "y"'],
  ['a "b" {\n x = ["1"\n ]\n}', 'line 2: expected "]", found "\\n"'],
  ['a "b" {\n x = "1\n}', 'line 2: cannot read "\\"1\\n}"'],
])("parseAlloy() refuses %j", (text, message) => {
  expect(() => parseAlloy(text)).toThrow(message);
});
