/** From the arguments behind a command's name to its exit status. */

import { forTerminal } from "../system/terminal.ts";
import { type Command, commandHelp, parseCommandLine, UsageError } from "./command.ts";

/**
 * A shell's status for a command that is not there. PostgreSQL takes what is below 126 for "there is no such file of WAL": a
 * misspelt `restore-command` must not end a recovery.
 */
export const unknownCommand = 127;

/** Whether it may be a `restore_command` in which `restore-command` was left out. */
export const namesWal = (args: readonly string[]) =>
  args.some((arg) => /^(?:[0-9A-F]{24}|[0-9A-F]{8}\.history)$/.test(arg));

/** @param program What messages begin with. Never throws. */
export async function runCommand(command: Command, args: readonly string[], program = "holdfast"): Promise<number> {
  const { usage, failed } = command.exitStatus ?? { usage: namesWal(args) ? unknownCommand : 2, failed: 1 };
  try {
    const { flags, operands } = parseCommandLine(command, args);
    if (flags.isSet("help")) {
      process.stdout.write(commandHelp(command));
      return namesWal(operands) ? usage : 0;
    }
    return await command.run(flags, operands);
  } catch (error) {
    await complainOf(error, program);
    return error instanceof UsageError ? usage : failed;
  }
}

/** Zod, which is needed to show some errors, is a good part of the start of a command that has none. */
export async function complainOf(error: unknown, program = "holdfast"): Promise<void> {
  const text = await import("../host/failures.ts").then(({ messageOf }) => messageOf(error)).catch(() => String(error));
  process.stderr.write(`${program}: ${forTerminal(text)}\n`);
}
