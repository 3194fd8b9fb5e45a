/** Server processes: each leads a process group, which ends with it, and writes to a log that errors quote. */
import { closeSync, openSync, readdirSync, readFileSync } from "node:fs";
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
  async until(what: string, condition: () => unknown, deadlineMs = 60_000): Promise<void> {
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

  /** Asks for an orderly end and waits for it; after thirty seconds kills. Whatever the group still holds is killed. */
  async stop(): Promise<void> {
    this.signal(this.#options.stopSignal ?? "SIGTERM");
    const timer = setTimeout(() => this.killGroup(), 30_000);
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

/**
 * SIGKILL to a process and all below it, so that none can act on the end of another. A process group is not enough:
 * each of PostgreSQL's processes leads one of its own. Waits until all have ended, and with them their shared memory.
 */
export async function killTree(pid: number): Promise<void> {
  // Stopped first: it can neither start another nor see one end.
  signalIfThere(pid, "SIGSTOP");
  const children = childrenByParent();
  const tree = [pid];
  for (const parent of tree) tree.push(...(children.get(parent) ?? []));
  for (const member of tree) signalIfThere(member, "SIGKILL");
  await waitFor("killed processes to end", () => tree.every(hasEnded));
}

/** Whether nothing of a process is left but its exit status. */
function hasEnded(pid: number): boolean {
  try {
    return /\) [ZX] [^)]*$/.test(readFileSync(`/proc/${pid}/stat`, "utf8"));
  } catch {
    return true;
  }
}

function childrenByParent(): Map<number, number[]> {
  const children = new Map<number, number[]>();
  for (const name of readdirSync("/proc").filter((entry) => /^\d+$/.test(entry))) {
    const parent = parentOf(name);
    if (parent !== undefined) children.set(parent, [...(children.get(parent) ?? []), Number(name)]);
  }
  return children;
}

/** Source: proc(5), /proc/PID/stat; the name in parentheses may hold anything. Undefined when the process has ended. */
function parentOf(pid: string): number | undefined {
  try {
    const [, parent] = /\) \S (\d+) [^)]*$/.exec(readFileSync(`/proc/${pid}/stat`, "utf8")) ?? [];
    return Number(parent);
  } catch {
    return undefined;
  }
}

function signalIfThere(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch {
    // It has ended.
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
