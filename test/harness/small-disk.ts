/**
 * A file system with little room, in memory. It is mounted for a process of its own, through which it is reached, and is
 * gone with that process: nothing has to be unmounted, even when the tests are killed. An ordinary user can have one too,
 * where the system lets users have namespaces.
 */
import { statfs } from "node:fs/promises";
import { asUser, isRoot } from "./users.ts";
import { waitFor } from "./wait.ts";

export interface SmallDisk extends AsyncDisposable {
  /** Its top folder, for this process and others of the same user. */
  readonly path: string;
  /** Gives it another size; what it holds stays. */
  resize(bytes: number): Promise<void>;
  freeBytes(): Promise<number>;
}

/** Any folder will do: nobody else sees what is mounted there. */
const mountPoint = "/mnt";

const withUser = (user: string | undefined, command: string[]) =>
  user === undefined ? command : asUser(user, command);

/** Options of unshare that work here: as root without a user namespace, as others with one. */
function workingOptions(user: string | undefined): string[] | undefined {
  return [["--mount"], ["--mount", "--user", "--map-root-user"]].find((options) => {
    try {
      const command = ["unshare", ...options, "mount", "-t", "tmpfs", "none", mountPoint];
      return Bun.spawnSync(withUser(user, command)).exitCode === 0;
    } catch {
      return false;
    }
  });
}

/** Whether this machine lets this user, or as root another one, have one. */
export const canMakeSmallDisk = (user?: string): boolean => workingOptions(user) !== undefined;

/**
 * @param user Whose it is where this process is root; only that user can make files there, and root can read them.
 * @throws {Error} The system does not let this user have one.
 */
export async function createSmallDisk(sizeBytes: number, user?: string): Promise<SmallDisk> {
  const options = workingOptions(user);
  if (options === undefined)
    throw new Error("Cannot make a small file system: neither mount nor user namespaces are allowed");
  const script = `mount -t tmpfs -o size=${sizeBytes},mode=755 none ${mountPoint} && echo mounted && exec cat`;
  // It ends when its stdin does: with this process, at the latest.
  const keeper = Bun.spawn(withUser(user, ["unshare", ...options, "sh", "-c", script]), {
    stdin: "pipe",
    stdout: "pipe",
    stderr: "pipe",
  });
  await using cleanup = new AsyncDisposableStack();
  cleanup.defer(async () => {
    keeper.kill("SIGKILL");
    await keeper.exited;
  });
  const { value } = await keeper.stdout.getReader().read();
  if (value === undefined)
    throw new Error(`Cannot mount a small file system: ${await new Response(keeper.stderr).text()}`);
  const path = `/proc/${keeper.pid}/root${mountPoint}`;
  const total = async () => {
    const { bsize, blocks } = await statfs(path);
    return bsize * blocks;
  };
  await waitFor("the small file system", async () => (await total()) <= sizeBytes + 2 ** 20);
  // Root of the system is nobody in the namespace of another user.
  const credentials = isRoot && user !== undefined ? [] : ["--preserve-credentials"];
  const inNamespace = options.includes("--user") ? ["--user", ...credentials] : [];
  const owned = cleanup.move();
  return {
    path,
    async resize(bytes) {
      // With type and source: else mount looks for them in a table that a user's namespace does not have.
      const remount = ["mount", "-t", "tmpfs", "-o", `remount,size=${bytes}`, "none", mountPoint];
      const enter = ["nsenter", `--target=${keeper.pid}`, "--mount", ...inNamespace];
      const { exitCode, stderr } = Bun.spawnSync([...enter, ...remount], { stderr: "pipe" });
      if (exitCode !== 0) throw new Error(`Cannot resize the small file system to ${bytes} bytes: ${stderr}`);
    },
    async freeBytes() {
      const { bsize, bavail } = await statfs(path);
      return bsize * bavail;
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}
