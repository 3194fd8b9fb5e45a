// Signals first: SIGUSR1 and SIGHUP end a process that has no handler yet.
import "./system/signals.ts";
import { commandNames, loadCommand, programHelp } from "./commands/index.ts";
import { runCommand } from "./commands/run-command.ts";
import { calledAs } from "./compat/names.ts";
import { nearest } from "./config/suggestions.ts";

const say = (text: string) => void process.stdout.write(text);
const complain = (text: string) => void process.stderr.write(`${text}\n`);

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
    return 0;
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
    const hint = nearest(
      first,
      [...commandNames].map((known) => known.split(" ")[0] ?? known),
    );
    const meant = hint === undefined ? "" : `, did you mean ${JSON.stringify(hint)}?`;
    complain(`holdfast: Unknown command ${JSON.stringify(first)}${meant}; see holdfast --help`);
    return 2;
  }
  return await runCommand(
    command,
    isBare ? (name === "version" ? args.slice(1) : args) : args.slice(name.split(" ").length),
  );
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

const status = await main(process.argv.slice(2));
await Promise.all([flushed(process.stdout), flushed(process.stderr)]);
process.exit(status);
