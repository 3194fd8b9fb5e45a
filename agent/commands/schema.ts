import { resolve } from "node:path";
import { configJsonSchema } from "../config/json-schema.ts";
import { loadConfig } from "../config/load.ts";
import { messageOf } from "../host/failures.ts";
import { PluginWorker } from "../host/plugin-worker.ts";
import { findPlugins } from "../host/plugins.ts";
import type { Command } from "./command.ts";
import { configFlag } from "./configuration.ts";

const deadlineMs = 10_000;

export const command: Command = {
  name: "schema",
  summary: "Prints the JSON Schema of the configuration, for editors.",
  flags: [
    { ...configFlag, help: "Take third-party plugins from the plugin_dir of this configuration." },
    { name: "plugin-dir", value: "DIR", help: "Take third-party plugins from here." },
  ],
  async run(flags) {
    const file = flags.text("config.file");
    let pluginDir = flags.text("plugin-dir");
    if (pluginDir === undefined && file !== undefined) {
      const read = await loadConfig(file, { environment: process.env });
      const config = "config" in read ? read.config : read.readable;
      if (!config) throw new Error(`Cannot read ${file}: see holdfast check --config.file=${file}`);
      pluginDir = config.pluginDir;
    }
    let status = 0;
    const schemas: Parameters<typeof configJsonSchema>[0] = [];
    for (const [name, source] of await findPlugins(pluginDir && resolve(pluginDir))) {
      const worker = new PluginWorker();
      try {
        if ("problem" in source) throw new Error(source.problem);
        const { description } = await worker.load(source, deadlineMs);
        schemas.push({ name, description, schema: (await worker.describe(deadlineMs)) as Record<string, unknown> });
      } catch (error) {
        process.stderr.write(`holdfast: Left out plugin ${JSON.stringify(name)}: ${messageOf(error)}\n`);
        status = 1;
      } finally {
        worker.end({ reason: "exception", message: "done" });
      }
    }
    process.stdout.write(`${JSON.stringify(configJsonSchema(schemas), null, 2)}\n`);
    return status;
  },
};
