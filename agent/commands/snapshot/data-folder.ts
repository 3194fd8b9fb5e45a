/** The folder that a Prometheus will be started on: whether it may be restored into. */
import { mkdir, open, readdir } from "node:fs/promises";
import { join } from "node:path";
import { tryLock } from "../../../plugins/common/system/libc.ts";

/** What may be in a folder that counts as empty: what a file system or a stopped Prometheus leaves. */
const harmless: ReadonlySet<string> = new Set(["lost+found", "lock", "queries.active"]);

/** What the name of a folder begins with in which a restore prepares its blocks. */
export const stagingPrefix = ".restore-";

/**
 * Makes the folder where it is missing.
 * @param own What in it is ours.
 * @returns Whether it was made. @throws {Error} There is something in it, or a Prometheus runs on it.
 */
export async function claimDataFolder(folder: string, own?: string): Promise<boolean> {
  let names: string[];
  try {
    names = await readdir(folder);
  } catch (cause) {
    const { code } = cause as { code?: string };
    if (code !== "ENOENT")
      throw new Error(`Cannot restore into ${folder}: ${code === "ENOTDIR" ? "it is no folder" : code}`, { cause });
    await mkdir(folder, { recursive: true });
    return true;
  }
  if (names.includes("lock") && (await isLocked(folder))) {
    throw new Error(`Cannot restore into ${folder}: a Prometheus runs on it, stop that first`);
  }
  const found = names.filter((name) => !harmless.has(name) && name !== own);
  const left = found.find((name) => name.startsWith(stagingPrefix));
  if (left !== undefined) {
    throw new Error(
      `Cannot restore into ${folder}: another restore is at work in it, or was killed; if none is, remove ${left}`,
    );
  }
  if (found.length > 0) {
    const shown = found.slice(0, 3).join(", ");
    const more = found.length > 3 ? ` and ${found.length - 3} more` : "";
    throw new Error(`Cannot restore into ${folder}: it is not empty (${shown}${more}), name a folder that is`);
  }
  return false;
}

/** Whether a Prometheus holds its lock: flock, which a container does not hide as it hides /proc/locks. */
async function isLocked(folder: string): Promise<boolean> {
  const lock = join(folder, "lock");
  // NFS gives an exclusive lock to nobody who cannot write; to read, it may be another user's.
  const handle = await open(lock, "r+")
    .catch(() => open(lock, "r"))
    .catch((cause: { code?: string }) => {
      throw new Error(
        `Cannot restore into ${folder}: cannot open ${lock} to see whether a Prometheus runs on it (${cause.code}), ` +
          "restore as its user or as root",
        { cause },
      );
    });
  try {
    return !tryLock(handle.fd);
  } finally {
    await handle.close();
  }
}
