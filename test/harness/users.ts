/** Servers that refuse to run as root run as a user of their own; where this process is not root, as that process. */
import { readFileSync } from "node:fs";
import { chown } from "node:fs/promises";

export const isRoot = process.getuid?.() === 0;

/**
 * The user as whom a server will run: `wanted` where this process is root, else its own.
 * Without the package that makes `wanted`, root takes `nobody`.
 */
export function serverUser(wanted: string): string {
  if (isRoot) return findAccount(wanted) === undefined ? "nobody" : wanted;
  // Not `os.userInfo()`: Bun's trusts the variable USER, and says "unknown" without it.
  return Bun.spawnSync(["id", "-un"]).stdout.toString().trim();
}

/** The command as `user`, in the same process: its id is the server's own. */
export function asUser(user: string, command: readonly string[]): string[] {
  if (!isRoot || user === "root") return [...command];
  return ["setpriv", `--reuid=${user}`, `--regid=${accountOf(user).gid}`, "--init-groups", "--", ...command];
}

export async function giveTo(user: string, path: string): Promise<void> {
  if (!isRoot) return;
  const { uid, gid } = accountOf(user);
  await chown(path, uid, gid);
}

function accountOf(user: string): { uid: number; gid: number } {
  const account = findAccount(user);
  if (account === undefined) throw new Error(`Cannot run a server as ${user}: no such user in /etc/passwd`);
  return account;
}

function findAccount(user: string): { uid: number; gid: number } | undefined {
  for (const line of readFileSync("/etc/passwd", "utf8").split("\n")) {
    const [name, , uid, gid] = line.split(":");
    if (name === user) return { uid: Number(uid), gid: Number(gid) };
  }
  return undefined;
}
