/** The folder that a Prometheus will be started on: whether it may be restored into. */
import { mkdir, readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";

/** What may be in a folder that counts as empty: what a file system or a stopped Prometheus leaves. */
const harmless: ReadonlySet<string> = new Set(["lost+found", "lock", "queries.active"]);

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
  if (names.includes("lock") && (await isLocked(join(folder, "lock")))) {
    throw new Error(`Cannot restore into ${folder}: a Prometheus runs on it, stop that first`);
  }
  const found = names.filter((name) => !harmless.has(name) && name !== own);
  if (found.length > 0) {
    const shown = found.slice(0, 3).join(", ");
    const more = found.length > 3 ? ` and ${found.length - 3} more` : "";
    throw new Error(`Cannot restore into ${folder}: it is not empty (${shown}${more}), name a folder that is`);
  }
  return false;
}

/** Whether a process holds a lock on the file. Source: proc(5), /proc/locks: `1: FLOCK ADVISORY WRITE PID MAJ:MIN:INODE 0 EOF`. */
async function isLocked(file: string): Promise<boolean> {
  const { ino } = await stat(file);
  const locks = await readFile("/proc/locks", "utf8").catch(() => "");
  return locks.split("\n").some((line) => line.split(/\s+/)[5]?.split(":")[2] === String(ino));
}
