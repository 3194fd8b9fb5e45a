import { expect, test } from "bun:test";
import { parse } from "yaml";
import { switchingTables } from "../../../agent/compat/document.ts";
import { originalNames } from "../../../agent/compat/names.ts";
import { translationOf } from "./translated.ts";

const page = Bun.file(new URL("../../../docs/switching.md", import.meta.url));

/** With UPDATE_DOCS=1 the page is written anew; else it must be what the code says. */
test.each(Object.keys(switchingTables))("docs/switching.md has the %s that the code has", async (name) => {
  const text = await page.text();
  const write = switchingTables[name] ?? (() => "");
  const [begin, end] = [`<!-- ${name}: begin, from the code -->\n\n`, `\n<!-- ${name}: end -->`];
  const [from, to] = [text.indexOf(begin) + begin.length, text.indexOf(end)];
  expect(to).toBeGreaterThan(from - 1);
  if (Bun.env.UPDATE_DOCS) await page.write(text.slice(0, from) + write() + text.slice(to));
  else expect(text.slice(from, to)).toBe(write());
});

test("docs/switching.md has a section for each tool", async () => {
  const text = await page.text();
  for (const name of originalNames) expect(text).toMatch(new RegExp(`^## .*\`${name}\``, "m"));
});

test("the example of docs/switching.md is what is printed", async () => {
  const text = await page.text();
  const [, yaml = ""] = /```yaml\n(log:.*?)```/s.exec(text) ?? [];
  const args = ["--web.listen-address=:9351", "--walg.path=/usr/local/bin/wal-g", "--scrape.interval=30s"];
  const { settings } = await translationOf("walg-exporter", { args });
  expect(parse(yaml)).toEqual(settings);
});
