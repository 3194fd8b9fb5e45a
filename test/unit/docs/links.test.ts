/** Links of all pages lead somewhere; their commands and configurations are such as this holdfast takes. */
import { expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import { parse } from "yaml";
import { commandNames, loadCommand } from "../../../agent/commands/index.ts";
import { builtInPlugins } from "../../../agent/host/builtin.ts";
import type { Plugin } from "../../../agent/sdk/plugin.ts";
import { readInstanceArchive } from "../../../plugins/common/wal-archive/instance-archive.ts";
import { docBlocks, readDoc } from "../../harness/doc-blocks.ts";
import { markdownAnchors, markdownLinks } from "../../harness/markdown-links.ts";
import { load } from "../config/files.ts";

const root = new URL("../../../", import.meta.url).pathname;
const isOurs = (path: string) => !/(^|\/)(node_modules|dist|fixtures)\//.test(path);
const paths = (await Array.fromAsync(new Bun.Glob("**/*.md").scan(root))).filter(isOurs).sort();
const pages = new Map(await Promise.all(paths.map(async (path) => [path, await readDoc(path)] as const)));

test("there are pages to look at", () => {
  expect(paths).toContain("README.md");
  expect(paths.length).toBeGreaterThan(12);
});

test.each(paths)("links of %s lead to files and headings that are there", (path) => {
  const broken = markdownLinks(pages.get(path) ?? "").filter((target) => {
    if (/^(https?|mailto):/.test(target)) return false;
    const [file = "", anchor] = target.split("#");
    const wanted = file === "" ? path : normalize(join(dirname(path), file));
    if (!existsSync(root + wanted)) return true;
    if (anchor === undefined) return false;
    return !markdownAnchors(pages.get(wanted) ?? "").has(anchor);
  });
  expect(broken).toEqual([]);
});

test("docs/README.md leads to every page below docs", () => {
  const linked = new Set(markdownLinks(pages.get("docs/README.md") ?? "").map((target) => join("docs", target)));
  expect(paths.filter((path) => path.startsWith("docs/") && path !== "docs/README.md" && !linked.has(path))).toEqual(
    [],
  );
});

interface Call {
  readonly words: string[];
  readonly at: string;
}

/** What a page would have somebody type: in blocks, in `restore_command`, in `…` in the text. */
function callsIn(path: string): Call[] {
  const markdown = pages.get(path) ?? "";
  const blocks = docBlocks(markdown).filter(({ language }) => ["", "sh", "console", "text", "ini"].includes(language));
  const lines = blocks.flatMap(({ language, text, line }) =>
    text
      .replaceAll("\\\n", " ")
      .split("\n")
      // What stands without a prompt there is an answer.
      .filter((one) => language !== "console" || /^[$#] /.test(one))
      .map((one) => ({ one, at: `${path}, block in line ${line}` })),
  );
  const spans = [...markdown.matchAll(/`([^`\n]+)`/g)].map(([, one = ""]) => ({ one, at: `${path}, \`${one}\`` }));
  return [...lines, ...spans].flatMap(({ one, at }) =>
    [
      ...one.matchAll(/(?:^(?:[$#] )?|['"]|ExecStart=|\|\| |&& |; )(?:\/?[\w./-]*\/)?holdfast ([a-z-][^|;&><#'"`]*)/g),
    ].map(([, rest = ""]) => ({ words: rest.trim().split(/\s+/), at })),
  );
}

/** What is wrong with a call, if anything. */
async function flawOf({ words, at }: Call): Promise<string | undefined> {
  const [first = "", second = ""] = words;
  if (["as", "--help", "--version", "help", "COMMAND"].includes(first)) return undefined;
  const name = first.startsWith("-") ? "run" : commandNames.has(`${first} ${second}`) ? `${first} ${second}` : first;
  const command = await loadCommand(name);
  const isGroup = [undefined, "…"].includes(words[1]) && [...commandNames].some((one) => one.startsWith(`${first} `));
  if (!command && isGroup) return undefined;
  if (!command) return `${at}: there is no command ${name}`;
  for (const word of words.filter((one) => one.startsWith("-") && one !== "--")) {
    const [, dashes = "", flag = "", value] = /^(--?)([^=]*)(=.*)?$/s.exec(word) ?? [];
    const isLong = dashes === "--" || command.goStyle;
    const known = command.flags.find((one) => (isLong ? one.name === flag : one.short === flag));
    if (!known && !["help", "h"].includes(flag)) return `${at}: holdfast ${name} has no ${word}`;
    if (known && known.value === undefined && value !== undefined) return `${at}: ${word} takes no value`;
  }
  return undefined;
}

test("every holdfast command of every page exists, with its flags", async () => {
  const calls = paths.filter((path) => path !== "CHANGELOG.md").flatMap(callsIn);
  expect(calls.length).toBeGreaterThan(60);
  const flaws = await Promise.all(calls.map(flawOf));
  expect(flaws.filter((flaw) => flaw !== undefined)).toEqual([]);
});

const withoutReferences = (yaml: string) => yaml.replaceAll(/"?\$\{[^}]*\}"?/g, "from-a-reference");

/** Blocks with instances, as `[where, text]`; those of plugins that are not built in are told by their plugin_dir. */
const configurations = paths.flatMap((path) =>
  docBlocks(pages.get(path) ?? "")
    .filter(({ language, text }) => language === "yaml" && /^plugins:/m.test(text) && !/^plugin_dir:/m.test(text))
    .map(({ info, text, line }) => ({ where: `${path}, line ${line}`, text, isRestore: info === "restore.yml" })),
);

test.each(configurations.filter(({ isRestore }) => !isRestore))("the configuration in $where is right", async (one) => {
  const result = await load(withoutReferences(one.text));
  if ("problems" in result) throw new Error(JSON.stringify(result.problems));
  for (const { plugin, config } of result.config.instances) {
    const loaded = (await builtInPlugins[plugin]?.()) as { default: Plugin } | undefined;
    expect([plugin, loaded !== undefined]).toEqual([plugin, true]);
    expect(loaded?.default.config.safeParse(config).error?.issues ?? []).toEqual([]);
  }
});

test.each(configurations.filter(({ isRestore }) => isRestore))("restore-command can use that in $where", (one) => {
  const { plugins } = parse(withoutReferences(one.text)) as { plugins: Record<string, { config: unknown }> };
  for (const { config } of Object.values(plugins)) expect(readInstanceArchive(config).archive).toBeDefined();
});
