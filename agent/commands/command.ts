/** What every sub-command is made of: flags, usage and an exit status. */
import { type ParseArgsConfig, parseArgs } from "node:util";
import { nearest } from "../config/suggestions.ts";
import { commandNames } from "./index.ts";

/** A wrong command line: exit status 2. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}

/** One flag; `value` names what it takes, a flag without one is a switch. */
export interface Flag {
  readonly name: string;
  readonly short?: string;
  readonly value?: string;
  readonly repeatable?: boolean;
  /** Left out of the help: holdfast gives it to itself. */
  readonly internal?: boolean;
  readonly help: string;
}

export interface Command {
  /** The words behind `holdfast`, e.g. `plugin new`. */
  readonly name: string;
  /** One line for the list of commands. */
  readonly summary: string;
  /** What stands behind the flags, e.g. `NAME [DIR]`; how many there may be. */
  readonly operands?: { readonly usage: string; readonly least: number; readonly most: number };
  readonly flags: readonly Flag[];
  /** Takes its flags as Go programs do too: after one dash, and a switch with `=true` or `=false`. */
  readonly goStyle?: boolean;
  /** More text for `--help`. */
  readonly details?: string;
  /** Where others than 2 and 1 are needed: of a wrong command line, and of an error that `run` throws. */
  readonly exitStatus?: { readonly usage: number; readonly failed: number };
  /** @returns The exit status: 0, 1 for work that failed, 2 for a wrong command line or configuration. */
  run(flags: FlagValues, operands: readonly string[]): Promise<number>;
}

/** The flags given. */
export class FlagValues {
  readonly #values: ReadonlyMap<string, readonly string[] | true>;

  constructor(values: ReadonlyMap<string, readonly string[] | true>) {
    this.#values = values;
  }
  /** The flag's value; the last one where it was given several times. */
  text(name: string): string | undefined {
    return this.all(name).at(-1);
  }
  all(name: string): readonly string[] {
    const value = this.#values.get(name);
    return value === true || value === undefined ? [] : value;
  }
  isSet(name: string): boolean {
    return this.#values.has(name);
  }
}

export const helpFlag: Flag = { name: "help", short: "h", help: "Print this help." };

/**
 * Reads the arguments behind a command's name.
 * @throws {UsageError} An unknown flag, a flag without its value, or the wrong number of operands.
 */
export function parseCommandLine(command: Command, args: readonly string[]): { flags: FlagValues; operands: string[] } {
  const known = [...command.flags, helpFlag];
  const options: ParseArgsConfig["options"] = {};
  for (const { name, short, value } of known) {
    options[name] = {
      type: value === undefined ? "boolean" : "string",
      ...(short ? { short } : {}),
      multiple: value !== undefined,
    };
  }
  const values = new Map<string, readonly string[] | true>();
  const operands: string[] = [];
  const given = command.goStyle ? args.map((arg) => fromGoStyle(arg, known)) : [...args];
  const { tokens } = parseArgs({
    args: given.filter((arg) => arg !== undefined),
    options,
    allowPositionals: true,
    strict: false,
    tokens: true,
  });
  for (const token of tokens) {
    if (token.kind === "positional") operands.push(token.value);
    if (token.kind !== "option") continue;
    const flag = known.find(({ name }) => name === token.name);
    if (!flag)
      throw new UsageError(
        `Unknown flag ${token.rawName}${meant(token.name, known)}; see holdfast ${command.name} --help`,
      );
    if (flag.value === undefined && token.value !== undefined) throw new UsageError(`${token.rawName} takes no value`);
    // Nothing behind it is mostly a variable of a shell that is not set. Go's clients take that for a flag left out.
    if (flag.value !== undefined && (token.value === undefined || (token.value === "" && !command.goStyle))) {
      throw new UsageError(`${token.rawName} needs a value: ${token.rawName}=${flag.value}`);
    }
    values.set(flag.name, token.value === undefined ? true : [...earlier(values.get(flag.name)), token.value]);
  }
  const { usage = "", least = 0, most = 0 } = command.operands ?? {};
  if (!values.has("help") && (operands.length < least || operands.length > most)) {
    throw new UsageError(`${unexpected(operands[most])}Expected: holdfast ${command.name} ${usage}`.trimEnd());
  }
  return { flags: new FlagValues(values), operands };
}

/** A sentence on what stands where nothing may, or nothing. */
function unexpected(operand: string | undefined): string {
  if (operand === undefined) return "";
  const isCommand = [...commandNames].some((name) => name.split(" ")[0] === operand);
  return `Unexpected argument ${JSON.stringify(operand)}${isCommand ? ", a command stands before its flags" : ""}. `;
}

/** `-output=F` is `--output=F`, `-skip_head=true` is `--skip_head`, and `-skip_head=false` is nothing. */
function fromGoStyle(arg: string, known: readonly Flag[]): string | undefined {
  const [, name = "", value] = /^--?([A-Za-z][\w.-]+)(?:=(.*))?$/s.exec(arg) ?? [];
  const flag = known.find((one) => one.name === name);
  // A misspelt one is not a row of short ones.
  if (!flag) return name === "" ? arg : `--${name}${value === undefined ? "" : `=${value}`}`;
  if (flag.value !== undefined || value === undefined) return value === undefined ? `--${name}` : `--${name}=${value}`;
  if (/^(?:1|t|T|true|TRUE|True)$/.test(value)) return `--${name}`;
  return /^(?:0|f|F|false|FALSE|False)$/.test(value) ? undefined : arg;
}

const earlier = (value: readonly string[] | true | undefined) => (value === undefined || value === true ? [] : value);

function meant(name: string, known: readonly Flag[]): string {
  const hint = nearest(
    name,
    known.map((flag) => flag.name),
  );
  return hint === undefined ? "" : `, did you mean --${hint}?`;
}

/** The text of `holdfast COMMAND --help`. */
export function commandHelp({ name, summary, operands, flags, details }: Command): string {
  const shown = [...flags, helpFlag].filter(({ internal }) => !internal);
  const rows = shown.map(({ name: flag, short, value, help }): [string, string] => [
    `${short ? `-${short}, ` : ""}--${flag}${value ? `=${value}` : ""}`,
    help,
  ]);
  const width = Math.max(...rows.map(([left]) => left.length));
  const lines = rows.map(([left, right]) => `  ${left.padEnd(width)}  ${right}`);
  const usage = ["holdfast", name, "[flags]", operands?.usage].filter(Boolean).join(" ");
  return `${summary}\n\nUsage: ${usage}\n\nFlags:\n${lines.join("\n")}\n${details ? `\n${details}\n` : ""}`;
}
