/** pgrwl's configuration, from a file or from variables: its keys with their values, secrets as references. */
import { type OriginalKey, originalKeys, type Scalar } from "../../plugins/common/wal-archive/original-keys.ts";
import { UsageError } from "../commands/command.ts";
import { nearest } from "../config/suggestions.ts";
import { readOriginalFile } from "./original-file.ts";
import { type Invocation, literal } from "./tool.ts";
import { durationOf } from "./values.ts";

type Environment = Invocation["environment"];

export interface OriginalConfig {
  /** By the key's name with dots; texts are in holdfast's notation. What is empty is left out, as if it were not written. */
  readonly written: ReadonlyMap<string, Scalar>;
  readonly notes: readonly string[];
}

const secretKeys: ReadonlySet<string> = new Set([
  "storage.encryption.pass",
  "storage.sftp.pass",
  "storage.sftp.pkey_pass",
  "storage.s3.access_key_id",
  "storage.s3.secret_access_key",
]);
/** Without these the storage cannot be used: a variable that is missing is told by its name. */
const neededSecrets: ReadonlySet<string> = new Set([
  "storage.encryption.pass",
  "storage.s3.access_key_id",
  "storage.s3.secret_access_key",
]);

const keys = new Map(originalKeys.map((key) => [key.key, key]));
/** Sections that are no keys themselves, such as `storage.s3`. */
const sections = new Set(
  originalKeys.flatMap(({ key }) =>
    key.split(".").flatMap((_, index, steps) => (index === 0 ? [] : steps.slice(0, index).join("."))),
  ),
);

/** @throws {UsageError} The file cannot be read, or a value is none of its kind; all of them are named. */
export async function readConfigFile(file: string, environment: Environment, cwd: string): Promise<OriginalConfig> {
  const tree = await readOriginalFile(file, cwd, [".json", ".yml", ".yaml"]);
  const found: [string, unknown][] = [];
  const notes: string[] = [];
  const look = (value: unknown, path: string): void => {
    if (sections.has(path) || path === "") {
      if (value === null || value === undefined) return;
      if (typeof value !== "object" || Array.isArray(value)) {
        notes.push(`${file}: ${path} has no keys below it, and is ignored`);
        return;
      }
      // Go reads keys in any case.
      for (const [name, inner] of Object.entries(value)) look(inner, `${path}${path ? "." : ""}${name.toLowerCase()}`);
    } else if (keys.has(path)) found.push([path, value]);
    else {
      const hint = nearest(path, [...keys.keys(), ...sections]);
      notes.push(
        `${file}: the key ${path} is unknown, and ignored${hint === undefined ? "" : `; did you mean ${hint}?`}`,
      );
    }
  };
  look(tree, "");
  return collect(found, environment, file, notes);
}

/** The later generation's way without a file: `PGRWL_MAIN_DIRECTORY` is `main.directory`. @throws {UsageError} */
export function readVariables(environment: Environment): OriginalConfig {
  const found = originalKeys.flatMap(({ key }): [string, unknown][] => {
    const variable = `PGRWL_${key.replaceAll(".", "_").toUpperCase()}`;
    return environment[variable] ? [[key, `\${${variable}}`]] : [];
  });
  // The code reads PGRWL_BACKUP_RETENTION_… where its README has PGRWL_RETENTION_….
  const isWindow = !["time", "count"].includes(environment.PGRWL_BACKUP_RETENTION_TYPE ?? "");
  const renamed = found.map(([key, value]): [string, unknown] => [
    isWindow ? key.replace(/^backup\.retention\./, "retention.") : key,
    value,
  ]);
  return collect(renamed, environment, "the environment", []);
}

function collect(
  found: readonly (readonly [string, unknown])[],
  environment: Environment,
  source: string,
  notes: readonly string[],
): OriginalConfig {
  const written = new Map<string, Scalar>();
  const problems: string[] = [];
  const more: string[] = [];
  const storage = expand(String(found.find(([key]) => key === "storage.name")?.[1] ?? ""), environment);
  // Sections of the other storages stand in many files, and mean nothing.
  const isOfStorage = (key: string) => !/^storage\.(?:s3|sftp)\./.test(key) || key.startsWith(`storage.${storage}.`);
  for (const [key, value] of found) {
    if (value === null || value === undefined || !isOfStorage(key)) continue;
    const known = keys.get(key);
    if (typeof value === "object" || !known) {
      problems.push(`${key}: expected one value`);
      continue;
    }
    const text = expand(String(value), environment);
    if (text === "" && !(secretKeys.has(key) && neededSecrets.has(key) && String(value) !== "")) {
      if (String(value) !== "") more.push(`${key} is ${String(value)}, which is empty here, and is left out`);
      continue;
    }
    try {
      const read = secretKeys.has(key) ? asReferences(String(value)) : scalarOf(known, text);
      written.set(key, read);
    } catch (error) {
      problems.push(error instanceof Error ? error.message : String(error));
    }
  }
  if (problems.length > 0) throw new UsageError(`invalid config in ${source}:\n  - ${problems.join("\n  - ")}`);
  return { written, notes: [...notes, ...more] };
}

const placeholder = /\$\{(PGRWL_\w+)\}|\$(PGRWL_\w+)/g;

/** With what the environment has in place of `${PGRWL_NAME}` and `$PGRWL_NAME`; any other dollar stays. */
function expand(text: string, environment: Environment): string {
  return text.replace(placeholder, (_, braced?: string, bare?: string) => environment[braced ?? bare ?? ""] ?? "");
}

/** The same placeholders as holdfast's references. */
function asReferences(text: string): string {
  const parts: string[] = [];
  let end = 0;
  for (const match of text.matchAll(placeholder)) {
    parts.push(literal(text.slice(end, match.index)), `\${${match[1] ?? match[2]}}`);
    end = match.index + match[0].length;
  }
  return [...parts, literal(text.slice(end))].join("");
}

function scalarOf({ key, value }: OriginalKey, text: string): Scalar {
  const wrong = (expected: string) => new UsageError(`${key} ${JSON.stringify(text)}: expected ${expected}`);
  switch (value) {
    case "flag":
      if (!/^(?:true|false)$/i.test(text)) throw wrong("true or false");
      return text.toLowerCase() === "true";
    case "number":
      // `retention.value` of a count has its own meaning, and is no duration.
      if (!/^\d+$/.test(text)) throw wrong("a whole number");
      return Number(text);
    case "duration":
      return /^\d+$/.test(text) ? Number(text) : durationOf(key, text);
    case "text":
      return literal(text);
  }
}
