/**
 * A page of docs/ as a manual page. Reads the Markdown that docs/ is written in: headings, paragraphs, lists of one level, tables
 * whose first column is a term, code blocks, and within text code, emphasis and links.
 */
import { bold, entry, italic, literal, type ManualPage, pageTitle, plain } from "./roff.ts";

/**
 * @param summary One line for the page's NAME.
 * @param markdown Its first heading is the title and left out.
 * @returns The page's roff.
 */
export function markdownPage(page: ManualPage, summary: string, markdown: string): string {
  const blocks = blocksOf(markdown.replace(/^# .*\n+/, "")).map(convertBlock);
  const head = `.SH NAME\n${plain(page.name)} \\- ${plain(summary)}\n.SH DESCRIPTION\n`;
  // A heading begins a paragraph itself.
  return pageTitle(page) + (head + blocks.join("")).replace(/^(\.S[HS] .*\n)\.PP\n/gm, "$1");
}

/** What empty lines part, those within code left out. */
function blocksOf(markdown: string): string[] {
  const blocks: string[] = [];
  const block: string[] = [];
  let isCode = false;
  for (const line of [...markdown.split("\n"), ""]) {
    if (line.startsWith("```")) isCode = !isCode;
    if (line !== "" || isCode) block.push(line);
    else if (block.length > 0) blocks.push(block.splice(0).join("\n"));
  }
  return blocks;
}

function convertBlock(block: string): string {
  const [first = "", ...rest] = block.split("\n");
  const [, marks, heading] = /^(#+) (.*)$/.exec(first) ?? [];
  if (heading !== undefined) {
    const title = marks === "##" ? `.SH ${plain(heading.toUpperCase())}\n` : `.SS ${inline(heading)}\n`;
    return title + convertBlock(rest.join("\n"));
  }
  const [, code] = /^```[^\n]*\n([\s\S]*?)\n?```$/.exec(block) ?? [];
  if (code !== undefined) return literal(code);
  if (first.startsWith("|")) return table([first, ...rest]);
  if (/^[-*] |^\d+\. /.test(first)) return list(block);
  return block === "" ? "" : `.PP\n${inline(block)}\n`;
}

/** Rows behind the two of the head; cells behind the second are joined to it. */
function table(lines: readonly string[]): string {
  const [head = [], , ...rows] = lines.map(cells);
  return rows
    .map(([term = "", meaning = "", ...others]) =>
      entry(
        inline(term),
        [meaning, ...others.map((other, index) => named(head[index + 2], other))].map(inline).join(" "),
      ),
    )
    .join("");
}

const named = (column: string | undefined, cell: string) => (cell === "" ? "" : `${column ?? ""}: ${cell}`);

/** A `\|` within a cell is no border. */
function cells(line: string): string[] {
  return line
    .replace(/^\||\|$/g, "")
    .split(/(?<!\\)\|/)
    .map((cell) => cell.trim().replaceAll("\\|", "|"));
}

function list(block: string): string {
  const items = block.split(/\n(?=[-*] |\d+\. )/);
  return items
    .map((item) => `.IP ${/^\d+\./.exec(item)?.[0] ?? "\\(bu"} 4\n${inline(item.replace(/^(?:[-*]|\d+\.) +/, ""))}\n`)
    .join("");
}

/** Text within a paragraph; line breaks stay, without what indents them. */
function inline(text: string): string {
  return text
    .split(/(``[^`].*?``|`[^`]+`|\*\*[^*]+\*\*|\[[^\]]+\]\([^)]+\))/s)
    .map((part) => {
      const [, code] = /^`+ ?(.*?) ?`+$/s.exec(part) ?? [];
      if (code !== undefined) return bold(code.replace(/\s*\n\s*/g, " "));
      const [, strong] = /^\*\*(.*)\*\*$/s.exec(part) ?? [];
      if (strong !== undefined) return inlineStrong(strong);
      const [, label = "", target = ""] = /^\[(.*)\]\((.*)\)$/s.exec(part) ?? [];
      if (target !== "") return `${plain(label.replaceAll("`", ""))} (${italic(installed(target))})`;
      return plain(part.replace(/\n\s+/g, "\n"));
    })
    .join("")
    .replace(/^(?=[.'])/gm, "\\&");
}

/** Where a page that docs/ links to is installed. */
function installed(target: string): string {
  const { protocol, pathname, href } = new URL(target, "file:///usr/share/doc/holdfast/docs/");
  return protocol === "file:" ? pathname : href;
}

const inlineStrong = (text: string): string => bold(text.replaceAll("`", "").replace(/\s*\n\s*/g, " "));
