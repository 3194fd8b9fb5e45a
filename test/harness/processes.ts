/** Server processes: each leads a process group, which ends with it, and writes to a log that errors quote. */
import { closeSync, openSync, readFileSync } from "node:fs";
import { asUser } from "./users.ts";
import { waitFor } from "./wait.ts";

export interface ServerOptions {
  readonly command: readonly string[];
  readonly user: string;
  /** Receives stdout and stderr. */
  readonly logFile: string;
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** A folder that `user` may enter. */
  readonly cwd: string;
  /** The signal that asks for an orderly end. Default SIGTERM. */
  readonly stopSignal?: NodeJS.Signals;
}

export class ServerProcess implements AsyncDisposable {
  readonly #child: Bun.Subprocess;
  readonly #options: ServerOptions;

  constructor(options: ServerOptions) {
    this.#options = options;
    const log = openSync(options.logFile, "a");
    try {
      this.#child = Bun.spawn(asUser(options.user, options.command), {
        stdin: "ignore",
        stdout: log,
        stderr: log,
        cwd: options.cwd,
        env: { ...process.env, ...options.env },
        detached: true,
      });
    } finally {
      closeSync(log);
    }
  }

  get pid(): number {
    return this.#child.pid;
  }

  get running(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  log(): string {
    return readFileSync(this.#options.logFile, "utf8");
  }

  /** Waits until `condition` holds. @throws {Error} The process ended first, or the deadline passed; with the log's end. */
  async until(what: string, condition: () => unknown, deadlineMs = 30_000): Promise<void> {
    const [name = ""] = this.#options.command;
    try {
      await waitFor(what, async () => !this.running || (await condition()), deadlineMs);
    } catch (cause) {
      throw new Error(`${name} did not get as far as ${what}:\n${this.log().slice(-2000)}`, { cause });
    }
    if (!this.running) throw new Error(`${name} ended before ${what}:\n${this.log().slice(-2000)}`);
  }

  signal(signal: NodeJS.Signals): void {
    if (this.running) process.kill(this.pid, signal);
  }

  /** Asks for an orderly end and waits for it; after ten seconds kills. Whatever the group still holds is killed. */
  async stop(): Promise<void> {
    this.signal(this.#options.stopSignal ?? "SIGTERM");
    const timer = setTimeout(() => this.killGroup(), 10_000);
    await this.#child.exited;
    clearTimeout(timer);
    this.killGroup();
  }

  /** The end that nothing can prepare for. */
  async kill(): Promise<void> {
    this.killGroup();
    await this.#child.exited;
  }

  private killGroup(): void {
    try {
      process.kill(-this.pid, "SIGKILL");
    } catch {
      // Nobody is left in the group.
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }
}

/** Runs a command to its end. @throws {Error} Its exit status is another than 0; with what it wrote. */
export async function runTool(
  command: readonly string[],
  { user, env, cwd }: { user: string; env?: Readonly<Record<string, string | undefined>>; cwd: string },
): Promise<string> {
  const child = Bun.spawn(asUser(user, command), {
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
    cwd,
    env: { ...process.env, ...env },
  });
  const [stdout, stderr] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()]);
  const status = await child.exited;
  if (status !== 0) throw new Error(`${command.join(" ")}: exit status ${status}\n${stdout}${stderr}`);
  return stdout;
}
