/** prombackup, the client: its commands are `holdfast snapshot`'s. */
import { revision, version } from "../build.ts";
import { UsageError } from "../commands/command.ts";
import { nearest } from "../config/suggestions.ts";
import { helpText, parseGoFlags, versionFlag } from "./arguments.ts";
import type { OriginalFlag, Plan, Tool } from "./tool.ts";

/** Before the command. */
export const prombackupFlags: readonly OriginalFlag[] = [
  { name: "server", value: "URL", environment: "PROMBACKUP_ENDPOINT", here: "`holdfast snapshot … --server`" },
  versionFlag,
];

/** Commands, with their flags as `holdfast snapshot` has them. */
export const prombackupCommands: readonly { readonly name: string; readonly flags: string; readonly here: string }[] = [
  { name: "create", flags: "`-output PATH`, `-format tar|tgz|tzst`, `-skip_head`", here: "`holdfast snapshot create`" },
  { name: "prune", flags: "`-keep_within DURATION` (1h)", here: "`holdfast snapshot prune --quiet`" },
];

const name = "prombackup";
const commandNames = [...prombackupCommands.map((command) => command.name), "help", "flags", "commands"];

const programHelp = (): string =>
  helpText(
    name,
    "Takes, downloads and prunes snapshots of a Prometheus server, as prombackup does.",
    [
      `${name} [-server URL] create [-output PATH] [-format FORMAT] [-skip_head]`,
      `${name} [-server URL] prune [-keep_within DURATION]`,
    ],
    prombackupFlags,
  );

export const tool: Tool = {
  name,
  exitStatus: { usage: 2, failed: 1 },
  plan({ args }): Plan {
    const { flags, operands } = parseGoFlags(name, args, prombackupFlags);
    if (flags.get("version") === "true") {
      return { kind: "text", text: `Version ${version}, commit ${revision}, built into holdfast.\n` };
    }
    const [command, ...rest] = operands;
    if (flags.get("help") === "true") return { kind: "text", text: programHelp() };
    switch (command) {
      case "create":
        return { kind: "command", name: "snapshot create", args: [...serverOf(flags), ...rest] };
      case "prune":
        // The original says nothing of what it removes, and cron sends mail for each line.
        return { kind: "command", name: "snapshot prune", args: [...serverOf(flags), "--quiet", ...rest] };
      case "help": {
        const [about] = rest;
        const isKnown = about === "create" || about === "prune";
        return isKnown
          ? { kind: "command", name: `snapshot ${about}`, args: ["--help"] }
          : { kind: "text", text: programHelp() };
      }
      case "flags":
        return { kind: "text", text: `${prombackupFlags.map((flag) => `-${flag.name}`).join("\n")}\n` };
      case "commands":
        return { kind: "text", text: `${commandNames.join("\n")}\n` };
      case undefined:
        throw new UsageError(`Expected a command: ${commandNames.join(", ")}; see ${name} -help`);
      default: {
        const hint = nearest(command, commandNames);
        const meant = hint === undefined ? "" : `, did you mean ${JSON.stringify(hint)}?`;
        throw new UsageError(`Unknown command ${JSON.stringify(command)}${meant}; see ${name} -help`);
      }
    }
  },
};

const serverOf = (flags: ReadonlyMap<string, string>): string[] => {
  const server = flags.get("server");
  return server ? [`--server=${server}`] : [];
};
