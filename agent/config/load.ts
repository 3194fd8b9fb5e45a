/** Loads a configuration: files to an {@link AgentConfig}, or everything that is wrong with them, all at once. */
import { dirname, resolve } from "node:path";
import { noAddress, sameAddresses, sameLabels } from "./checks.ts";
import type { AgentConfig, Problem } from "./config.ts";
import { type Flags, readFlags } from "./flags.ts";
import { readInstance } from "./instance.ts";
import { problemsOf, rememberSubject } from "./issues.ts";
import { instanceListeners, settingsListeners } from "./listeners.ts";
import { sortProblems } from "./problems.ts";
import { type Settings, settingsSchema } from "./schema.ts";
import { soundPart } from "./sound-part.ts";
import { readSources } from "./sources.ts";
import { isMapping } from "./tree.ts";
import { find, type WrittenEntry } from "./written.ts";

export interface LoadOptions {
  /** Where `${NAME}` and `$CREDENTIALS_DIRECTORY` are looked up. */
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** What a relative `file` and the flags' paths start from. Default: the process's. */
  readonly cwd?: string;
  /** Flags: each wins over the file. */
  readonly overrides?: Flags;
  /** The whole configuration: `file` is not read then, but names it, and relative paths start beside it. */
  readonly text?: string;
}

export type LoadResult =
  | { readonly config: AgentConfig }
  | {
      /** In the order of files and lines; never empty. */
      readonly problems: Problem[];
      /**
       * What could be read: defaults for broken settings, and of instances what is right. Good for looking
       * for more problems, never for running. Undefined where the main file could not be read at all.
       */
      readonly readable: AgentConfig | undefined;
    };

/** Loads the main file `file` and `plugins.d` beside it. Never throws for what a user wrote. */
export async function loadConfig(file: string, options: LoadOptions): Promise<LoadResult> {
  const { environment, cwd = process.cwd(), overrides = {} } = options;
  const problems: Problem[] = [];
  const report = (problem: Problem): void => void problems.push(problem);
  const sources = await readSources(file, cwd, environment, report, options.text);
  const folder = dirname(resolve(cwd, file));

  const { settings, broken } = readSettings(sources.main, report);
  const instances = [...sources.instances].flatMap(([name, entry]) => readInstance(name, entry, folder, report) ?? []);
  const flags = readFlags(overrides, cwd, report);
  const listen = flags.listen ?? settingsListeners(settings.listen, sources.main);
  for (const problem of sameLabels(instances)) report(problem);
  const place = placesOf(file, sources.main);
  if (!broken.has("listen")) for (const problem of noAddress(listen, instances, place)) report(problem);
  const known = broken.has("listen") && !flags.listen ? [] : listen;
  for (const problem of sameAddresses([...known, ...instanceListeners(instances, sources.instances)])) report(problem);

  const config: AgentConfig = {
    file: resolve(cwd, file),
    listen: listen.map(({ address }) => address),
    pluginDir: settings.plugin_dir === undefined ? undefined : resolve(folder, settings.plugin_dir),
    log: {
      level: flags.logLevel ?? settings.log?.level ?? "info",
      format: flags.logFormat ?? settings.log?.format ?? "logfmt",
    },
    webConfig:
      flags.webConfig ?? (settings.web_config === undefined ? undefined : resolve(folder, settings.web_config)),
    ...(sources.openSecretFiles.length > 0 ? { openSecretFiles: sources.openSecretFiles } : {}),
    enableReload: settings.enable_reload,
    maxRequests: flags.maxRequests ?? settings.max_requests,
    instances,
    place,
  };
  if (problems.length === 0) return { config };
  return { problems: sortProblems(problems), readable: sources.main ? config : undefined };
}

/** Where keys of the main file stand; a file that could not be read is a place as a whole. */
function placesOf(file: string, main: WrittenEntry | undefined): AgentConfig["place"] {
  if (!main) return () => ({ file, line: 0, column: 0 });
  const place: AgentConfig["place"] = (path) => find(main, path).place;
  rememberSubject(place, { name: "", entry: main });
  return place;
}

/** The top level without its instances; a key that is wrong is `broken` and gets its default. */
function readSettings(main: WrittenEntry | undefined, report: (problem: Problem) => void): ReadSettings {
  if (!main) return { settings: settingsSchema.parse({}), broken: new Set() };
  const { plugins, ...rest } = main.written.value as Record<string, unknown>;
  // The instances are read one by one, so that one that is wrong hides nothing of the others.
  const given = isMapping(plugins) || plugins === undefined ? rest : { ...rest, plugins };
  const { data, issues, broken } = soundPart(settingsSchema, given);
  for (const problem of problemsOf({ name: "", entry: main }, issues)) report(problem);
  return { settings: data ?? settingsSchema.parse({}), broken };
}

interface ReadSettings {
  readonly settings: Settings;
  readonly broken: ReadonlySet<PropertyKey>;
}
