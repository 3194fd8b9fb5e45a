/** A small Debian of its own in a folder, for packages to be installed in. No service manager runs in it. */
import { join } from "node:path";
import { createFolder } from "./folders.ts";
import { isRoot } from "./users.ts";

export interface DebianRoot extends AsyncDisposable {
  readonly path: string;
  /** `command` as it has to be started for running in there, with /proc and /dev; its process is the command's own. */
  inside(command: readonly string[], user?: string): string[];
  /** Runs a command in there to its end. */
  run(command: readonly string[], options?: RunOptions): Promise<{ status: number; stdout: string; stderr: string }>;
  /** Runs a command in there. @returns What it wrote on stdout. @throws {Error} Its exit status is another than 0. */
  sh(script: string): Promise<string>;
}

interface RunOptions {
  readonly user?: string;
  readonly env?: Readonly<Record<string, string>>;
}

/** Mounts are the command's alone and vanish with it: whatever removes the folder never walks into the machine's /dev. */
const enter = 'mount -t proc proc "$1/proc" && mount --rbind /dev "$1/dev" && shift && exec "$@"';

/** @returns The root, or why there can be none. */
export async function createDebianRoot(): Promise<DebianRoot | { readonly reason: string }> {
  if (!isRoot) return { reason: "not root" };
  if (Bun.which("debootstrap", { PATH: `${process.env.PATH}:/usr/sbin` }) === null)
    return { reason: "debootstrap missing here" };
  await using cleanup = new AsyncDisposableStack();
  const folder = cleanup.use(await createFolder("holdfast-root"));
  const path = join(folder.path, "root");
  const suite = /^VERSION_CODENAME=(\w+)/m.exec(await Bun.file("/etc/os-release").text())?.[1] ?? "stable";
  const made = await execute(["unshare", "--mount", "debootstrap", "--variant=minbase", suite, path]);
  if (made.status !== 0)
    return { reason: `debootstrap failed: ${(made.stderr || made.stdout).trim().split("\n").at(-1)}` };
  const inside = (command: readonly string[], user = "root") => [
    ...["unshare", "--mount", "sh", "-c", enter, "sh", path],
    ...["chroot", `--userspec=${user}`, path, ...command],
  ];
  const run = (command: readonly string[], { user, env }: RunOptions = {}) => execute(inside(command, user), env);
  const owned = cleanup.move();
  return {
    path,
    inside,
    run,
    async sh(script) {
      const { status, stdout, stderr } = await run(["sh", "-euc", script]);
      if (status !== 0) throw new Error(`Exit status ${status} in the Debian root: ${script}\n${stdout}${stderr}`);
      return stdout;
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

async function execute(command: readonly string[], env: Readonly<Record<string, string>> = {}) {
  const child = Bun.spawn([...command], {
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
    cwd: "/",
    // TMPDIR may name a folder that is not in the root.
    env: {
      PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
      LC_ALL: "C.UTF-8",
      HOME: "/root",
      ...env,
    },
  });
  const [stdout, stderr] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()]);
  return { status: await child.exited, stdout, stderr };
}
