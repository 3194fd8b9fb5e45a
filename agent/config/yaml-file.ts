/** One YAML file: its bytes to a checked document, with the places of everything in it. */
import { type Document, LineCounter, parseDocument, type YAMLError } from "yaml";
import type { Place, Problem } from "./config.ts";
import { readUpTo } from "./read-file.ts";

/** A document without syntax errors. */
export interface YamlFile {
  readonly document: Document.Parsed;
  /** The place of an offset in the text, line and column from 1. */
  placeAt(offset: number): Place;
}

export type YamlRead = { readonly yaml: YamlFile } | { readonly problems: readonly Problem[] };

const maxFileBytes = 8 * 2 ** 20;

/** Reads a file. `name` is how messages call it, as the user wrote it. */
export async function readYamlFile(path: string, name: string): Promise<YamlRead> {
  const read = await readUpTo(path, maxFileBytes);
  if ("bytes" in read) return parseYaml(read.bytes, name);
  const message = `Cannot read the configuration: ${read.problem}`;
  return { problems: [{ file: name, line: 0, column: 0, message }] };
}

/** Parses YAML 1.2 with merge keys. Never throws, whatever the bytes. */
export function parseYaml(bytes: Uint8Array, name: string): YamlRead {
  const badLine = firstLineNotUtf8(bytes);
  if (badLine !== undefined) return refuse(name, badLine, "bytes that are not UTF-8, expected UTF-8 text");
  // The decoder drops a byte order mark, which would else shift the columns of the first line.
  const text = new TextDecoder().decode(bytes);
  const control = text.search(/[\0-\x08\x0b\x0c\x0e-\x1f\x7f]/);
  if (control >= 0) {
    const before = text.slice(0, control);
    const column = control - before.lastIndexOf("\n");
    return refuse(name, before.split("\n").length, "a control character, expected text", column);
  }
  const lines = new LineCounter();
  let document: Document.Parsed;
  try {
    document = parseDocument(text, {
      lineCounter: lines,
      version: "1.2",
      schema: "core",
      merge: true,
      prettyErrors: false,
      // Duplicate keys are looked for where the tree is made: there both places are known.
      uniqueKeys: false,
      // Not "silent": that lets a second document pass.
      logLevel: "error",
    });
  } catch (error) {
    // The parser recurses: brackets by the thousand exhaust the stack.
    const found = error instanceof RangeError ? "it is nested too deeply" : String(error);
    return refuse(name, 1, found);
  }
  const placeAt = (offset: number): Place => {
    const { line, col } = lines.linePos(offset);
    return { file: name, line: Math.max(line, 1), column: Math.max(col, 1) };
  };
  const mistakes = [...document.errors, ...document.warnings];
  if (mistakes.length === 0) return { yaml: { document, placeAt } };
  // After a mistake the parser stumbles over all that follows.
  const first = mistakes.filter(({ message }, index) => index === 0 || !message.includes("in YAML stream"));
  const problems = first.map((mistake) => ({
    ...placeAt(mistake.pos[0]),
    message: `Cannot read the YAML: ${inWords(mistake, text)}`,
  }));
  return { problems: firstOfEachLine(problems) };
}

/** The mistake in words; those of the parser speak to programmers where people need a remedy. */
function inWords({ code, message, pos }: YAMLError, text: string): string {
  const near = text.slice(Math.max(0, pos[0] - 2), pos[0] + 2);
  // Inside {} and [] a brace ends a plain scalar.
  if (code === "UNEXPECTED_TOKEN" && near.includes("${")) {
    return `a reference inside {} or [] without quotes, expected it quoted as in "\${NAME}"`;
  }
  if (code === "TAB_AS_INDENT") return "a tab, expected spaces for indentation";
  if (code === "MULTIPLE_DOCS") return "a second document begins here, expected one only";
  if (code === "TAG_RESOLVE_FAILED") {
    const tag = text.slice(pos[0], pos[1]).trim();
    return `the tag ${JSON.stringify(tag)} does not fit or is unknown, expected a plain value`;
  }
  if (code === "BLOCK_AS_IMPLICIT_KEY") {
    return 'a second "key:" in one value, expected a line of its own, indented like its neighbours, or quotes';
  }
  return message.charAt(0).toLowerCase() + message.slice(1);
}

/** One slip often makes the parser stumble over the rest of its line. */
function firstOfEachLine(problems: readonly Problem[]): Problem[] {
  const lines = new Set<number>();
  return problems.filter(({ line }) => !lines.has(line) && lines.add(line));
}

function refuse(file: string, line: number, found: string, column = 1): YamlRead {
  return { problems: [{ file, line, column, message: `Cannot read the YAML: ${found}` }] };
}

function firstLineNotUtf8(bytes: Uint8Array): number | undefined {
  const strict = new TextDecoder("utf-8", { fatal: true });
  const isUtf8 = (part: Uint8Array): boolean => {
    try {
      strict.decode(part);
      return true;
    } catch {
      return false;
    }
  };
  if (isUtf8(bytes)) return undefined;
  let line = 1;
  for (let start = 0; start < bytes.length; line++) {
    const newline = bytes.indexOf(0x0a, start);
    const end = newline < 0 ? bytes.length : newline + 1;
    if (!isUtf8(bytes.subarray(start, end))) return line;
    start = end;
  }
  return 1;
}
