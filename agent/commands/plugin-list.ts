import { existsSync } from "node:fs";
import { resolve } from "node:path";
import { messageOf } from "../host/failures.ts";
import { PluginWorker } from "../host/plugin-worker.ts";
import { type Catalogue, findPlugins } from "../host/plugins.ts";
import { endOnStop } from "../system/signals.ts";
import type { Command } from "./command.ts";
import { configFlag, defaultConfigFile, readConfig, reportProblems } from "./configuration.ts";

/** One plugin as it is listed. */
interface Row {
  readonly name: string;
  /** `built-in`, or the path of its file. */
  readonly source: string;
  readonly version?: string;
  readonly description?: string;
  readonly error?: string;
}

const deadlineMs = 10_000;

export const command: Command = {
  name: "plugin list",
  summary: "Lists the plugins in the executable and those of the plugin_dir.",
  flags: [
    { ...configFlag, help: `Take the plugin_dir of this configuration. Default: ${defaultConfigFile}, if it is there` },
    { name: "plugin-dir", value: "DIR", help: "Take this plugin_dir." },
    { name: "json", help: "Print JSON." },
  ],
  details: "Exit status 1 when a plugin cannot be loaded; it is listed with its error.",
  async run(flags) {
    endOnStop();
    let pluginDir = flags.text("plugin-dir");
    if (pluginDir === undefined && (flags.isSet("config.file") || existsSync(defaultConfigFile))) {
      const read = await readConfig(flags);
      if ("problems" in read) return reportProblems(read.problems);
      pluginDir = read.config.pluginDir;
    }
    const catalogue = await findPlugins(pluginDir === undefined ? undefined : resolve(pluginDir));
    const rows = await Promise.all([...catalogue].map(([name, source]) => describe(name, source)));
    process.stdout.write(flags.isSet("json") ? `${JSON.stringify(rows, null, 2)}\n` : table(rows));
    return rows.some(({ error }) => error !== undefined) ? 1 : 0;
  },
};

type Source = Catalogue extends ReadonlyMap<string, infer Entry> ? Entry : never;

async function describe(name: string, source: Source): Promise<Row> {
  if ("problem" in source) return { name, source: "?", error: source.problem };
  const row = { name, source: "file" in source ? source.file : "built-in" };
  const worker = new PluginWorker();
  try {
    const { version, description } = await worker.load(source, deadlineMs);
    return { ...row, ...(version === undefined ? {} : { version }), description };
  } catch (error) {
    return { ...row, error: messageOf(error) };
  } finally {
    worker.end({ reason: "exception", message: "listed" });
  }
}

function table(rows: readonly Row[]): string {
  const cells = rows.map(({ name, source, version, description, error }) => [
    name,
    version ?? "-",
    source,
    error === undefined ? (description ?? "") : `Cannot be loaded: ${error}`,
  ]);
  const lines = [["NAME", "VERSION", "SOURCE", "DESCRIPTION"], ...cells];
  const widths = [0, 1, 2].map((column) => Math.max(...lines.map((line) => line[column]?.length ?? 0)));
  return lines.map((line) => `${line.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join("  ")}\n`).join("");
}
