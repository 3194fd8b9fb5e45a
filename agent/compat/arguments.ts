/** Command lines as the originals read them. */
import { UsageError } from "../commands/command.ts";
import { nearest } from "../config/suggestions.ts";
import { type OriginalFlag, refuse } from "./tool.ts";

export interface Arguments {
  /** By the flag's name; a switch has `true` or `false`. The last one counts. */
  readonly flags: ReadonlyMap<string, string>;
  /** What follows the flags. */
  readonly operands: readonly string[];
}

/** Every tool has it. */
export const helpFlag: OriginalFlag = { name: "help", short: "h", here: "Prints this help." };
export const versionFlag: OriginalFlag = { name: "version", here: "Prints the version." };

/**
 * Flags as Go programs take them: `-name value`, `--name=value`, switches as `-name` or `-name=false`, up to the first argument that is
 * no flag, or `--`.
 * @param program For messages.
 * @throws {UsageError} A flag is unknown, has no value, or means something that is no more.
 */
export function parseGoFlags(program: string, args: readonly string[], known: readonly OriginalFlag[]): Arguments {
  const flags = new Map<string, string>();
  let index = 0;
  for (; index < args.length; index++) {
    const arg = args[index] ?? "";
    if (!/^-./.test(arg)) break;
    if (arg === "--") {
      index++;
      break;
    }
    const [, dashes = "", name = "", given] = /^(--?)([^=]+)(?:=(.*))?$/s.exec(arg) ?? [];
    const flag = find(program, name, dashes + name, known);
    if (flag.value === undefined) flags.set(flag.name, String(given === undefined || goBoolean(`-${name}`, given)));
    else {
      const value = given ?? args[++index];
      if (value === undefined) throw new UsageError(`${dashes}${name} needs a value: ${dashes}${name}=${flag.value}`);
      flags.set(flag.name, value);
    }
  }
  return { flags, operands: args.slice(index) };
}

/**
 * Flags as Python's argparse takes them: `-c 60`, `-c60`, `--cache-time 60`, `--cache-time=60`, before, between and behind operands.
 * @throws {UsageError} As {@link parseGoFlags}.
 */
export function parsePythonFlags(program: string, args: readonly string[], known: readonly OriginalFlag[]): Arguments {
  const flags = new Map<string, string>();
  const operands: string[] = [];
  for (let index = 0; index < args.length; index++) {
    const arg = args[index] ?? "";
    const [, long, longValue, short, attached] = /^--([^=]+)(?:=(.*))?$|^-(\w)(.*)$/s.exec(arg) ?? [];
    if (arg === "--") {
      operands.push(...args.slice(index + 1));
      break;
    }
    const name = long ?? short;
    if (name === undefined) {
      operands.push(arg);
      continue;
    }
    const flag = find(program, name, arg, known);
    const given = longValue ?? (attached || undefined);
    if (flag.value === undefined) {
      if (given !== undefined) throw new UsageError(`${arg} takes no value`);
      flags.set(flag.name, "true");
      continue;
    }
    const value = given ?? args[++index];
    if (value === undefined) throw new UsageError(`${arg} needs a value: ${flag.value}`);
    flags.set(flag.name, value);
  }
  return { flags, operands };
}

/** @throws {UsageError} There is something. */
export function expectNoOperands(program: string, [first]: readonly string[]): void {
  if (first !== undefined) throw new UsageError(`Unexpected argument ${JSON.stringify(first)}; see ${program} --help`);
}

function find(program: string, name: string, written: string, known: readonly OriginalFlag[]): OriginalFlag {
  const flag = [...known, helpFlag].find((one) => one.name === name || one.short === name);
  if (!flag) {
    const names = known.filter(({ refused }) => refused === undefined).map((one) => one.name);
    const hint = nearest(name, names);
    const meant = hint === undefined ? "" : `, did you mean --${hint}?`;
    throw new UsageError(`Unknown flag ${written}${meant}; see ${program} --help`);
  }
  if (flag.refused !== undefined) refuse(written, flag.refused);
  return flag;
}

/** A boolean as Go spells it. @param name Of the flag or variable. @throws {UsageError} It is none. */
export function goBoolean(name: string, text: string): boolean {
  if (/^(?:1|t|T|true|TRUE|True)$/.test(text)) return true;
  if (/^(?:0|f|F|false|FALSE|False)$/.test(text)) return false;
  throw new UsageError(`Cannot read ${name} ${JSON.stringify(text)}: expected true or false`);
}

/** The text of `--help`. */
export function helpText(
  program: string,
  about: string,
  usage: readonly string[],
  flags: readonly OriginalFlag[],
): string {
  const rows = [...flags.filter(({ refused }) => refused === undefined), helpFlag].map((flag): [string, string] => {
    const { name, short, value, environment, here } = flag;
    const names = [short === undefined ? "" : `-${short}, `, `--${name}`, value === undefined ? "" : `=${value}`];
    const more = [
      ...(flag.default === undefined ? [] : [`default ${flag.default}`]),
      ...(environment === undefined ? [] : [`or $${environment}`]),
    ];
    return [names.join(""), `${here.replaceAll("`", "")}${more.length > 0 ? ` (${more.join(", ")})` : ""}`];
  });
  const width = Math.max(...rows.map(([left]) => left.length));
  const lines = rows.map(([left, right]) => `  ${left.padEnd(width)}  ${right}`);
  return [
    about,
    "",
    ...usage.map((line, index) => `${index === 0 ? "Usage: " : "       "}${line}`),
    "",
    "Flags, and what becomes of them in holdfast:",
    ...lines,
    "",
    `${program} --print-config …: prints the configuration for holdfast that means the same.`,
    "",
  ].join("\n");
}
