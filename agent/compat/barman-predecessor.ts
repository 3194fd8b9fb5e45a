/** prometheus-barman-exporter, whose command is `barman-exporter`: what barman-metrics-exporter took the place of. Source: its release 1.0.10. */

import { version } from "../build.ts";
import { UsageError } from "../commands/command.ts";
import { helpText, parsePythonFlags } from "./arguments.ts";
import { type OriginalFlag, type Plan, refuse, type Tool, type Translation } from "./tool.ts";
import { addressOf } from "./values.ts";

const textfile =
  "for node_exporter's textfile collector run barman-exporter -d, or holdfast collect, into a file beside and rename it";

export const predecessorFlags: readonly OriginalFlag[] = [
  {
    name: "listen-address",
    short: "l",
    value: "HOST:PORT",
    default: "127.0.0.1:9780",
    here: "`listen` of the instance",
  },
  { name: "cache-time", short: "c", value: "SECONDS", default: "3600", here: "`interval` of the instance" },
  { name: "debug", short: "d", here: "Prints the metrics once: `holdfast collect barman`" },
  { name: "file", short: "f", value: "PATH", here: "Refused", refused: textfile },
  { name: "user", short: "u", value: "USER", here: "Refused, with `-f`", refused: textfile },
  { name: "group", short: "g", value: "GROUP", here: "Refused, with `-f`", refused: textfile },
  { name: "mode", short: "m", value: "MODE", here: "Refused, with `-f`", refused: textfile },
  { name: "version", short: "v", here: "Prints the version" },
];

const name = "barman-exporter";

export const tool: Tool = {
  name,
  exitStatus: { usage: 2, failed: 1 },
  plan({ args }): Plan {
    const { flags, operands } = parsePythonFlags(name, args, predecessorFlags);
    if (flags.has("help")) {
      const about = "Serves metrics of Barman's backups and checks, as prometheus-barman-exporter does.";
      return { kind: "text", text: helpText(name, about, [`${name} [flags] [all]`], predecessorFlags) };
    }
    if (flags.has("version")) return { kind: "text", text: `${name} of holdfast ${version}\n` };
    const server = operands.find((operand) => operand !== "all");
    if (server !== undefined) {
      refuse(
        `the server ${JSON.stringify(server)}`,
        "all servers are asked at once; leave it out, and choose by the label server",
      );
    }
    const translation = translate(flags);
    return {
      kind: flags.has("debug") ? "collect" : "run",
      source: `the command line of ${name}`,
      isFile: false,
      translate: async () => translation,
    };
  },
};

function translate(flags: ReadonlyMap<string, string>): Translation {
  const seconds = flags.get("cache-time") ?? "3600";
  if (!/^[1-9]\d*$/.test(seconds)) {
    throw new UsageError(`Cannot read --cache-time ${JSON.stringify(seconds)}: expected a number of seconds above 0`);
  }
  return {
    plugin: "barman",
    instance: {
      listen: addressOf("--listen-address", flags.get("listen-address") ?? "127.0.0.1:9780"),
      interval: `${seconds}s`,
      config: { compat: "predecessor" },
    },
    notes: [],
  };
}
