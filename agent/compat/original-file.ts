/** Configuration files of the originals: YAML or JSON, read as they read them. */
import { extname, resolve } from "node:path";
import { parse } from "yaml";
import { UsageError } from "../commands/command.ts";
import { readUpTo } from "../config/read-file.ts";

const maxFileBytes = 2 ** 20;

/**
 * The tree that a file holds; an empty file holds an empty one.
 * @param extensions With the dot; others are refused, as the original does.
 * @throws {UsageError} It cannot be read, or is no mapping.
 */
export async function readOriginalFile(
  file: string,
  cwd: string,
  extensions: readonly string[],
): Promise<Readonly<Record<string, unknown>>> {
  const cannot = (why: string) => new UsageError(`Cannot read the configuration ${file}: ${why}`);
  const extension = extname(file).toLowerCase();
  if (!extensions.includes(extension)) throw cannot(`expected a name that ends in ${extensions.join(", ")}`);
  const read = await readUpTo(resolve(cwd, file), maxFileBytes);
  if ("problem" in read) throw cannot(read.problem);
  const text = new TextDecoder().decode(read.bytes);
  let tree: unknown;
  try {
    tree = extension === ".json" ? JSON.parse(text) : parse(text);
  } catch (error) {
    throw cannot(error instanceof Error ? (error.message.split("\n")[0] ?? "").replace(/:$/, "") : String(error));
  }
  if (tree === null || tree === undefined) return {};
  if (typeof tree === "object" && !Array.isArray(tree)) return tree as Record<string, unknown>;
  throw cannot("expected keys and values");
}
