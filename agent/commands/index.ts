/** The table of commands. A command's module is loaded when it is called. */
import type { Command } from "./command.ts";

const commands: Readonly<Record<string, () => Promise<{ command: Command }>>> = {
  run: () => import("./run.ts"),
  check: () => import("./check.ts"),
  collect: () => import("./collect.ts"),
  "restore-command": () => import("./restore-command.ts"),
  "wal verify": () => import("./wal-verify.ts"),
  schema: () => import("./schema.ts"),
  "plugin list": () => import("./plugin-list.ts"),
  "plugin new": () => import("./plugin-new.ts"),
  "plugin test": () => import("./plugin-test.ts"),
  "snapshot create": () => import("./snapshot-create.ts"),
  "snapshot list": () => import("./snapshot-list.ts"),
  "snapshot verify": () => import("./snapshot-verify.ts"),
  "snapshot prune": () => import("./snapshot-prune.ts"),
  "snapshot restore": () => import("./snapshot-restore.ts"),
  version: () => import("./version.ts"),
};

const summaries: Readonly<Record<string, string>> = {
  run: "Run the agent (also: holdfast --config.file=FILE)",
  check: "Check the configuration and print every problem",
  collect: "Run one instance once and print its metrics",
  "restore-command": "Fetch one file of WAL for PostgreSQL's restore_command",
  "wal verify": "Find gaps and damage in an archive of WAL",
  schema: "Print the JSON Schema of the configuration",
  "plugin list": "List the plugins that a configuration can use",
  "plugin new": "Write a new plugin with its test",
  "plugin test": "Run the tests of a plugin",
  "snapshot create": "Take a Prometheus snapshot and download it, verified",
  "snapshot list": "List the snapshots of a server",
  "snapshot verify": "Check every checksum of a snapshot: an archive, a folder, or one of a server",
  "snapshot prune": "Remove old snapshots of a server",
  "snapshot restore": "Restore a snapshot into an empty Prometheus data folder",
  version: "Print the version",
};

export const commandNames: ReadonlySet<string> = new Set(Object.keys(commands));

export async function loadCommand(name: string): Promise<Command | undefined> {
  return (await commands[name]?.())?.command;
}

/** The text of `holdfast --help`. */
export function programHelp(): string {
  const width = Math.max(...Object.keys(summaries).map((name) => name.length));
  const lines = Object.entries(summaries).map(([name, summary]) => `  ${name.padEnd(width)}  ${summary}`);
  return [
    "holdfast watches backups, keeps WAL and monitoring history, and serves metrics.",
    "",
    "Usage: holdfast COMMAND [flags]",
    "       holdfast as NAME …         the command line of a tool that it replaces; see docs/switching.md",
    "",
    "Commands:",
    ...lines,
    "",
    "holdfast COMMAND --help tells the flags of a command.",
    "Exit status: 0 success, 1 work that failed, 2 a wrong command line or configuration, 127 an unknown command;",
    "restore-command has its own.",
  ].join("\n");
}
