/** The files that a pattern such as `/backups/20*.d/backup_label` means; what cannot be looked into is told, not passed over. */
import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { codeOf, messageOf } from "../../common/storage/errors.ts";

export interface MatchingFiles {
  readonly paths: readonly string[];
  /** Places that may hold such files, and why nobody knows: base backups are often readable for their owner alone. */
  readonly unreadable: readonly string[];
}

/** @param pattern An absolute path; in each part `*`, `?`, `[…]` and `{a,b}` stand for names, `**` for any folders. */
export async function matchingFiles(pattern: string): Promise<MatchingFiles> {
  const unreadable: string[] = [];
  let found = ["/"];
  const parts = pattern.split("/").filter((part) => part !== "" && part !== ".");
  for (const part of parts) {
    const next = found.map(async (path) => {
      if (part === "**") return await foldersBelow(path, unreadable);
      if (!/[*?[\]{}!\\]/.test(part)) return [join(path, part)];
      const isWanted = new Bun.Glob(part);
      const names = await looked(path, unreadable, () => readdir(path));
      return (names ?? []).filter((name) => isWanted.match(name)).map((name) => join(path, name));
    });
    found = [...new Set((await Promise.all(next)).flat())];
  }
  const paths: string[] = [];
  for (const path of found.sort()) {
    const about = await looked(path, unreadable, () => stat(path));
    if (about?.isFile()) paths.push(path);
  }
  return { paths, unreadable };
}

/** A folder, and all below it; links are not followed. */
async function foldersBelow(path: string, unreadable: string[]): Promise<string[]> {
  const entries = (await looked(path, unreadable, () => readdir(path, { withFileTypes: true }))) ?? [];
  const below = entries
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => foldersBelow(join(path, name), unreadable));
  return [path, ...(await Promise.all(below)).flat()];
}

/** Undefined where there is nothing, or nobody knows. */
async function looked<Value>(
  path: string,
  unreadable: string[],
  work: () => Promise<Value>,
): Promise<Value | undefined> {
  try {
    return await work();
  } catch (error) {
    const code = codeOf(error);
    if (code !== "ENOENT" && code !== "ENOTDIR") unreadable.push(`${path}: ${messageOf(error)}`);
    return undefined;
  }
}
