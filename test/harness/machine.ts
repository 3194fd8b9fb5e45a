/** A machine of its own in namespaces: any port is free, any file may be written, and names of hosts are as documents have them. */
import { chmod, mkdir } from "node:fs/promises";
import { dirname, join } from "node:path";
import { agentExecutable } from "./agent.ts";
import { type Background, backgroundOf } from "./background.ts";
import { createFolder } from "./folders.ts";
import { waitFor } from "./wait.ts";

const repository = new URL("../..", import.meta.url).pathname.replace(/\/$/, "");
const script = new URL("machine.sh", import.meta.url).pathname;

export interface Ended {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Machine extends AsyncDisposable {
  /** Runs a script of bash to its end. Links with the tools' names are in PATH, and in the folder where it runs. */
  run(script: string, env?: Readonly<Record<string, string>>): Promise<Ended>;
  /** Starts one whose last command is a server; its environment stays. */
  start(script: string, env?: Readonly<Record<string, string>>): Background;
  /** What `curl` gets. @throws {Error} No answer before the deadline, or one that `isRight` never takes. */
  get(url: string, isRight?: (text: string) => boolean): Promise<string>;
}

export interface MachineOptions {
  /** Links to the executable: in PATH, and in the folder where scripts run. */
  readonly links: readonly string[];
  /** Folders that are there too, under their own names. */
  readonly folders?: readonly string[];
}

export async function createMachine({ links, folders = [] }: MachineOptions): Promise<Machine> {
  await using cleanup = new AsyncDisposableStack();
  const root = cleanup.use(await createFolder("holdfast-machine"));
  const linkFolder = cleanup.use(await createFolder("holdfast-links"));
  await chmod(linkFolder.path, 0o755);
  for (const link of links) {
    await mkdir(dirname(join(linkFolder.path, link)), { recursive: true });
    await Bun.$`ln -s ${agentExecutable} ${join(linkFolder.path, link)}`.quiet();
  }
  const mounted = [repository, linkFolder.path, ...folders];
  const holder = Bun.spawn(["unshare", "-rnm", "sh", script, root.path, ...mounted], {
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  cleanup.defer(async () => {
    holder.kill("SIGKILL");
    await holder.exited;
  });
  const reader = holder.stdout.getReader();
  const { value } = await reader.read();
  if (new TextDecoder().decode(value) !== "ready\n") {
    throw new Error(`Cannot make a machine: ${await new Response(holder.stderr).text()}`);
  }
  const spawn = (text: string, env: Readonly<Record<string, string>>) =>
    Bun.spawn(
      [
        "nsenter",
        "-t",
        String(holder.pid),
        "-U",
        "-n",
        "-m",
        "-r",
        "--preserve-credentials",
        "-w",
        "bash",
        "-c",
        `cd '${linkFolder.path}' || exit\n${text}`,
      ],
      {
        stdin: "ignore",
        stdout: "pipe",
        stderr: "pipe",
        env: { ...process.env, ...env, PATH: `${linkFolder.path}:${env.PATH ?? ""}:${process.env.PATH}:/usr/sbin` },
        detached: true,
      },
    );
  const run: Machine["run"] = async (text, env = {}) => {
    const child = spawn(text, env);
    const [stdout, stderr] = await Promise.all([child.stdout.text(), child.stderr.text()]);
    return { status: await child.exited, stdout, stderr };
  };
  const owned = cleanup.move();
  return {
    run,
    start(text, env = {}) {
      return backgroundOf(spawn(text, env));
    },
    async get(url, isRight = () => true) {
      let last = "";
      return await waitFor(
        `the answer of ${url}`,
        async () => {
          const { status, stdout, stderr } = await run(`curl -fsS --max-time 10 '${url}'`);
          last = stdout + stderr;
          return status === 0 && isRight(stdout) && stdout;
        },
        60_000,
      ).catch((cause) => {
        throw new Error(`The last answer of ${url} was:\n${last.slice(-3000)}`, { cause });
      });
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

/** Whether this user may make namespaces, and mount what is needed in them. */
export function canMakeMachine(): boolean {
  const needs = `set -e
    mount -t tmpfs none /mnt
    mkdir /mnt/changes /mnt/work /mnt/etc
    mount -t overlay overlay -o lowerdir=/etc,upperdir=/mnt/changes,workdir=/mnt/work /mnt/etc
    ip link set lo up
    for tool in bash curl nsenter chroot; do command -v $tool; done`;
  try {
    const env = { ...process.env, PATH: `${process.env.PATH}:/usr/sbin:/sbin` };
    return (
      Bun.spawnSync(["unshare", "-rnm", "sh", "-c", needs], { stdout: "ignore", stderr: "ignore", env }).exitCode === 0
    );
  } catch {
    return false;
  }
}
