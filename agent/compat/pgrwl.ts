/**
 * pgrwl, of both generations: its daemons and its `restore-command`. PostgreSQL takes statuses from 1 to 125 of a restore_command for
 * "there is no such file", so whatever might be a misspelt restore-command ends above. Little is loaded here: this runs for each segment.
 */
import { version } from "../build.ts";
import { UsageError } from "../commands/command.ts";
import { nearest } from "../config/suggestions.ts";
import { forTerminal } from "../system/terminal.ts";
import { expectNoOperands, helpText, parseGoFlags, versionFlag } from "./arguments.ts";
import { type Invocation, type OriginalFlag, type Plan, refuse, type Tool } from "./tool.ts";

/** Of `pgrwl`, `pgrwl start`, `pgrwl daemon` and `pgrwl validate`. */
export const pgrwlFlags: readonly OriginalFlag[] = [
  {
    name: "config",
    short: "c",
    value: "FILE",
    environment: "PGRWL_CONFIG_PATH",
    here: "JSON or YAML; read again at each start and reload. Without it, the variables `PGRWL_…` are the configuration",
  },
  {
    name: "mode",
    short: "m",
    value: "MODE",
    environment: "PGRWL_MODE or $PGRWL_DAEMON_MODE",
    here: "`receive`; `serve` is `config.receive: false`",
  },
  {
    name: "without-base-backups",
    here: "New here: starts although the configuration has `backup.cron`, whose base backups nobody takes then",
  },
  versionFlag,
];

export const pgrwlCommands: readonly { readonly name: string; readonly here: string }[] = [
  { name: "pgrwl -c FILE", here: "with `PGRWL_MODE`: `holdfast run`" },
  { name: "pgrwl start, pgrwl daemon", here: "`holdfast run`" },
  { name: "pgrwl validate", here: "`holdfast check`" },
  { name: "pgrwl restore-command", here: "`holdfast restore-command`" },
  { name: "pgrwl backup", here: "Refused: take base backups with `pg_basebackup`, Barman or WAL-G" },
  {
    name: "pgrwl restore",
    here: "Refused: what pgrwl's `backup` stored, pgrwl itself unpacks; keep its executable for that",
  },
];

const name = "pgrwl";
const usageStatus = 204;
const commandNames = ["start", "daemon", "validate", "restore-command", "backup", "restore", "help"];

const help = (): Plan => ({
  kind: "text",
  text: helpText(
    name,
    "Receives WAL, serves it to recoveries, and fetches it, as pgrwl does.",
    [
      `${name} start|daemon -c FILE -m receive|serve`,
      `${name} -c FILE                               with PGRWL_MODE in the environment`,
      `${name} validate -c FILE -m MODE`,
      `${name} restore-command --serve-addr=HOST:PORT %f %p`,
    ],
    pgrwlFlags,
  ),
});

export const tool: Tool = {
  name,
  exitStatus: { usage: 1, failed: 1 },
  plan(invocation): Plan {
    try {
      return planOf(invocation);
    } catch (error) {
      // Whatever is wrong with it: to PostgreSQL, a status of 1 would be the end of the WAL.
      if (!invocation.args.includes("restore-command")) throw error;
      return mistaken(error instanceof Error ? error.message : String(error));
    }
  },
};

/** A command line that may stand in a restore_command, and is wrong. */
function mistaken(message: string): Plan {
  process.stderr.write(`${name}: ${forTerminal(message)}\n`);
  return { kind: "text", text: "", status: usageStatus };
}

function planOf(invocation: Invocation): Plan {
  const { args, environment } = invocation;
  const { flags, operands } = parseGoFlags(name, args, pgrwlFlags);
  if (flags.get("help") === "true") return help();
  if (flags.get("version") === "true") return { kind: "text", text: `${name} version ${version} (holdfast)\n` };
  const [command, ...rest] = operands;
  switch (command) {
    case undefined:
      // The README's way; what its modes are is told by the environment alone.
      return flags.size === 0 && !environment.PGRWL_MODE && !environment.PGRWL_DAEMON_MODE
        ? help()
        : daemon(invocation, flags, environment.PGRWL_MODE ? "first" : "later");
    case "start":
      return daemon(invocation, merged(flags, `${name} start`, rest), "first");
    case "daemon":
      return daemon(invocation, merged(flags, `${name} daemon`, rest), "later");
    case "validate":
      return daemon(invocation, merged(flags, `${name} validate`, rest), "first", "check");
    case "restore-command":
      return restoreCommand(rest);
    case "backup":
      return refuse("pgrwl backup", "holdfast takes no base backups; take them with pg_basebackup, Barman or WAL-G");
    case "restore":
      return refuse(
        "pgrwl restore",
        "what pgrwl's backup stored is unpacked by pgrwl itself; keep its executable for that",
      );
    case "help":
      return help();
    default: {
      const hint = nearest(command, commandNames);
      const meant = hint === undefined ? "" : `, did you mean ${JSON.stringify(hint)}?`;
      return mistaken(`Unknown command ${JSON.stringify(command)}${meant}; see ${name} --help`);
    }
  }
}

/** Flags may stand before the command and behind it. */
function merged(
  before: ReadonlyMap<string, string>,
  program: string,
  args: readonly string[],
): ReadonlyMap<string, string> {
  const { flags, operands } = parseGoFlags(program, args, pgrwlFlags);
  expectNoOperands(program, operands);
  return new Map([...before, ...flags]);
}

/** `first` served WAL while it received, and let an archive of plain files be; `later` did neither. */
export type Generation = "first" | "later";

function daemon(
  { environment, cwd }: Invocation,
  flags: ReadonlyMap<string, string>,
  generation: Generation,
  kind: "run" | "check" = "run",
): Plan {
  if (flags.get("help") === "true") return help();
  const file = flags.get("config") || environment.PGRWL_CONFIG_PATH || undefined;
  const mode = flags.get("mode") || environment.PGRWL_MODE || environment.PGRWL_DAEMON_MODE;
  if (mode === "backup" || mode === "backup-cmd") {
    refuse(`the mode ${mode}`, "holdfast takes no base backups; take them with pg_basebackup, Barman or WAL-G");
  }
  if (mode === "restore") refuse("the mode restore", "what pgrwl's backup stored is unpacked by pgrwl itself");
  if (mode !== "receive" && mode !== "serve") {
    const found = mode === undefined ? "there is none" : `found ${JSON.stringify(mode)}`;
    throw new UsageError(`Cannot read the mode: ${found}, expected receive or serve, with -m or in PGRWL_MODE`);
  }
  const asked = { mode, generation, file, withoutBaseBackups: flags.get("without-base-backups") === "true" } as const;
  return {
    kind,
    source: file ?? "the variables PGRWL_…",
    isFile: file !== undefined,
    async translate() {
      const { translatePgrwl } = await import("./pgrwl-config.ts");
      return await translatePgrwl(asked, environment, cwd);
    },
  };
}

/** holdfast's own flags go through: a copy of this executable that is called pgrwl calls itself so. */
function restoreCommand(args: readonly string[]): Plan {
  const given = args.map((arg) => arg.replace(/^-(serve-addr(?:=|$))/, "--$1"));
  const sources = ["--serve-addr", "--config.file", "-c", "--help", "-h"];
  const hasSource = given.some((arg) => sources.some((source) => arg === source || arg.startsWith(`${source}=`)));
  if (hasSource) return { kind: "command", name: "restore-command", args: given };
  return mistaken("Missing --serve-addr: name the instance that serves WAL");
}
