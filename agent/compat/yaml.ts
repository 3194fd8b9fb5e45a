/** A translation as holdfast's own configuration. */
import { Document, isScalar, visit } from "yaml";
import { forTerminal } from "../system/terminal.ts";
import type { Translation } from "./tool.ts";

/**
 * @param use `run`: the originals open one port, so the agent has none of its own. `keep`: for a file, where it has its usual one.
 * @param comments Stand at the top, a line each.
 */
export function yamlOf(
  { plugin, log, instance, notes, remarks = [] }: Translation,
  use: "run" | "keep",
  comments: readonly string[] = [],
): string {
  const document = new Document({
    ...(use === "run" && instance.listen !== undefined ? { listen: [] } : {}),
    ...(log ? { log: without(log) } : {}),
    plugins: { [plugin]: without(instance) },
  });
  visit(document, {
    Scalar(key, node) {
      // Without quotes a variable of digits would become a number, and inside {} it would not be read at all.
      if (key !== "key" && isScalar(node) && typeof node.value === "string" && node.value.includes("${"))
        node.type = "QUOTE_DOUBLE";
    },
  });
  const lines = use === "keep" ? [...comments, ...notes, ...remarks] : [];
  // An argument or a key may have several lines itself.
  const head = lines.map((line) => `# ${forTerminal(line.replaceAll(/[\r\n\u0085\u2028\u2029]+/g, " "))}\n`).join("");
  return `${head}${document.toString({ lineWidth: 0 })}`;
}

/** Without what is undefined, at any depth. */
function without(value: unknown): unknown {
  if (Array.isArray(value) || typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value).filter(([, inner]) => inner !== undefined);
  return Object.fromEntries(entries.map(([key, inner]) => [key, without(inner)]));
}
