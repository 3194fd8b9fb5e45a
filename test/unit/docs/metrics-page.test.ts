/** docs/metrics.md is what the code declares; with UPDATE_DOCS=1 its table is written anew. */
import { expect, test } from "bun:test";
import { declaredMetrics } from "../../harness/known-metrics.ts";

const page = Bun.file(new URL("../../../docs/metrics.md", import.meta.url));
const [begin, end] = ["<!-- metrics: begin, from the code -->\n\n", "\n<!-- metrics: end -->"];

function table(): string {
  const rows = declaredMetrics.map(({ name, type, labels, help, of, needs }) => {
    const shown = labels.length === 0 ? `\`${name}\`` : `\`${name}\` {${labels.join(", ")}}`;
    const from = of === "agent" ? "[agent](http.md)" : `[${of}](plugins/${of}.md)`;
    return [shown, type, from, needs === undefined ? help : `With \`${needs}\`. ${help}`];
  });
  const sorted = rows.sort(([one = ""], [other = ""]) => (one < other ? -1 : Number(one > other)));
  return [["Metric", "Type", "Of", "Says"], ["---", "---", "---", "---"], ...sorted]
    .map((cells) => `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |\n`)
    .join("");
}

test("docs/metrics.md has every metric of the agent and its plugins", async () => {
  const text = await page.text();
  const [from, to] = [text.indexOf(begin) + begin.length, text.indexOf(end)];
  expect(to).toBeGreaterThan(from - 1);
  if (Bun.env.UPDATE_DOCS) await page.write(text.slice(0, from) + table() + text.slice(to));
  else expect(text.slice(from, to)).toBe(table());
});
