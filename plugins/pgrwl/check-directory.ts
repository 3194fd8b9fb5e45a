/** Whether WAL can be received into a folder. */
import { constants } from "node:fs";
import { access, stat } from "node:fs/promises";
import { dirname } from "node:path";

/**
 * Finds out before anything is started. Making the directory, durably, is the thread's.
 * @throws {Error} It cannot be made, or not be written to.
 */
export async function checkDirectory(directory: string): Promise<void> {
  try {
    const existing = await nearestFolder(directory);
    const { R_OK, W_OK, X_OK } = constants;
    await access(existing, existing === directory ? R_OK | W_OK | X_OK : W_OK | X_OK);
  } catch (cause) {
    const found = cause instanceof Error ? cause.message : String(cause);
    throw new Error(`Cannot receive WAL into ${directory}: ${found}; ${remedyOf(cause)}`, { cause });
  }
}

function remedyOf(cause: unknown): string {
  switch ((cause as NodeJS.ErrnoException).code) {
    case "ENOTDIR":
      return "name a folder";
    case "EROFS":
      return "the file system is mounted read-only, or the unit needs ReadWritePaths= for it";
    default:
      return "make it writable for the agent's user";
  }
}

/** The directory, or the folder that it would be made in. @throws {Error} There is something else. */
async function nearestFolder(path: string): Promise<string> {
  const about = await stat(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return undefined;
    throw error;
  });
  if (about === undefined) return nearestFolder(dirname(path));
  if (!about.isDirectory()) throw Object.assign(new Error(`${path} is no folder`), { code: "ENOTDIR" });
  return path;
}
