/** A small Debian of its own in a folder, for packages to be installed in. No service manager runs in it. */
import { chmod, mkdir, rename, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { createFolder } from "./folders.ts";
import { runTool } from "./processes.ts";
import { isRoot } from "./users.ts";

const repository = new URL("../..", import.meta.url).pathname;

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

/** debootstrap syncs each file to the disk, several times: in memory it takes half as long. */
const make = `mount -t tmpfs none "$1"
debootstrap --variant=minbase "$2" "$1/root" && tar -C "$1/root" --xattrs --exclude='*.deb' --exclude='*_Packages' -cf "$3" .`;

/** A root with nothing installed in it yet, or why there can be none. Made once: another that needs one takes the same. */
async function freshRootArchive(): Promise<string | { readonly reason: string }> {
  const suite = /^VERSION_CODENAME=(\w+)/m.exec(await Bun.file("/etc/os-release").text())?.[1] ?? "stable";
  const archive = join(repository, `dist/packages-tested/debian-${suite}.tar`);
  if (await Bun.file(archive).exists()) return archive;
  await mkdir(dirname(archive), { recursive: true });
  await using scratch = await createFolder("holdfast-debootstrap");
  const unfinished = `${archive}.${process.pid}`;
  const { status, stdout, stderr } = await execute([
    "unshare",
    "--mount",
    "sh",
    "-euc",
    make,
    "sh",
    scratch.path,
    suite,
    unfinished,
  ]);
  if (status === 0) {
    await rename(unfinished, archive);
    return archive;
  }
  await rm(unfinished, { force: true });
  return { reason: `debootstrap failed: ${(stderr || stdout).trim().split("\n").at(-1)}` };
}

/** @returns The root, or why there can be none. */
export async function createDebianRoot(): Promise<DebianRoot | { readonly reason: string }> {
  if (!isRoot) return { reason: "not root" };
  if (Bun.which("debootstrap", { PATH: `${process.env.PATH}:/usr/sbin` }) === null)
    return { reason: "debootstrap missing here" };
  await using cleanup = new AsyncDisposableStack();
  const folder = cleanup.use(await createFolder("holdfast-root"));
  // Who comes from outside, such as a server that is not root, may enter as those within do.
  await chmod(folder.path, 0o711);
  const path = join(folder.path, "root");
  await mkdir(path);
  const archive = await freshRootArchive();
  if (typeof archive !== "string") return archive;
  await runTool(["tar", "--numeric-owner", "--xattrs", "-xpf", archive, "-C", path], { user: "root", cwd: "/" });
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
