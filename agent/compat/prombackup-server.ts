/** prombackup-server: flags, or variables in their place. */
import { resolve } from "node:path";
import { revision, version } from "../build.ts";
import { UsageError } from "../commands/command.ts";
import { expectNoOperands, goBoolean, helpText, parseGoFlags, versionFlag } from "./arguments.ts";
import { type Invocation, literal, type OriginalFlag, type Plan, type Tool, type Translation } from "./tool.ts";
import { addressOf, durationOf } from "./values.ts";

const environmentPrefix = "PROMBACKUP_SERVER_";

export const prombackupServerFlags: readonly OriginalFlag[] = [
  {
    name: "listen_address",
    value: "ADDRESS",
    environment: `${environmentPrefix}LISTEN_ADDRESS`,
    default: ":8080",
    here: "`listen` of the instance",
  },
  {
    name: "prometheus_endpoint",
    value: "URL",
    environment: `${environmentPrefix}PROMETHEUS_ENDPOINT`,
    default: "http://:9090",
    here: "`config.prometheus.url`",
  },
  {
    name: "snapshot_dir",
    value: "PATH",
    environment: `${environmentPrefix}SNAPSHOT_DIR`,
    here: "`config.snapshot_dir`",
  },
  {
    name: "autoprune",
    environment: `${environmentPrefix}AUTOPRUNE_ENABLE`,
    default: "false",
    here: "`config.autoprune`; without it the section is left out",
  },
  {
    name: "autoprune_interval",
    value: "DURATION",
    environment: `${environmentPrefix}AUTOPRUNE_INTERVAL`,
    default: "15m",
    here: "`config.autoprune.interval`",
  },
  {
    name: "autoprune_keep_within",
    value: "DURATION",
    environment: `${environmentPrefix}AUTOPRUNE_KEEP_WITHIN`,
    default: "1h",
    here: "`config.autoprune.keep_within`",
  },
  versionFlag,
];

const name = "prombackup-server";

export const tool: Tool = {
  name,
  exitStatus: { usage: 2, failed: 1 },
  plan({ args, environment, cwd }): Plan {
    const { flags, operands } = parseGoFlags(name, args, prombackupServerFlags);
    if (flags.get("help") === "true") {
      const about = "Sends snapshots of a Prometheus server as archives, and prunes them, as prombackup-server does.";
      return {
        kind: "text",
        text: helpText(name, about, [`${name} -snapshot_dir PATH [flags]`], prombackupServerFlags),
      };
    }
    if (flags.get("version") === "true") {
      return { kind: "text", text: `${name}, version ${version} (branch: holdfast, revision: ${revision})\n` };
    }
    expectNoOperands(name, operands);
    const translation = translate(flags, environment, cwd);
    return { kind: "run", source: `the command line of ${name}`, isFile: false, translate: async () => translation };
  },
};

/** A value and where it came from: the flag, the variable, or neither. */
interface Given {
  readonly from: string;
  readonly text: string;
  readonly isVariable: boolean;
}

/** @throws {UsageError} A flag is wrong. @throws {Error} A variable is, or something is missing: the original ends with 1 then. */
function translate(
  flags: ReadonlyMap<string, string>,
  environment: Invocation["environment"],
  cwd: string,
): Translation {
  const given = (flag: string): Given => {
    const { environment: variable = "", default: initial = "" } =
      prombackupServerFlags.find((one) => one.name === flag) ?? {};
    const written = flags.get(flag);
    if (written !== undefined) return { from: `-${flag}`, text: written, isVariable: false };
    const value = environment[variable];
    // An empty variable is an unset one.
    return value
      ? { from: variable, text: value, isVariable: true }
      : { from: `-${flag}`, text: initial, isVariable: false };
  };
  const folder = given("snapshot_dir").text;
  if (folder === "") throw new Error(`Missing -snapshot_dir: name the folder, or set ${environmentPrefix}SNAPSHOT_DIR`);
  const endpoint = given("prometheus_endpoint");
  if (endpoint.text === "") throw new Error("Missing -prometheus_endpoint: name the URL of Prometheus");
  const duration = (flag: string, atLeast: number) =>
    inOrder(given(flag), ({ from, text }) => durationOf(from, text, atLeast));
  const isPruned = inOrder(given("autoprune"), ({ from, text }) => goBoolean(from, text));
  // Both are read even where nothing is pruned: a wrong one has always ended the program.
  const autoprune = { interval: duration("autoprune_interval", 1), keep_within: duration("autoprune_keep_within", 0) };
  return {
    plugin: "prombackup",
    instance: {
      listen: inOrder(given("listen_address"), ({ from, text }) => addressOf(from, text)),
      config: {
        snapshot_dir: literal(resolve(cwd, folder)),
        prometheus: { url: inOrder(endpoint, prometheusUrl) },
        autoprune: isPruned ? autoprune : undefined,
      },
    },
    notes: [],
  };
}

/** What is wrong with a variable is no wrong command line. */
function inOrder<Value>(given: Given, read: (given: Given) => Value): Value {
  try {
    return read(given);
  } catch (error) {
    if (given.isVariable && error instanceof UsageError) throw new Error(error.message);
    throw error;
  }
}

/** `http://:9090` is localhost to Go. A URL with a password that came from a variable stays there. */
function prometheusUrl({ from, text, isVariable }: Given): string {
  if (!/^https?:\/\/\S+$/.test(text)) {
    // Not repeated: a password may be in it.
    throw new UsageError(`Cannot read ${from}: expected a URL such as "http://localhost:9090"`);
  }
  if (isVariable && text.includes("@")) return `\${${from}}`;
  return literal(text.replace(/^(https?:\/\/)(?=:)/, "$1localhost"));
}
