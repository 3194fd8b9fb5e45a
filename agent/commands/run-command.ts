/** From the arguments behind a command's name to its exit status. */
import { messageOf } from "../host/failures.ts";
import { type Command, commandHelp, parseCommandLine, UsageError } from "./command.ts";

/** @param program What messages begin with. Never throws. */
export async function runCommand(command: Command, args: readonly string[], program = "holdfast"): Promise<number> {
  try {
    const { flags, operands } = parseCommandLine(command, args);
    if (flags.isSet("help")) {
      process.stdout.write(commandHelp(command));
      return 0;
    }
    return await command.run(flags, operands);
  } catch (error) {
    process.stderr.write(`${program}: ${messageOf(error)}\n`);
    const { usage, failed } = command.exitStatus ?? { usage: 2, failed: 1 };
    return error instanceof UsageError ? usage : failed;
  }
}
