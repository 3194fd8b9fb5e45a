/** The compiled agent, run as its users run it. */
import { copyFile, mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createFolder } from "./folders.ts";
import { freePort } from "./ports.ts";
import { asUser, isRoot } from "./users.ts";
import { waitFor } from "./wait.ts";

/** The compiled executable; `scripts/build` makes it. */
export const agentExecutable = new URL("../../dist/holdfast", import.meta.url).pathname;

export interface AgentOptions {
  /** Arguments after `run --config.file=FILE`. */
  readonly args?: readonly string[];
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** Files beside the configuration, by their relative path; `plugin_dir: plugins` finds `plugins/spool.ts`. */
  readonly files?: Readonly<Record<string, string>>;
  /** Runs it as this user where this process is root. */
  readonly user?: string;
  /** False: returns as soon as it is started. Default true: waits for `/-/ready`. */
  readonly waitReady?: boolean;
}

export interface Agent extends AsyncDisposable {
  readonly pid: number;
  readonly port: number;
  readonly url: string;
  readonly folder: string;
  readonly configFile: string;
  /** Lines of stderr so far. */
  readonly stderr: readonly string[];
  /** Lines of stdout so far. */
  readonly stdout: readonly string[];
  fetch(path: string, init?: RequestInit): Promise<Response>;
  /** The text of `/metrics` or of another path. @throws {Error} The status is not 200. */
  scrape(path?: string): Promise<string>;
  /** Replaces the configuration; the same address is put before it as at the start. Signal a reload yourself. */
  configure(yaml: string): Promise<void>;
  signal(signal: NodeJS.Signals): void;
  /** SIGTERM. @returns The exit status; 128 and more where a signal ended it. */
  stop(): Promise<number>;
  readonly exited: Promise<number>;
}

/** @param yaml The configuration; a `listen:` on a free port of 127.0.0.1 is put before it where it has none. */
export async function startAgent(yaml: string, options: AgentOptions = {}): Promise<Agent> {
  const { args = [], env = {}, files = {}, user, waitReady = true } = options;
  await using cleanup = new AsyncDisposableStack();
  const folder = cleanup.use(await createFolder("holdfast-agent", user));
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const configFile = join(folder.path, "holdfast.yml");
  const configure = (text: string) =>
    writeFile(configFile, /^listen:/m.test(text) ? text : `listen: 127.0.0.1:${port}\n${text}`);
  await configure(yaml);
  for (const [name, text] of Object.entries(files)) {
    await mkdir(join(folder.path, name, ".."), { recursive: true });
    await writeFile(join(folder.path, name), text);
  }
  const command = [await executableFor(user, folder.path), "run", `--config.file=${configFile}`, ...args];
  const child = Bun.spawn(user === undefined ? command : asUser(user, command), {
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
    cwd: folder.path,
    env: { ...process.env, ...env },
    // A terminal's Ctrl-C is for whoever started this, who then ends the agent.
    detached: true,
  });
  const exited = child.exited;
  cleanup.defer(async () => {
    child.kill("SIGTERM");
    const timer = setTimeout(() => child.kill("SIGKILL"), 15_000);
    await exited;
    clearTimeout(timer);
  });
  const stderr = gatherLines(child.stderr);
  const stdout = gatherLines(child.stdout);
  const running = () => child.exitCode === null && child.signalCode === null;
  if (waitReady) {
    const isReady = async () => !running() || (await fetch(`${url}/-/ready`)).ok;
    const lastWords = () => stderr.slice(-20).join("\n");
    await waitFor("the agent to be ready", isReady, 60_000).catch((cause) => {
      throw new Error(`The agent did not get ready:\n${lastWords()}`, { cause });
    });
    if (!running()) throw new Error(`The agent ended with ${await exited} before it was ready:\n${lastWords()}`);
  }
  const owned = cleanup.move();
  return {
    pid: child.pid,
    port,
    url,
    folder: folder.path,
    configFile,
    stderr,
    stdout,
    fetch: (path, init) => fetch(url + path, init),
    async scrape(path = "/metrics") {
      const response = await fetch(url + path);
      const text = await response.text();
      if (response.status !== 200) throw new Error(`${path} answered ${response.status}: ${text.slice(0, 500)}`);
      return text;
    },
    configure,
    signal: (signal) => process.kill(child.pid, signal),
    async stop() {
      child.kill("SIGTERM");
      return exited;
    },
    exited,
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

/** Runs the executable to its end. */
export async function runOnce(args: readonly string[], options: { cwd?: string; env?: Record<string, string> } = {}) {
  const child = Bun.spawn([agentExecutable, ...args], {
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
    ...options,
    env: { ...process.env, ...options.env },
  });
  const [stdout, stderr] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()]);
  return { status: await child.exited, stdout, stderr };
}

/** Another user may not be allowed to enter the folder of this repository. */
async function executableFor(user: string | undefined, folder: string): Promise<string> {
  if (user === undefined || !isRoot) return agentExecutable;
  const copy = join(folder, "holdfast");
  await copyFile(agentExecutable, copy);
  return copy;
}

function gatherLines(stream: ReadableStream<Uint8Array>): readonly string[] {
  const lines: string[] = [];
  const read = async () => {
    let rest = "";
    const decoder = new TextDecoder();
    for await (const bytes of stream) {
      const parts = (rest + decoder.decode(bytes, { stream: true })).split("\n");
      rest = parts.pop() ?? "";
      lines.push(...parts);
    }
    if (rest !== "") lines.push(rest);
  };
  // The stream of a process that was killed may end in an error; the lines before it count.
  void read().catch(() => {});
  return lines;
}
