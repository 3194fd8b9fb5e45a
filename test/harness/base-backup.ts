/**
 * Base backups by the low-level interface, which needs no client program of the server's version.
 * Source: PostgreSQL documentation, "Making a Base Backup Using the Low Level API"; the left-out files are pg_basebackup's.
 */
import type { Dirent } from "node:fs";
import { chmod, copyFile, mkdir, readdir, readlink, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { connect, query, type SqlTarget } from "./sql.ts";
import { giveTo } from "./users.ts";

/** Files that belong to a running server, and folders whose content does. */
const leftOut = new Set(["postmaster.pid", "postmaster.opts", "backup_label", "tablespace_map", "pg_internal.init"]);
const emptied = new Set([
  "pg_wal",
  "pg_replslot",
  "pg_dynshmem",
  "pg_notify",
  "pg_serial",
  "pg_snapshots",
  "pg_stat_tmp",
  "pg_subtrans",
]);

export interface BaseBackupOptions {
  /** To whom the copy belongs where this process is root. */
  readonly user: string;
  /** Whether the WAL from its start to its end is copied too, so that a server can start from it alone. */
  readonly withWal: boolean;
}

/**
 * Copies the data folder of a running server without tablespaces.
 * @returns The name of the first WAL segment that a restore needs.
 * @throws {Error} The server went away, or a file could not be copied.
 */
export async function takeBaseBackup(
  server: SqlTarget,
  dataFolder: string,
  target: string,
  { user, withWal }: BaseBackupOptions,
): Promise<string> {
  const client = await connect({ ...server, applicationName: "base-backup" });
  try {
    const start = await query(client, "SELECT pg_walfile_name(pg_backup_start('test', true))");
    await copyData(dataFolder, target, user);
    const stop = await client.query("SELECT labelfile FROM pg_backup_stop(false)");
    const label = join(target, "backup_label");
    await writeFile(label, stop.rows[0].labelfile, { mode: 0o600 });
    await giveTo(user, label);
    if (withWal) await copyWal(join(dataFolder, "pg_wal"), join(target, "pg_wal"), start.trim(), user);
    return start.trim();
  } finally {
    await client.end().catch(() => {});
  }
}

async function copyData(from: string, to: string, user: string, depth = 0): Promise<void> {
  await mkdir(to, { mode: 0o700 });
  await giveTo(user, to);
  for (const entry of await entries(from)) {
    const { name } = entry;
    if (leftOut.has(name) || name.startsWith("pgsql_tmp")) continue;
    const [source, target] = [join(from, name), join(to, name)];
    if (depth === 0 && emptied.has(name))
      await emptyFolder(target, user, name === "pg_wal" ? ["archive_status", "summaries"] : []);
    else if (entry.isDirectory()) await copyData(source, target, user, depth + 1);
    else if (entry.isSymbolicLink()) await symlink(await readlink(source), target);
    else await copyOne(source, target, user);
  }
}

/** Nothing where the folder has just vanished. */
async function entries(folder: string): Promise<Dirent[]> {
  return readdir(folder, { withFileTypes: true }).catch(ignoreMissing([]));
}

async function emptyFolder(path: string, user: string, children: readonly string[]): Promise<void> {
  await mkdir(path, { mode: 0o700 });
  await giveTo(user, path);
  for (const child of children) await emptyFolder(join(path, child), user, []);
}

async function copyOne(source: string, target: string, user: string): Promise<void> {
  // A table that was dropped since the folder was read is in the WAL as dropped.
  const copied = await copyFile(source, target).then(() => true, ignoreMissing(false));
  if (!copied) return;
  await chmod(target, 0o600);
  await giveTo(user, target);
}

async function copyWal(from: string, to: string, first: string, user: string): Promise<void> {
  for (const name of await readdir(from)) {
    if (/^[0-9A-F]{24}$/.test(name) && name >= first) await copyOne(join(from, name), join(to, name), user);
    if (name.endsWith(".history")) await copyOne(join(from, name), join(to, name), user);
  }
}

function ignoreMissing<Value>(value: Value): (error: unknown) => Value {
  return (error) => {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return value;
    throw error;
  };
}
