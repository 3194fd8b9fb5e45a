/** Which plugins there are: those in the executable and the files of `plugin_dir`. */
import { readdir, stat } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { builtInPlugins } from "./builtin.ts";
import type { PluginSource } from "./protocol.ts";

/** Plugins by name; a name that two files (or a file and the executable) claim maps to the reason it cannot be used. */
export type Catalogue = ReadonlyMap<string, PluginSource | { readonly problem: string }>;

/** Every user of this machine may put a plugin there. */
export class OpenToAllError extends Error {
  override readonly name = "OpenToAllError";
}

const pluginName = /^[A-Za-z][A-Za-z0-9_-]*$/;
const fileName = /^([A-Za-z][A-Za-z0-9_-]*)\.(?:ts|js)$/;

/**
 * Reads `plugin_dir`: `NAME.ts`, `NAME.js` and `NAME/index.ts`. Tests, declarations and hidden files are passed over.
 * @throws {Error} The directory cannot be read, or others may write to it.
 */
export async function findPlugins(pluginDir: string | undefined): Promise<Catalogue> {
  const found = new Map<string, string[]>();
  if (pluginDir !== undefined) {
    const openness = await opennessOf(pluginDir);
    if (openness !== undefined) throw new OpenToAllError(openness);
    for (const entry of await readdir(pluginDir)) {
      const file = join(pluginDir, entry);
      const match = fileName.exec(entry);
      if (match?.[1]) found.set(match[1], [...(found.get(match[1]) ?? []), file]);
      else if (pluginName.test(entry) && (await isFile(join(file, "index.ts"))))
        found.set(entry, [...(found.get(entry) ?? []), join(file, "index.ts")]);
    }
  }
  const catalogue = new Map<string, PluginSource | { problem: string }>();
  for (const name of Object.keys(builtInPlugins)) catalogue.set(name, { builtIn: name });
  for (const [name, files] of [...found].sort(([a], [b]) => (a < b ? -1 : 1))) {
    const [file = ""] = files;
    const openness =
      (await opennessOf(file)) ?? (file.endsWith("/index.ts") ? await opennessOf(dirname(file)) : undefined);
    if (openness !== undefined) {
      catalogue.set(name, { problem: `the plugin ${JSON.stringify(name)} is not loaded: ${openness}` });
      continue;
    }
    const claims = [...(catalogue.has(name) ? ["the executable"] : []), ...files];
    catalogue.set(
      name,
      claims.length === 1
        ? { file, name }
        : { problem: `the plugin ${JSON.stringify(name)} is in ${claims.join(" and in ")}: rename or remove one` },
    );
  }
  return catalogue;
}

/** Whoever writes a plugin runs as the agent. @returns Why what stands there may be anybody's; undefined where it is not. */
async function opennessOf(path: string): Promise<string | undefined> {
  const found = await stat(path).catch(() => undefined);
  if (found === undefined || (found.mode & 0o002) === 0) return undefined;
  return `every user of this machine may write to ${path}: chmod o-w it`;
}

async function isFile(path: string): Promise<boolean> {
  return await stat(path).then(
    (found) => found.isFile(),
    () => false,
  );
}

const relativeImport = /^\.{1,2}\//;
const transpilers = { ts: new Bun.Transpiler({ loader: "ts" }), js: new Bun.Transpiler({ loader: "js" }) };

/**
 * A digest of a plugin's code: its file and, followed through, the files that it imports by a relative path.
 * A file that cannot be read or parsed counts with what can be had of it: loading the plugin will say the rest.
 */
export async function sourceDigest(source: PluginSource): Promise<string> {
  if ("builtIn" in source) return "built-in";
  const hash = new Bun.CryptoHasher("sha256");
  const seen = new Set<string>();
  const waiting = [source.file];
  for (let path = waiting.pop(); path !== undefined; path = waiting.pop()) {
    const file = (await resolveModule(path)) ?? path;
    if (seen.has(file)) continue;
    seen.add(file);
    const text = await Bun.file(file)
      .text()
      .catch(() => undefined);
    hash.update(`${file}\0${text === undefined ? "-" : `+${text}`}\0`);
    if (text !== undefined) waiting.push(...importsOf(file, text));
  }
  return hash.digest("hex");
}

function importsOf(file: string, text: string): string[] {
  const loader = file.endsWith(".ts") ? "ts" : "js";
  try {
    const imports = transpilers[loader].scanImports(text).map(({ path }) => path);
    return imports.filter((path) => relativeImport.test(path)).map((path) => resolve(dirname(file), path));
  } catch {
    return [];
  }
}

async function resolveModule(path: string): Promise<string | undefined> {
  // A TypeScript file may be imported by the name that it would have as JavaScript.
  const source = path.replace(/\.js$/, ".ts");
  for (const candidate of [path, source, `${path}.ts`, `${path}.js`, join(path, "index.ts"), join(path, "index.js")]) {
    if (await isFile(candidate)) return candidate;
  }
  return undefined;
}
