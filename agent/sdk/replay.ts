/** Answers commands from recordings: for tests, where nothing is to be run. */
import { type Run, RunError } from "./run.ts";

/** What one command did once. */
export interface Recording {
  /** The command with all its arguments, as `run` is given it. */
  readonly command: readonly string[];
  /** What it printed. Default: nothing. */
  readonly stdout?: string;
  /** A file with what it printed, in place of `stdout`. */
  readonly file?: string | URL;
  readonly stderr?: string;
  /** Default 0. */
  readonly exitCode?: number;
  /** It gave no answer: it was not there, or it did not end in time. */
  readonly fails?: "spawn" | "timeout";
}

/** A `run` that plays recordings, and knows what was asked of it. */
export interface Replay extends Run {
  /** The commands so far, in order. */
  readonly commands: readonly (readonly string[])[];
}

/**
 * A `run` for {@link testPlugin} that answers from recordings and starts no process. Of several recordings of one
 * command the first answers the first call, and so on; the last one answers all that follow.
 * A command without a recording is an `Error` that names it; a recorded failure is the `RunError` of a real one.
 */
export function replay(recordings: readonly Recording[]): Replay {
  const commands: (readonly string[])[] = [];
  const run: Run = async (command, { signal, maxOutputBytes = Number.POSITIVE_INFINITY, okExitCodes = [0] } = {}) => {
    commands.push(command);
    if (signal?.aborted) {
      const isTimeout = (signal.reason as { name?: string } | undefined)?.name === "TimeoutError";
      throw new RunError({
        reason: isTimeout ? "timeout" : "aborted",
        command,
        found: "aborted",
        cause: signal.reason,
      });
    }
    const matching = recordings.filter((recording) => isSame(recording.command, command));
    const calls = commands.filter((earlier) => isSame(earlier, command)).length;
    const recording = matching[Math.min(calls, matching.length) - 1];
    // No RunError: a plugin may take that for an answer, and the test would miss that nothing was recorded.
    if (!recording) throw new Error(missing(command, recordings));
    const { fails, stderr = "", exitCode = 0 } = recording;
    if (fails === "spawn") {
      throw new RunError({ reason: "spawn", command, found: "no such command in PATH or directory" });
    }
    if (fails === "timeout") throw new RunError({ reason: "timeout", command, found: "no answer in time", stderr });
    const stdout = recording.file === undefined ? (recording.stdout ?? "") : await Bun.file(recording.file).text();
    if (Buffer.byteLength(stdout) > maxOutputBytes) {
      const found = `more than ${maxOutputBytes} bytes on stdout`;
      throw new RunError({ reason: "oversize", command, found, stderr });
    }
    if (!okExitCodes.includes(exitCode)) {
      throw new RunError({ reason: "exit", command, found: `exit status ${exitCode}`, exitCode, stdout, stderr });
    }
    return { stdout, stderr, exitCode, durationSeconds: 0 };
  };
  return Object.assign(run, { commands });
}

function isSame(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((word, index) => word === b[index]);
}

function missing(command: readonly string[], recordings: readonly Recording[]): string {
  const known = [...new Set(recordings.map((recording) => JSON.stringify(recording.command)))].join(", ");
  return `No recording of the command ${JSON.stringify(command)}; recorded: ${known || "nothing"}`;
}
