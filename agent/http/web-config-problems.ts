/** What is wrong with a web config file, each problem with its place. */
import { isMap, isScalar, LineCounter, type Pair, type ParsedNode, parseDocument } from "yaml";
import type { z } from "zod";
import type { Problem } from "../config/config.ts";
import { formatProblem, sortProblems } from "../config/problems.ts";
import { nearest } from "../config/suggestions.ts";
import { knownKeys, type WebConfigInput, webConfigSchema } from "./web-config-schema.ts";

/** The message has a line for each problem: `web.yml:3:14: Cannot read …`. */
export class WebConfigError extends Error {
  readonly problems: readonly Problem[];

  constructor(problems: readonly Problem[]) {
    const sorted = sortProblems(problems);
    super(sorted.map(formatProblem).join("\n"));
    this.problems = sorted;
  }
}

export interface ParsedWebConfig {
  readonly input: WebConfigInput;
  /** A problem with what stands at a path. */
  problemAt(path: readonly PropertyKey[], message: string): Problem;
}

/**
 * Checks the text of a web config file.
 * @param file The file as messages name it.
 * @throws {WebConfigError} All problems at once.
 */
export function parseWebConfig(text: string, file: string): ParsedWebConfig {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, version: "1.2", prettyErrors: false, logLevel: "silent" });
  const at = (offset: number): Pick<Problem, "file" | "line" | "column"> => {
    const { line, col } = lines.linePos(offset);
    return { file, line: Math.max(line, 1), column: Math.max(col, 1) };
  };
  const [slip] = [...document.errors, ...document.warnings];
  if (slip) throw new WebConfigError([{ ...at(slip.pos[0]), message: `Cannot read the YAML: ${slip.message}` }]);
  let value: unknown;
  try {
    value = document.toJS({ maxAliasCount: 100 });
  } catch (cause) {
    throw new WebConfigError([{ ...at(0), message: `Cannot read the YAML: ${String(cause)}` }]);
  }
  // A file that is being written is empty for a moment: that must not open the door.
  if (value === null || value === undefined) {
    const message = "Cannot read the web configuration: the file is empty, expected {} for no TLS and no users";
    throw new WebConfigError([{ ...at(0), message }]);
  }
  const problemAt = (path: readonly PropertyKey[], message: string, ofKey = false): Problem => ({
    ...at(offsetOf(document.contents, path, ofKey)),
    message,
  });
  const result = webConfigSchema.safeParse(value);
  if (result.success) return { input: result.data, problemAt };
  throw new WebConfigError(result.error.issues.flatMap((issue) => problemsOf(issue, problemAt)));
}

function problemsOf(
  issue: z.core.$ZodIssue,
  problemAt: (path: readonly PropertyKey[], message: string, ofKey?: boolean) => Problem,
): Problem[] {
  const where = issue.path.join(".");
  if (issue.code === "unrecognized_keys") {
    const known = knownKeys[where] ?? [];
    return issue.keys.map((key) => {
      const suggestion = nearest(key, known);
      const remedy = suggestion === undefined ? `expected one of ${known.join(", ")}` : `did you mean "${suggestion}"?`;
      const message = `Cannot read ${where || "the web configuration"}: unknown key ${JSON.stringify(key)}, ${remedy}`;
      return problemAt([...issue.path, key], message, true);
    });
  }
  const message = issue.message.startsWith("Invalid input") ? "expected keys and values" : issue.message;
  return [problemAt(issue.path, `Cannot read ${where || "the web configuration"}: ${message}`)];
}

/** The offset of a value, of its key, or of the nearest thing above that is written. */
function offsetOf(root: ParsedNode | null, path: readonly PropertyKey[], ofKey: boolean): number {
  let node: unknown = root;
  let offset = root?.range[0] ?? 0;
  for (const [index, step] of path.entries()) {
    const isLast = index === path.length - 1;
    const pair: Pair | undefined = isMap(node)
      ? node.items.find(({ key }) => isScalar(key) && key.value === step)
      : undefined;
    const next = pair ? pair.value : (node as { items?: unknown[] } | null)?.items?.[Number(step)];
    if (pair && isLast && ofKey) return startOf(pair.key) ?? offset;
    if (next === undefined) return offset;
    offset = startOf(next) ?? startOf(pair?.key) ?? offset;
    // A block mapping starts at its first key: its own key says more.
    if (pair && isMap(next) && !next.flow) offset = startOf(pair.key) ?? offset;
    node = next;
  }
  return offset;
}

function startOf(node: unknown): number | undefined {
  return (node as { range?: readonly number[] } | null | undefined)?.range?.[0];
}
