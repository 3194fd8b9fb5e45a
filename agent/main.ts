// Signals first: SIGUSR1 and SIGHUP end a process that has no handler yet.
import "./system/signals.ts";
import { type Command, commandHelp, parseCommandLine, UsageError } from "./commands/command.ts";
import { commandNames, loadCommand, programHelp } from "./commands/index.ts";
import { nearest } from "./config/suggestions.ts";
import { messageOf } from "./host/failures.ts";

const say = (text: string) => void process.stdout.write(text);
const complain = (text: string) => void process.stderr.write(`${text}\n`);

/** Runs one command. @returns The exit status. */
async function main(args: readonly string[]): Promise<number> {
  const [first = "", second = ""] = args;
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

async function runCommand(command: Command, args: readonly string[]): Promise<number> {
  try {
    const { flags, operands } = parseCommandLine(command, args);
    if (flags.isSet("help")) {
      say(commandHelp(command));
      return 0;
    }
    return await command.run(flags, operands);
  } catch (error) {
    complain(`holdfast: ${messageOf(error)}`);
    const { usage, failed } = command.exitStatus ?? { usage: 2, failed: 1 };
    return error instanceof UsageError ? usage : failed;
  }
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
