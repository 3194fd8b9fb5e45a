/** What a command line of an original becomes, as plain data. */
import { parse } from "yaml";
import type { OriginalName } from "../../../agent/compat/names.ts";
import type { Tool } from "../../../agent/compat/tool.ts";
import { yamlOf } from "../../../agent/compat/yaml.ts";

const tools: Readonly<Record<OriginalName, () => Promise<{ tool: Tool }>>> = {
  "walg-exporter": () => import("../../../agent/compat/walg-exporter.ts"),
  barman_exporter: () => import("../../../agent/compat/barman-exporter.ts"),
  "barman-exporter": () => import("../../../agent/compat/barman-predecessor.ts"),
  pgrwl: () => import("../../../agent/compat/pgrwl.ts"),
  prombackup: () => import("../../../agent/compat/prombackup.ts"),
  "prombackup-server": () => import("../../../agent/compat/prombackup-server.ts"),
};

export interface Told {
  readonly args?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  readonly cwd?: string;
}

export async function planOf(name: OriginalName, { args = [], environment = {}, cwd = "/srv" }: Told) {
  const { tool } = await tools[name]();
  return await tool.plan({ args, environment, cwd });
}

export async function translationOf(name: OriginalName, told: Told) {
  const plan = await planOf(name, told);
  if (!("translate" in plan)) throw new Error(`Expected a configuration, found ${JSON.stringify(plan)}`);
  const translation = await plan.translate();
  const yaml = yamlOf(translation, "keep");
  return { ...translation, yaml, settings: parse(yaml) as { plugins: Record<string, Record<string, unknown>> } };
}

/** The instance's `config:`. */
export async function configOf(name: OriginalName, told: Told): Promise<Record<string, unknown>> {
  const { settings } = await translationOf(name, told);
  const [instance] = Object.values(settings.plugins);
  return (instance?.config ?? {}) as Record<string, unknown>;
}

/** The message of what is refused. */
export async function refusalOf(name: OriginalName, told: Told): Promise<string> {
  try {
    await translationOf(name, told);
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
  throw new Error("Expected it to be refused");
}
