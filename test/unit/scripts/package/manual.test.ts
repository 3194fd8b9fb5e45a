import { expect, test } from "bun:test";
import { commandNames } from "../../../../agent/commands/index.ts";
import { originalNames } from "../../../../agent/compat/names.ts";
import { commandTable, shownFlags } from "../../../../scripts/lib/package/command-table.ts";
import { commandsPage } from "../../../../scripts/lib/package/man-commands.ts";
import { markdownPage } from "../../../../scripts/lib/package/man-markdown.ts";

const release = { date: "2026-11-21", source: "holdfast 1.2.3" };
const page = { ...release, name: "holdfast.yml", section: 5, manual: "File Formats" };
/** The roff of what stands behind a first paragraph. */
const convert = (markdown: string) =>
  markdownPage(page, "the configuration", `# Title\n\nFirst.\n\n${markdown}`).split("\nFirst.\n")[1];
const configuration = () => Bun.file(new URL("../../../../docs/configuration.md", import.meta.url)).text();

test("holdfast(1) tells of every command and every flag that help shows", async () => {
  const commands = await commandTable();
  const text = commandsPage(commands, release);
  expect(text).toStartWith('.TH HOLDFAST 1 "2026-11-21" "holdfast 1.2.3" "User Commands"\n');
  expect(commands.map(({ name }) => name)).toEqual([...commandNames, ...originalNames.map((name) => `as ${name}`)]);
  for (const command of commands) {
    const from = text.indexOf(`.SS holdfast ${command.name.replaceAll("-", "\\-")}\n`);
    const section = text.slice(from, text.indexOf("\n.S", from));
    for (const { name } of shownFlags(command))
      expect(section).toContain(`\\fB\\-\\-${name.replaceAll("-", "\\-")}\\fR`);
  }
});

test.each([
  ["A line\n.with a dot", ".PP\nA line\n\\&.with a dot\n"],
  [
    "`a\\b`, **c** and [d](http.md)",
    ".PP\n\\fBa\\eb\\fR, \\fBc\\fR and d (\\fI/usr/share/doc/holdfast/docs/http.md\\fR)\n",
  ],
  ["[far](https://example.org/a)", ".PP\nfar (\\fIhttps://example.org/a\\fR)\n"],
  ["## A heading\n\nText", ".SH A HEADING\nText\n"],
  ["- one\n  more\n- two", ".IP \\(bu 4\none\nmore\n.IP \\(bu 4\ntwo\n"],
  ["| k | m |\n| - | - |\n| `a` | b\\|c |", ".TP\n\\fBa\\fR\nb|c\n"],
  ["| k | m | more |\n| - | - | - |\n| a | b | c |", ".TP\na\nb more: c\n"],
  ["```yaml\na:\n\n  'b'\n```", ".PP\n.nf\n.RS 4\na:\n\n  'b'\n.RE\n.fi\n"],
])("a manual page of %j", (markdown, expected) => {
  expect(convert(markdown)).toBe(expected);
});

test.if(Bun.which("mandoc") !== null)("mandoc finds nothing to warn of in either page", async () => {
  const pages = [
    commandsPage(await commandTable(), release),
    markdownPage(page, "the configuration of holdfast", await configuration()),
  ];
  for (const text of pages) {
    const lint = Bun.spawnSync(["mandoc", "-Tlint", "-Wwarning"], { stdin: new TextEncoder().encode(text) });
    expect(lint.stdout.toString()).toBe("");
  }
});

test("holdfast.yml(5) leaves no Markdown over", async () => {
  const text = markdownPage(page, "the configuration of holdfast", await configuration());
  const withoutLiterals = text.replace(/^\.nf\n[\s\S]*?^\.fi\n/gm, "");
  expect(withoutLiterals).not.toMatch(/`|^#|^\||\]\(/m);
});
