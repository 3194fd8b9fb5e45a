import { readdir, rename, rm, rmdir, stat } from "node:fs/promises";
import { dirname, join, relative, resolve } from "node:path";
import { builtInPlugins } from "../host/builtin.ts";
import { endOnStop } from "../system/signals.ts";
import { type Command, UsageError } from "./command.ts";
import { type Files, readAuthorKit } from "./scaffold/kit.ts";
import { editorFiles, metricPrefix, pluginFiles } from "./scaffold/plugin-files.ts";
import { writeFiles } from "./scaffold/write-files.ts";

export const command: Command = {
  name: "plugin new",
  summary: "Writes a new plugin, its test, and types for an editor.",
  operands: { usage: "NAME [DIR]", least: 1, most: 2 },
  flags: [{ name: "types", help: "Write the types of an existing plugin anew, and nothing else." }],
  details:
    "The plugin is written to DIR/NAME; DIR is the plugin_dir of a configuration. Default: the current folder. No file is overwritten.",
  async run(flags, [name = "", dir = "."]) {
    endOnStop();
    const folder = join(resolve(dir), name);
    checkName(name);
    if (flags.isSet("types")) await renewTypes(folder);
    else {
      await checkFree(dir, name);
      const kit = await readAuthorKit();
      await writeFolder(folder, { ...pluginFiles(kit, name), ...editorFiles(kit) });
      process.stdout.write(nextSteps(name, folder));
    }
    return 0;
  },
};

const pluginName = /^[A-Za-z][A-Za-z0-9_-]*$/;

/** @throws {UsageError} The name is none that a new plugin can have. */
function checkName(name: string): void {
  const refuse = (why: string): never => {
    throw new UsageError(`Cannot name a plugin ${JSON.stringify(name)}: ${why}`);
  };
  if (!pluginName.test(name)) refuse("expected a letter, then letters, digits, _ and - only");
  if (Object.hasOwn(builtInPlugins, name)) refuse("the executable has a plugin of that name");
  if (/^(holdfast|process)(_|$)/.test(metricPrefix(name))) {
    refuse("its metrics would begin with holdfast_ or process_, which are the agent's own");
  }
}

/** @throws {Error} There is something of that name. */
async function checkFree(dir: string, name: string): Promise<void> {
  for (const taken of [join(dir, `${name}.ts`), join(dir, `${name}.js`), join(dir, name)]) {
    const isEmpty = (await readdir(taken).catch(() => undefined))?.length === 0;
    if (!isEmpty && (await exists(taken))) {
      throw new Error(`Cannot write the plugin ${JSON.stringify(name)}: ${taken} is there already`);
    }
  }
}

/** Writes all files beside and renames the folder: it is there whole or not at all. An empty one is replaced. */
async function writeFolder(folder: string, files: Files): Promise<void> {
  const unfinished = join(dirname(folder), `.${Bun.randomUUIDv7()}.unfinished`);
  try {
    await writeFiles(unfinished, files);
    await rename(unfinished, folder);
  } catch (cause) {
    await rm(unfinished, { recursive: true, force: true }).catch(() => {});
    throw new Error(`Cannot write ${folder}`, { cause });
  }
}

async function renewTypes(folder: string): Promise<void> {
  if (!(await exists(join(folder, "index.ts")))) {
    throw new Error(`Cannot write types beside a plugin: expected one at ${join(folder, "index.ts")}`);
  }
  const types = join(folder, ".holdfast");
  const unfinished = join(folder, `.${Bun.randomUUIDv7()}.unfinished`);
  try {
    await writeFiles(unfinished, editorFiles(await readAuthorKit()));
    await rm(types, { recursive: true, force: true });
    await rename(join(unfinished, ".holdfast"), types);
    await rmdir(unfinished);
  } catch (cause) {
    await rm(unfinished, { recursive: true, force: true }).catch(() => {});
    throw new Error(`Cannot write ${types}`, { cause });
  }
  process.stdout.write(`Wrote ${types}\n`);
}

function nextSteps(name: string, folder: string): string {
  const shown = relative("", folder);
  const path = shown === "" || shown.startsWith("..") ? folder : shown;
  return `Wrote ${path}:
  index.ts                 the plugin
  index.test.ts            its test
  recordings/              what a command printed, for the test
  tsconfig.json .holdfast  types for an editor; nothing is to be installed

Run its test:
  holdfast plugin test ${path}

Add it to the configuration:
  plugin_dir: ${dirname(folder)}
  plugins:
    ${name}:
      config: { directory: /var/spool }

See what it collects:
  holdfast collect ${name} --config.file=holdfast.yml
`;
}

async function exists(path: string): Promise<boolean> {
  return await stat(path).then(
    () => true,
    (error: { code?: string }) => {
      if (error.code === "ENOENT" || error.code === "ENOTDIR") return false;
      throw error;
    },
  );
}
