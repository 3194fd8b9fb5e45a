import { expect, test } from "bun:test";
import { parseCommandLine } from "../../../agent/commands/command.ts";
import { loadCommand } from "../../../agent/commands/index.ts";

test.each([
  ["check", ["holdfast.yml"], 'Unexpected argument "holdfast.yml". Expected: holdfast check'],
  [
    "run",
    ["--config.file=holdfast.yml", "check"],
    'Unexpected argument "check", a command stands before its flags. Expected: holdfast run',
  ],
  ["restore-command", ["0", "x", "y"], 'Unexpected argument "y". Expected: holdfast restore-command %f %p'],
] as const)("%s with %j: the message names what is too much", async (name, args, message) => {
  const command = await loadCommand(name);
  expect(() => command && parseCommandLine(command, args)).toThrow(new Error(message));
});

test.each([
  ["check", "--config.file=", "--config.file needs a value: --config.file=FILE"],
  ["restore-command", "--token-file=", "--token-file needs a value: --token-file=FILE"],
] as const)("%s %s: a flag with nothing behind it has no value", async (name, arg, message) => {
  const command = await loadCommand(name);
  expect(() => command && parseCommandLine(command, [arg])).toThrow(new Error(message));
});

test("Go's clients leave a flag out by giving it nothing", async () => {
  const command = await loadCommand("snapshot create");
  expect(command && parseCommandLine(command, ["-output="]).flags.text("output")).toBe("");
});
