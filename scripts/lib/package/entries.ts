/** What a package holds, as a list, and that list as files in a folder. */
import { chmod, copyFile, lstat, mkdir, readdir, symlink, utimes, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";

interface Common {
  /** Relative to the root, e.g. `usr/bin/holdfast`. */
  readonly path: string;
  /** For packages that know users: else root, and its group. */
  readonly owner?: { readonly user: string; readonly group: string };
  /** Permissions where the package knows them to be others than those of the staged file. */
  readonly installedMode?: number;
  /** What a package manager makes of it. */
  readonly kind?: "configuration" | "documentation" | "licence";
}
export interface TextFile extends Common {
  readonly text: string | Uint8Array;
  readonly mode?: number;
}
export interface CopiedFile extends Common {
  /** Absolute path of the file. */
  readonly copyOf: string;
  readonly mode?: number;
}
export interface Link extends Common {
  readonly linkTo: string;
}
export interface Folder extends Common {
  readonly folder: true;
}
export type Entry = TextFile | CopiedFile | Link | Folder;

/**
 * Writes the entries below `root`, which is made. Folders between are made too, with mode 755 whatever the umask.
 * @param time Modification time of everything, in Unix seconds.
 */
export async function stage(entries: readonly Entry[], root: string, time: number): Promise<void> {
  for (const entry of entries) {
    const path = join(root, entry.path);
    await mkdir("folder" in entry ? path : dirname(path), { recursive: true });
    if ("linkTo" in entry) await symlink(entry.linkTo, path);
    if ("copyOf" in entry) await copyFile(entry.copyOf, path);
    if ("text" in entry) await writeFile(path, entry.text);
    if ("text" in entry || "copyOf" in entry) await chmod(path, entry.mode ?? 0o644);
  }
  await finish(root, time);
}

async function finish(path: string, time: number): Promise<void> {
  const stats = await lstat(path);
  // Node.js's lutimes() is missing in Bun 1.4.5; the archivers set the times of links.
  if (stats.isSymbolicLink()) return;
  if (stats.isDirectory()) {
    for (const name of await readdir(path)) await finish(join(path, name), time);
    await chmod(path, 0o755);
  }
  await utimes(path, time, time);
}

/** Files below the folders and their sizes, for what a package manager wants to know. Links and folders are left out. */
export async function stagedFiles(root: string, below = ""): Promise<{ path: string; sizeBytes: number }[]> {
  const names = await readdir(join(root, below), { withFileTypes: true });
  const lists = names.map(async (entry) => {
    const path = join(below, entry.name);
    if (entry.isDirectory()) return await stagedFiles(root, path);
    return entry.isFile() ? [{ path, sizeBytes: (await lstat(join(root, path))).size }] : [];
  });
  return (await Promise.all(lists)).flat().sort((a, b) => (a.path < b.path ? -1 : 1));
}
