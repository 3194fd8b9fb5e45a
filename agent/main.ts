// Signals first: SIGUSR1 and SIGHUP end a process that has no handler yet.
import "./system/signals.ts";
import { type Command, commandHelp, parseCommandLine, UsageError } from "./commands/command.ts";
import { commandNames, loadCommand, programHelp } from "./commands/index.ts";
import { nearest } from "./config/suggestions.ts";

const say = (text: string) => void process.stdout.write(text);
const complain = (text: string) => void process.stderr.write(`${text}\n`);

/**
 * A shell's status for a command that is not there. PostgreSQL takes what is below 126 for "there is no such file of WAL": a
 * misspelt `restore-command` must not end a recovery.
 */
const unknownCommand = 127;
/** A fault of holdfast itself, before a command could begin. */
const fault = 205;

/** Whether it may be a `restore_command` in which `restore-command` was left out. */
const namesWal = (args: readonly string[]) => args.some((arg) => /^(?:[0-9A-F]{24}|[0-9A-F]{8}\.history)$/.test(arg));

/** Runs one command. @returns The exit status. */
async function main(args: readonly string[]): Promise<number> {
  const [first = "", second = ""] = args;
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

async function runCommand(command: Command, args: readonly string[]): Promise<number> {
  const { usage, failed } = command.exitStatus ?? { usage: namesWal(args) ? unknownCommand : 2, failed: 1 };
  try {
    const { flags, operands } = parseCommandLine(command, args);
    if (flags.isSet("help")) {
      say(commandHelp(command));
      return namesWal(operands) ? usage : 0;
    }
    return await command.run(flags, operands);
  } catch (error) {
    await complainOf(error);
    return error instanceof UsageError ? usage : failed;
  }
}

/** Zod, which is needed to show some errors, is a good part of the start of a command that has none. */
async function complainOf(error: unknown): Promise<void> {
  const text = await import("./host/failures.ts").then(({ messageOf }) => messageOf(error)).catch(() => String(error));
  complain(`holdfast: ${text}`);
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
