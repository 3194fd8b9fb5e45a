/** The tables of `docs/switching.md`, written from what the command lines are read by. */
import { barmanFlags, barmanKeys } from "./barman-exporter.ts";
import { predecessorFlags } from "./barman-predecessor.ts";
import { originalNames, otherNames } from "./names.ts";
import { pgrwlCommands, pgrwlFlags } from "./pgrwl.ts";
import { prombackupCommands, prombackupFlags } from "./prombackup.ts";
import { prombackupServerFlags } from "./prombackup-server.ts";
import type { OriginalFlag } from "./tool.ts";
import { walgFlags } from "./walg-exporter.ts";

const dashes = (name: string) => `${name.length === 1 ? "-" : "--"}${name}`;

function flagTable(flags: readonly OriginalFlag[]): string {
  const rows = flags.map(({ name, short, value, environment, default: initial, here, refused }) => {
    const names = [short, name].filter((one) => one !== undefined).map(dashes);
    const flag = `\`${names.join(", ")}${value === undefined ? "" : ` ${value}`}\``;
    const variable = environment === undefined ? "" : `, \`$${environment.replace(" or ", "`, `")}\``;
    const meaning = refused === undefined ? here : `${here}: ${refused}`;
    return `| ${flag}${variable} | ${initial === undefined ? "" : `\`${initial}\``} | ${meaning.replace(/\.$/, "")} |\n`;
  });
  return `| Flag | Default | Here |\n| --- | --- | --- |\n${rows.join("")}`;
}

function twoColumns(head: string, rows: readonly (readonly [string, string])[]): string {
  return `| ${head} | Here |\n| --- | --- |\n${rows.map(([left, right]) => `| ${left} | ${right} |\n`).join("")}`;
}

/** Markdown by the name of the table in the page. */
export const switchingTables: Readonly<Record<string, () => string>> = {
  names: () =>
    twoColumns(
      "Name",
      originalNames.map((name) => {
        const others = Object.keys(otherNames).filter((other) => otherNames[other] === name);
        return [`\`${name}\``, others.length > 0 ? `also as ${others.map((other) => `\`${other}\``).join(", ")}` : ""];
      }),
    ),
  "flags of walg-exporter": () => flagTable(walgFlags),
  "flags of barman_exporter": () => flagTable(barmanFlags),
  "keys of barman_exporter": () =>
    twoColumns(
      "Key",
      barmanKeys.map(({ key, here }) => [`\`${key}\``, here]),
    ),
  "flags of barman-exporter": () => flagTable(predecessorFlags),
  "commands of pgrwl": () =>
    twoColumns(
      "Command",
      pgrwlCommands.map(({ name, here }) => [`\`${name}\``, here]),
    ),
  "flags of pgrwl": () => flagTable(pgrwlFlags),
  "flags of prombackup-server": () => flagTable(prombackupServerFlags),
  "flags of prombackup": () => flagTable(prombackupFlags),
  "commands of prombackup": () =>
    twoColumns(
      "Command",
      prombackupCommands.map(({ name, flags, here }) => [`\`${name}\` ${flags.replaceAll("|", "\\|")}`, here]),
    ),
};
