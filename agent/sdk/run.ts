/** Runs commands: with a deadline, an output bound, and an end for the whole process group. */

/** Why a command gave no answer. The agent counts failures by these. */
export type RunErrorReason = "spawn" | "exit" | "timeout" | "oversize" | "aborted";

export interface RunOptions {
  /** Ends the command when aborted. */
  signal?: AbortSignal;
  /** The command's own limit, beside the signal's. */
  timeoutMs?: number;
  /** Most bytes taken of stdout; more ends the command with reason `oversize`. Default 64 MiB. */
  maxOutputBytes?: number;
  /** The whole environment of the command; default: the agent's own. */
  env?: Readonly<Record<string, string | undefined>>;
  cwd?: string;
  /** Text for the command's stdin; default: none (`/dev/null`). */
  stdin?: string;
  /** Exit codes that are an answer, not an error. Default `[0]`. */
  okExitCodes?: readonly number[];
}

export interface RunResult {
  readonly stdout: string;
  /** The end of stderr, at most 64 KiB. */
  readonly stderr: string;
  readonly exitCode: number;
  readonly durationSeconds: number;
}

export type Run = (command: readonly [string, ...string[]], options?: RunOptions) => Promise<RunResult>;

const mostLastWords = 500;

/** A command that gave no answer. Its message names the command, what happened and the end of stderr. */
export class RunError extends Error {
  override readonly name = "RunError";
  readonly reason: RunErrorReason;
  readonly command: readonly string[];
  readonly exitCode: number | undefined;
  /** What the command wrote before it ended; whole when the reason is `exit`. */
  readonly stdout: string;
  readonly stderr: string;

  constructor(
    what: { reason: RunErrorReason; command: readonly string[]; found: string } & Partial<
      Pick<RunError, "exitCode" | "stdout" | "stderr" | "cause">
    >,
  ) {
    const { reason, command, found, exitCode, stdout = "", stderr = "", cause } = what;
    const lastLines = stderr.trim().split("\n").slice(-3).join(" | ");
    // From the next word on: the rest of one that was cut could be a secret's, which nobody would know for one.
    const lastWords =
      lastLines.length > mostLastWords ? lastLines.slice(-mostLastWords).replace(/^\S*\s*/, "") : lastLines;
    super(`Cannot run ${JSON.stringify(command[0])}: ${found}${lastWords && `: ${lastWords}`}`, { cause });
    this.reason = reason;
    this.command = command;
    this.exitCode = exitCode;
    this.stdout = stdout;
    this.stderr = stderr;
  }
}

const defaultMaxOutputBytes = 64 * 2 ** 20;
const maxErrorBytes = 64 * 2 ** 10;
/** Time between SIGTERM and SIGKILL, and what a grandchild that holds stdout gets after the command has ended. */
const killAfterMs = 2_000;
const drainAfterExitMs = 250;

/** Told of each process group, so that whoever outlives the caller can end it. */
export interface RunHooks {
  onSpawn?(pid: number): void;
  onExit?(pid: number): void;
}

/**
 * A `run` whose commands all end with `signal`.
 * Each command leads a process group of its own, which ends with it: SIGTERM, two seconds later SIGKILL.
 * @throws {RunError} The command could not be started, ended with another exit code, ran past a limit or was aborted.
 */
export function createRun(outer?: AbortSignal, hooks: RunHooks = {}): Run {
  return async (command, options = {}) => {
    const { timeoutMs, maxOutputBytes = defaultMaxOutputBytes, okExitCodes = [0] } = options;
    const signals = [outer, options.signal, timeoutMs === undefined ? undefined : AbortSignal.timeout(timeoutMs)];
    const signal = AbortSignal.any(signals.filter((one) => one !== undefined));
    const startedAt = performance.now();
    const secondsSoFar = () => (performance.now() - startedAt) / 1000;
    if (signal.aborted) throw abortError(command, signal, secondsSoFar());

    const child = spawn(command, options);
    hooks.onSpawn?.(child.pid);
    const ending = new Ending(child);
    const stop = () => ending.begin();
    signal.addEventListener("abort", stop, { once: true });
    const output = new Output(child.stdout, maxOutputBytes, stop);
    const errors = new Output(child.stderr, maxErrorBytes);
    try {
      await Promise.race([child.exited, ending.givenUp]);
      killGroup(child.pid, "SIGKILL");
      await Promise.all([output.drain(drainAfterExitMs), errors.drain(drainAfterExitMs)]);
    } finally {
      signal.removeEventListener("abort", stop);
      ending.over();
      hooks.onExit?.(child.pid);
    }
    const stderr = errors.text();
    if (output.overflown) {
      const found = `more than ${maxOutputBytes} bytes on stdout`;
      throw new RunError({ reason: "oversize", command, found, stderr });
    }
    const stdout = output.text();
    if (signal.aborted) throw abortError(command, signal, secondsSoFar(), { stdout, stderr });
    const exitCode = child.exitCode ?? 128;
    if (child.signalCode || !okExitCodes.includes(exitCode)) {
      const found = child.signalCode ? `ended by ${child.signalCode}` : `exit status ${exitCode}`;
      throw new RunError({ reason: "exit", command, found, exitCode, stdout, stderr });
    }
    return { stdout, stderr, exitCode, durationSeconds: secondsSoFar() };
  };
}

type Child = Bun.Subprocess<"ignore" | Uint8Array, "pipe", "pipe">;

const spawnErrors: Readonly<Record<string, string>> = {
  ENOENT: "no such command in PATH or directory",
  EACCES: "permission denied, this user may not run it: see its mode, and the folders on its path",
};

function spawn(command: readonly [string, ...string[]], { env, cwd, stdin }: RunOptions): Child {
  try {
    return Bun.spawn([...command], {
      stdin: stdin === undefined ? "ignore" : new TextEncoder().encode(stdin),
      stdout: "pipe",
      stderr: "pipe",
      // A session, and so a process group, of its own.
      detached: true,
      env: env ?? process.env,
      ...(cwd === undefined ? {} : { cwd }),
    });
  } catch (cause) {
    const code = (cause as { code?: string }).code;
    const found = spawnErrors[code ?? ""] ?? code ?? String(cause);
    throw new RunError({ reason: "spawn", command, found, cause });
  }
}

function abortError(
  command: readonly string[],
  signal: AbortSignal,
  seconds: number,
  output: { stdout?: string; stderr?: string } = {},
): RunError {
  const timedOut = (signal.reason as { name?: string } | undefined)?.name === "TimeoutError";
  const found = timedOut ? `no answer after ${seconds.toFixed(1)} s` : "aborted";
  return new RunError({ reason: timedOut ? "timeout" : "aborted", command, found, cause: signal.reason, ...output });
}

/**
 * Sends a signal to a process group. One that is gone is no error, nor one that may not be signalled, as a command that
 * became another user by sudo: whoever waits for its end gives up some time.
 */
export function killGroup(pid: number, signal: NodeJS.Signals): void {
  // kill(2) takes 0 and -1 for the caller's own group and for every process there is.
  if (!Number.isSafeInteger(pid) || pid <= 1) throw new RangeError(`Cannot end process group ${pid}`);
  try {
    process.kill(-pid, signal);
  } catch (error) {
    const { code } = error as { code?: string };
    if (code !== "ESRCH" && code !== "EPERM") throw error;
  }
}

/** The way to the end of a process group: SIGTERM, SIGKILL, and giving up on one that even so does not end. */
class Ending {
  readonly #pid: number;
  readonly #gaveUp = Promise.withResolvers<void>();
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor({ pid }: Child) {
    this.#pid = pid;
  }
  get givenUp(): Promise<void> {
    return this.#gaveUp.promise;
  }
  begin(): void {
    if (this.#timer) return;
    killGroup(this.#pid, "SIGTERM");
    this.#timer = setTimeout(() => {
      killGroup(this.#pid, "SIGKILL");
      this.#timer = setTimeout(() => this.#gaveUp.resolve(), killAfterMs);
    }, killAfterMs);
  }
  over(): void {
    clearTimeout(this.#timer);
  }
}

/** Reads a pipe up to a bound. Past it, `onOverflow` is called; without one, the beginning is let go. */
class Output {
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;
  readonly #maxBytes: number;
  readonly #chunks: Uint8Array[] = [];
  readonly #done: Promise<void>;
  #bytes = 0;
  overflown = false;

  constructor(stream: ReadableStream<Uint8Array>, maxBytes: number, onOverflow?: () => void) {
    this.#reader = stream.getReader() as ReadableStreamDefaultReader<Uint8Array>;
    this.#maxBytes = maxBytes;
    this.#done = this.#read(onOverflow);
  }
  async #read(onOverflow?: () => void): Promise<void> {
    const maxBytes = this.#maxBytes;
    for (;;) {
      const { done, value } = await this.#reader.read();
      if (done) return;
      if (this.overflown) continue;
      this.#chunks.push(value);
      this.#bytes += value.byteLength;
      if (this.#bytes <= maxBytes) continue;
      if (onOverflow) {
        this.overflown = true;
        this.#chunks.length = 0;
        onOverflow();
      } else {
        while (this.#chunks.length > 1 && this.#bytes - (this.#chunks[0]?.byteLength ?? 0) >= maxBytes) {
          this.#bytes -= this.#chunks.shift()?.byteLength ?? 0;
        }
      }
    }
  }
  /** Waits for the end of the stream, or as long as given: a grandchild may hold the pipe open for ever. */
  async drain(milliseconds: number): Promise<void> {
    const timer = Promise.withResolvers<void>();
    const handle = setTimeout(timer.resolve, milliseconds);
    await Promise.race([this.#done, timer.promise]);
    clearTimeout(handle);
    await this.#reader.cancel().catch(() => {});
  }
  text(): string {
    return new TextDecoder().decode(Buffer.concat(this.#chunks).subarray(-this.#maxBytes));
  }
}
