/** holdfast(1), from the command table. */
import type { Command } from "../../../agent/commands/command.ts";
import { shownFlags } from "./command-table.ts";
import { bold, entry, italic, literal, type ManualPage, pageTitle, plain } from "./roff.ts";

/** @returns The page's roff. */
export function commandsPage(
  commands: readonly Command[],
  { date, source }: Pick<ManualPage, "date" | "source">,
): string {
  return [
    pageTitle({ name: "holdfast", section: 1, date, source, manual: "User Commands" }),
    ".SH NAME\nholdfast \\- watch backups, keep WAL and monitoring history, serve metrics\n",
    `.SH SYNOPSIS\n${bold("holdfast")} ${italic("COMMAND")} [flags]\n.PP\n${bold("holdfast --config.file=")}${italic("FILE")}\n.PP\n${bold("holdfast as")} ${italic("NAME")} ...\n`,
    `.SH DESCRIPTION\n${description.map(plain).join("\n.PP\n")}\n`,
    ".SH COMMANDS\n",
    ...commands.map(commandSection),
    `.SH EXIT STATUS\n${exitStatuses.map(([status, meaning]) => entry(bold(status), plain(meaning))).join("")}`,
    `.SH FILES\n${files.map(([path, meaning]) => entry(italic(path), plain(meaning))).join("")}`,
    `.SH SEE ALSO\n${bold("holdfast.yml")}(5), ${bold("systemctl")}(1), ${bold("barman")}(1), ${bold("pg_receivewal")}(1), ${bold("prometheus")}(1)\n`,
  ].join("");
}

const description = [
  "One agent for people who must be able to restore. It watches backups and serves what it learns as Prometheus metrics: one executable, one YAML file, one scrape target.",
  "Without a command and with flags alone it runs the agent, as Prometheus and its exporters are started.",
  "Called through a link that has the name of a tool which it replaces, or as holdfast as NAME, it takes that tool's command line, environment and configuration file. /usr/share/doc/holdfast/docs/switching.md has what becomes of each.",
];

const exitStatuses = [
  ["0", "Success."],
  ["1", "Work that failed: a port in use, a failed collection."],
  ["2", "A wrong command line or configuration."],
] as const;

const files = [
  ["/etc/holdfast/holdfast.yml", "The configuration. Its instances may also stand in plugins.d beside it."],
  ["/etc/holdfast/plugins", "Plugins of your own, which must belong to root."],
  ["/var/lib/holdfast", "State of the service, which belongs to the user holdfast."],
  ["/usr/lib/holdfast/as", "The executable under the names of the tools whose place it takes."],
  ["/usr/share/doc/holdfast", "Documentation and examples."],
] as const;

function commandSection(command: Command): string {
  const { name, summary, operands, details } = command;
  const usage = [bold(`holdfast ${name}`), "[flags]", operands && italic(operands.usage)].filter(Boolean).join(" ");
  const flags = shownFlags(command).map(({ name: flag, short, value, help }) => {
    const long = bold(`--${flag}`) + (value === undefined ? "" : `=${italic(value)}`);
    return entry(short === undefined ? long : `${bold(`-${short}`)}, ${long}`, plain(help));
  });
  return [
    `.SS holdfast ${plain(name)}\n`,
    `${usage}\n.PP\n${plain(summary)}\n`,
    ...flags,
    details === undefined ? "" : literal(details),
  ].join("");
}
