/** `holdfast as NAME`: the command lines of the tools that the executable replaces, as if each were a command of its own. */
import type { Command, Flag } from "../../../agent/commands/command.ts";
import { barmanFlags } from "../../../agent/compat/barman-exporter.ts";
import { predecessorFlags } from "../../../agent/compat/barman-predecessor.ts";
import { type OriginalName, originalNames, otherNames } from "../../../agent/compat/names.ts";
import { pgrwlFlags } from "../../../agent/compat/pgrwl.ts";
import { prombackupFlags } from "../../../agent/compat/prombackup.ts";
import { prombackupServerFlags } from "../../../agent/compat/prombackup-server.ts";
import type { OriginalFlag } from "../../../agent/compat/tool.ts";
import { walgFlags } from "../../../agent/compat/walg-exporter.ts";

const originals: Readonly<Record<OriginalName, { flags: readonly OriginalFlag[]; usage?: string }>> = {
  "walg-exporter": { flags: walgFlags },
  barman_exporter: { flags: barmanFlags },
  "barman-exporter": { flags: predecessorFlags, usage: "[all]" },
  pgrwl: { flags: pgrwlFlags, usage: "[start|daemon|validate|restore-command]" },
  prombackup: { flags: prombackupFlags, usage: "create|prune" },
  "prombackup-server": { flags: prombackupServerFlags },
};

const printFlag: Flag = { name: "print-config", help: "Print the configuration for holdfast that means the same." };

/** In the order of `holdfast as`. They are for reading; what runs them is agent/compat/run.ts. */
export const originalCommands: readonly Command[] = originalNames.map((name) => {
  const { flags, usage } = originals[name];
  const others = Object.keys(otherNames).filter((other) => otherNames[other] === name);
  const also = others.length === 0 ? "" : `, also as ${others.join(" or ")}`;
  return {
    name: `as ${name}`,
    summary: `Take the command line of ${name}; the same as a link with that name${also}`,
    flags: [...flags.filter(({ refused }) => refused === undefined).map(shown), printFlag],
    ...(usage === undefined ? {} : { operands: { usage, least: 0, most: Number.POSITIVE_INFINITY } }),
    run: () => Promise.reject(new Error(`Cannot run ${name} from the table of the manual`)),
  };
});

/** With the default and the variable behind what becomes of it, as in the tool's own help. */
function shown({ name, short, value, environment, default: initial, here }: OriginalFlag): Flag {
  const more = [
    ...(initial === undefined ? [] : [`default ${initial}`]),
    ...(environment === undefined ? [] : [`or $${environment}`]),
  ];
  return {
    name,
    ...(short === undefined ? {} : { short }),
    ...(value === undefined ? {} : { value }),
    help: `${here.replaceAll("`", "").replace(/\.$/, "")}${more.length > 0 ? ` (${more.join(", ")})` : ""}.`,
  };
}
