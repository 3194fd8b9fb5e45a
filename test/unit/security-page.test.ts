/** docs/security.md says which test shows what. */
import { expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { resolve } from "node:path";

const page = new URL("../../docs/security.md", import.meta.url).pathname;
const text = await readFile(page, "utf8");

test("every file that the page names is there", () => {
  const links = [...text.matchAll(/\]\(([^)#]+)(?:#[^)]*)?\)/g)].map(([, link = ""]) => link);
  expect(links.length).toBeGreaterThan(50);
  expect(links.filter((link) => !existsSync(resolve(page, "..", link)))).toEqual([]);
});

test("each row names at least one test", () => {
  const rows = text
    .slice(text.indexOf("## What is there"), text.indexOf("## What is not"))
    .split("\n")
    .filter((line) => line.startsWith("| ") && !/^\| (?:---|\| what)/.test(line));
  expect(rows.filter((row) => !row.includes("../test/"))).toEqual([]);
});
