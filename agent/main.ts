// Signals first: SIGUSR1 and SIGHUP end a process that has no handler yet.
import "./system/signals.ts";
import { commandNames, loadCommand, programHelp } from "./commands/index.ts";
import { complainOf, namesWal, runCommand, unknownCommand } from "./commands/run-command.ts";
import { calledAs } from "./compat/names.ts";
import { nearest } from "./config/suggestions.ts";

const say = (text: string) => void process.stdout.write(text);
const complain = (text: string) => void process.stderr.write(`${text}\n`);

/** A fault of holdfast itself, before a command could begin. */
const fault = 205;

/** Runs one command. @returns The exit status. */
async function main(args: readonly string[]): Promise<number> {
  const original = calledAs(process.argv0);
  if (original !== undefined) return await runAs(original, args);
  const [first = "", second = ""] = args;
  if (first === "as") return await runAs(second, args.slice(2));
  if (args.length === 0) {
    complain(programHelp());
    return 2;
  }
  if (["help", "--help", "-h"].includes(first)) {
    say(`${programHelp()}\n`);
    return namesWal(args) ? unknownCommand : 0;
  }
  // `holdfast --config.file=…`, as node_exporter and Prometheus are started.
  const isBare = first.startsWith("-");
  const name = isBare
    ? first === "--version"
      ? "version"
      : "run"
    : commandNames.has(`${first} ${second}`)
      ? `${first} ${second}`
      : first;
  const command = await loadCommand(name);
  if (!command) {
    complain(`holdfast: Unknown command ${JSON.stringify(first)}${meantCommand(first, second)}; see holdfast --help`);
    return unknownCommand;
  }
  return await runCommand(
    command,
    isBare ? (name === "version" ? args.slice(1) : args) : args.slice(name.split(" ").length),
  );
}

/** `, did you mean …?`, or nothing. */
function meantCommand(first: string, second: string): string {
  const known = [...commandNames];
  const group = known.filter((name) => name.startsWith(`${first} `)).map((name) => JSON.stringify(name));
  if (group.length > 0) return `, did you mean ${group.join(" or ")}?`;
  const hint =
    nearest(`${first} ${second}`, known) ??
    nearest(
      first,
      known.map((name) => name.split(" ")[0] ?? name),
    );
  return hint === undefined ? "" : `, did you mean ${JSON.stringify(hint)}?`;
}

/** Takes the command line of a tool that this executable replaces. */
async function runAs(name: string, args: readonly string[]): Promise<number> {
  const { runOriginal } = await import("./compat/run.ts");
  return await runOriginal(name, args);
}

/** Waits until all that was printed is written: `process.exit()` drops what a slow reader has not taken yet. */
async function flushed(stream: NodeJS.WriteStream): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  // A reader that is gone takes nothing more.
  stream.once("error", () => resolve());
  // Measured with Bun 1.4.5: `drain` and the callback of an empty write come at once.
  stream.end(() => resolve());
  await promise;
}

const status = await main(process.argv.slice(2)).catch(async (error: unknown) => {
  // A command that cannot even be loaded. Bun's own status would be 1, which `restore-command` gives for nothing but absence.
  await complainOf(error);
  return fault;
});
await Promise.all([flushed(process.stdout), flushed(process.stderr)]);
process.exit(status);
