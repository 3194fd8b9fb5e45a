/** The files of a configuration: the main one and those of `plugins.d` beside it, read into one set of entries. */
import { lstat, readdir, stat } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import type { Problem } from "./config.ts";
import { formatPlace } from "./problems.ts";
import { reasonOf } from "./read-file.ts";
import { type Reference, type Resolved, resolveReference } from "./references.ts";
import { settingsSchema } from "./schema.ts";
import { isMapping, referencesIn, writtenIn } from "./tree.ts";
import type { WrittenEntry } from "./written.ts";
import { parseYaml, readYamlFile, type YamlFile, type YamlRead } from "./yaml-file.ts";

/** What the files say together. */
export interface Sources {
  /** The main file's top level; undefined where it could not be read. */
  readonly main: WrittenEntry | undefined;
  /** Absolute paths of `${file:…}` that every user of the machine can read, certificates left out. */
  readonly openSecretFiles: readonly string[];
  /** Instances of all files by name, in the order of files. */
  readonly instances: ReadonlyMap<string, WrittenEntry>;
}

/**
 * Reads the main file, and beside it `plugins.d/*.yaml` and `*.yml` in the order of their names, hidden ones left out.
 * @param file As the user wrote it; relative to `cwd`.
 * @param text Its content, instead of what the file holds; `plugins.d` is none of it then, and nothing has a line, for nobody has seen it.
 */
export async function readSources(
  file: string,
  cwd: string,
  environment: Readonly<Record<string, string | undefined>>,
  report: (problem: Problem) => void,
  text: string | undefined,
): Promise<Sources> {
  const reads = [text === undefined ? await readYamlFile(resolve(cwd, file), file) : unseen(text, file)];
  const names = text === undefined ? await filesOfPluginsFolder(file, cwd, report) : [];
  for (const name of names) reads.push(await readYamlFile(resolve(cwd, name), name));
  for (const problem of reads.flatMap((read) => ("problems" in read ? read.problems : []))) report(problem);

  const openSecretFiles: string[] = [];
  const sought = { environment, folder: dirname(resolve(cwd, file)) };
  const value = await valuesOf(reads, sought, (path) => openSecretFiles.push(path));
  const [main, ...others] = reads.map((read) => topLevel(read, value, report));
  if (main && !isMapping(main.written.value)) {
    const found = main.written.value === null ? "nothing in it" : "no mapping at its top level";
    report({ ...main.key, message: `Cannot read the configuration: ${found}, expected keys such as "plugins:"` });
  }
  const plugins = main?.written.children.get("plugins")?.written;
  const instances = new Map(isMapping(plugins?.value) ? plugins?.children : []);
  for (const other of others) if (other) addInstances(other, instances, report);
  return { main: isMapping(main?.written.value) ? main : undefined, openSecretFiles, instances };
}

function unseen(text: string, file: string): YamlRead {
  const read = parseYaml(new TextEncoder().encode(text), file);
  const whole = { file, line: 0, column: 0 };
  if ("problems" in read) return { problems: read.problems.map((problem) => ({ ...problem, ...whole })) };
  return { yaml: { ...read.yaml, placeAt: () => whole } };
}

async function filesOfPluginsFolder(file: string, cwd: string, report: (problem: Problem) => void): Promise<string[]> {
  const folder = join(dirname(file), "plugins.d");
  try {
    const names = await readdir(resolve(cwd, folder));
    return names
      .filter((name) => /^[^.].*\.ya?ml$/.test(name))
      .sort()
      .map((name) => join(folder, name));
  } catch (error) {
    const { code } = error as { code?: string };
    // A link that leads nowhere, as to a mount that is gone, is no folder that never was: a reload would stop its instances.
    if (code === "ENOENT" && !(await lstat(resolve(cwd, folder)).catch(() => undefined))) return [];
    report({ file: folder, line: 0, column: 0, message: `Cannot read the folder: ${reasonOf(error)}` });
    return [];
  }
}

type Sought = { readonly environment: Readonly<Record<string, string | undefined>>; readonly folder: string };

/** Reads what stands behind all references, each once. */
async function valuesOf(
  reads: readonly YamlRead[],
  sought: Sought,
  foundOpen: (path: string) => void,
): Promise<(reference: Reference) => Resolved> {
  const keyOf = ({ kind, name, fallback }: Reference) => JSON.stringify([kind, name, fallback]);
  const values = new Map<string, Resolved>();
  for (const reference of reads.flatMap((read) => ("yaml" in read ? referencesIn(read.yaml) : []))) {
    const key = keyOf(reference);
    if (values.has(key)) continue;
    const resolved = await resolveReference(reference, sought);
    values.set(key, resolved);
    const path = resolve(sought.folder, reference.name);
    if (reference.kind === "file" && "value" in resolved && (await isOpenSecret(path, resolved.value))) foundOpen(path);
  }
  return (reference) => values.get(keyOf(reference)) ?? { missing: "it was not looked up" };
}

async function isOpenSecret(path: string, value: string): Promise<boolean> {
  const found = await stat(path).catch(() => undefined);
  return found?.isFile() === true && (found.mode & 0o004) !== 0 && !value.includes("BEGIN CERTIFICATE");
}

function topLevel(
  read: YamlRead,
  value: (reference: Reference) => Resolved,
  report: (problem: Problem) => void,
): WrittenEntry | undefined {
  if (!("yaml" in read)) return undefined;
  const yaml: YamlFile = read.yaml;
  return { key: yaml.placeAt(0), written: writtenIn(yaml, value, report) };
}

/** Adds the instances of a file of `plugins.d`; one without any content adds none. */
function addInstances(
  { key: start, written }: WrittenEntry,
  instances: Map<string, WrittenEntry>,
  report: (problem: Problem) => void,
): void {
  if (written.value === null) return;
  if (!isMapping(written.value)) {
    report({ ...start, message: "Cannot read the instances: expected a mapping of instance names to their settings" });
    return;
  }
  for (const [name, entry] of written.children) {
    const first = instances.get(name);
    if (name === "plugins") {
      const message = 'Cannot use "plugins:" here: expected the instances themselves at the top level of this file';
      report({ ...entry.key, message });
    } else if (Object.hasOwn(settingsSchema.shape, name) && !isMapping(entry.written.value)) {
      const message = `Cannot set ${name} here: expected it in the main file, this one holds instances only`;
      report({ ...entry.key, message });
    } else if (first) {
      const message = `Cannot take the instance ${JSON.stringify(name)} twice: the first is at ${formatPlace(first.key)}`;
      report({ ...entry.key, message });
    } else instances.set(name, entry);
  }
}
