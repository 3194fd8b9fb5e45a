/** barman-metrics-exporter, whose executable is `barman_exporter`, and its flat YAML. */

import { version } from "../build.ts";
import { UsageError } from "../commands/command.ts";
import { nearest } from "../config/suggestions.ts";
import { expectNoOperands, helpText, parseGoFlags, versionFlag } from "./arguments.ts";
import { readOriginalFile } from "./original-file.ts";
import { type Invocation, type OriginalFlag, type Plan, refuse, type Tool, type Translation } from "./tool.ts";
import { addressOf } from "./values.ts";

export const barmanFlags: readonly OriginalFlag[] = [
  { name: "config", value: "FILE", here: "YAML; read again at each start and at SIGUSR1" },
  versionFlag,
];

/** Keys of the file, and what becomes of them. */
export const barmanKeys: readonly { readonly key: string; readonly here: string }[] = [
  { key: "address", here: "`listen` of the instance, with `port`; empty: all interfaces" },
  { key: "port", here: "`listen` of the instance, with `address`; empty: a free one" },
  {
    key: "integration_type",
    here: "Only `shell`. `mock` is refused: `config.path` can name a script that prints what Barman would",
  },
  { key: "cache_ttl", here: "`config.cache_ttl`" },
  { key: "checks_cache_ttl", here: "`config.checks_cache_ttl`" },
  {
    key: "refresh_interval",
    here: "`interval` of the instance; `0` (never again) is refused, and 60s is taken where it is missing",
  },
  { key: "log_level", here: "`log.level`, at the top of the file; `warn` where it is missing or unknown, as ever" },
];

const name = "barman_exporter";

export const tool: Tool = {
  name,
  exitStatus: { usage: 1, failed: 1 },
  plan({ args, environment, cwd }): Plan {
    const { flags, operands } = parseGoFlags(name, args, barmanFlags);
    const [first] = operands;
    if (args.length === 0 || flags.get("help") === "true" || first === "help") {
      const about = "Serves metrics of Barman's backups and checks, as barman-metrics-exporter does.";
      const keys = barmanKeys.map(({ key, here }) => `  ${key.padEnd(16)}  ${here.replaceAll("`", "")}\n`).join("");
      const help = helpText(name, about, [`${name} -config FILE`], barmanFlags);
      return { kind: "text", text: `${help}\nKeys of FILE:\n${keys}` };
    }
    if (flags.get("version") === "true") return { kind: "text", text: `${name} of holdfast ${version}\n` };
    expectNoOperands(name, operands);
    const file = flags.get("config");
    if (!file) throw new UsageError("Missing the configuration: give it with -config FILE");
    return { kind: "run", source: file, isFile: true, translate: () => translate(file, environment, cwd) };
  },
};

async function translate(file: string, environment: Invocation["environment"], cwd: string): Promise<Translation> {
  const keys = await readOriginalFile(file, cwd, [".yaml", ".yml"]);
  const known = barmanKeys.map(({ key }) => key);
  const notes: string[] = [];
  for (const key of Object.keys(keys)) {
    if (known.includes(key)) continue;
    const hint = nearest(key, known);
    notes.push(`${file}: the key ${key} is unknown, and ignored${hint === undefined ? "" : `; did you mean ${hint}?`}`);
  }
  const text = (key: string): string => {
    const value = keys[key] ?? "";
    if (typeof value === "object") throw new UsageError(`Cannot read ${key} in ${file}: expected a text or a number`);
    return expand(String(value), environment);
  };
  const seconds = (key: string): number | undefined => {
    const written = text(key);
    if (written === "") return undefined;
    if (/^\d+$/.test(written)) return Number(written);
    throw new UsageError(`Cannot read ${key} ${JSON.stringify(written)} in ${file}: expected a number of seconds`);
  };
  const integration = text("integration_type");
  if (integration === "mock") {
    refuse(
      `integration_type: mock in ${file}`,
      "set shell; for a trial without Barman, config.path of the plugin can name a script",
    );
  }
  if (!["", "shell"].includes(integration)) {
    throw new UsageError(`Cannot read integration_type ${JSON.stringify(integration)} in ${file}: expected shell`);
  }
  const every = seconds("refresh_interval");
  if (every === 0)
    refuse(
      `refresh_interval: 0 in ${file}`,
      "it would never refresh again; set the seconds between two refreshes, such as 60",
    );
  if (every === undefined) notes.push(`${file}: refresh_interval is missing, 60 seconds are taken`);
  const address = text("address");
  const level = text("log_level").toLowerCase();
  return {
    plugin: "barman",
    log: { level: ["error", "info", "debug"].includes(level) ? level : "warn" },
    instance: {
      listen: addressOf(
        `address and port in ${file}`,
        `${address.includes(":") && !address.startsWith("[") ? `[${address}]` : address}:${text("port") || "0"}`,
      ),
      interval: `${every ?? 60}s`,
      config: { cache_ttl: seconds("cache_ttl"), checks_cache_ttl: seconds("checks_cache_ttl") },
    },
    notes,
  };
}

/** `${NAME}` and `${NAME|default}` from the environment; nothing where a variable without a default is unset. */
function expand(text: string, environment: Invocation["environment"]): string {
  return text.replace(
    /\$\{(\w+)(?:\|([^}]*))?\}/g,
    (_, variable: string, fallback = "") => environment[variable] || fallback,
  );
}
