/** A stand-in for `barman` that answers with recordings of the real one. */
import { readFileSync } from "node:fs";
import { type Run, RunError, type RunOptions } from "holdfast";

const fixtures = new URL("../fixtures/barman/", import.meta.url);

interface Recording {
  readonly file: string;
  readonly scenario: string;
  readonly command: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  /** Null: it hung, and the recorder ended it. */
  readonly exit_code: number | null;
  readonly stderr: string;
}

export interface ReplayOptions {
  readonly version?: string;
  /**
   * Where to look, first match wins; `SCENARIO` or `SCENARIO/PREFIX` of the file name. `healthy` is always last.
   * A question about `all` that a scenario has for one server only is answered with that.
   */
  readonly scenarios?: readonly string[];
  /** Picks among recordings of several time zones. */
  readonly timeZone?: string | undefined;
}

export interface Reply {
  readonly stdout: string;
  readonly stderr: string;
  /** Undefined: hangs. */
  readonly exitCode: number | undefined;
}

/** What Barman answered to these arguments (without the program's name). */
export function reply({ version = "3.4.0", scenarios = [], timeZone }: ReplayOptions, args: readonly string[]): Reply {
  const index = JSON.parse(readFileSync(new URL(`${version}/index.json`, fixtures), "utf8")) as Recording[];
  for (const wanted of [...scenarios, "healthy"]) {
    const [scenario, prefix = ""] = wanted.split("/");
    const candidates = index.filter(
      (one) =>
        one.scenario === scenario &&
        one.file.startsWith(`${scenario}/${prefix}`) &&
        (timeZone === undefined || one.env.TZ === undefined || one.env.TZ === timeZone),
    );
    const found = candidates.find(isFor(args)) ?? candidates.find(isAlmostFor(args, version));
    if (found) return { stdout: text(version, found), stderr: found.stderr, exitCode: found.exit_code ?? undefined };
  }
  if (!args.includes("show-backup")) return { stdout: "", stderr: "usage: barman [-h]\n", exitCode: 2 };
  const [server, id] = args.slice(-2);
  const message = `Unknown backup '${id}' for server '${server}'`;
  return { stdout: JSON.stringify({ _ERROR: [message] }), stderr: "", exitCode: 1 };
}

const text = (version: string, { file }: Recording) => readFileSync(new URL(`${version}/${file}`, fixtures), "utf8");
const isFor = (args: readonly string[]) => (one: Recording) => one.command.slice(1).join("\0") === args.join("\0");

/** A recording of one server for `all`, or of the same backup by another name. */
const isAlmostFor = (args: readonly string[], version: string) => (one: Recording) => {
  const recorded = one.command.slice(1);
  if (recorded.length !== args.length || recorded[2] !== args[2]) return false;
  if (args.at(-1) === "all") return args.length === 4;
  return (
    args[2] === "show-backup" && recorded[3] === args[3] && text(version, one).includes(`"backup_id": "${args[4]}"`)
  );
};

export interface ReplayRun extends Run {
  /** The command lines that were run, without the program's name and `-f json`. */
  readonly calls: string[];
}

/** A `run` that starts nothing. `answer` may replace single replies; undefined leaves them. */
export function replayRun(
  options: () => ReplayOptions,
  answer: (line: string) => Partial<Reply> | undefined = () => undefined,
): ReplayRun {
  const calls: string[] = [];
  const run = async (command: readonly [string, ...string[]], { signal }: RunOptions = {}) => {
    const args = command.slice(1);
    const line = args.filter((arg, at) => !(at < 2 && ["-f", "json"].includes(arg))).join(" ");
    calls.push(line);
    signal?.throwIfAborted();
    const own = answer(line);
    const { stdout, stderr, exitCode } = own ? { stdout: "", stderr: "", exitCode: 0, ...own } : reply(options(), args);
    if (exitCode === undefined) throw new RunError({ reason: "timeout", command, found: "no answer after 1.0 s" });
    if (exitCode !== 0) {
      throw new RunError({ reason: "exit", command, found: `exit status ${exitCode}`, exitCode, stdout, stderr });
    }
    return { stdout, stderr, exitCode, durationSeconds: 0 };
  };
  return Object.assign(run, { calls });
}
