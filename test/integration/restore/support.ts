/** A server whose WAL is archived, and what is needed to bring one back from it. */
import { copyFile, mkdir, readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { WalArchive } from "../../../plugins/common/wal-archive/archive.ts";
import { openWalArchive } from "../../../plugins/common/wal-archive/open.ts";
import { type ArchiveSettingsInput, archiveSettings } from "../../../plugins/common/wal-archive/settings.ts";
import { agentExecutable } from "../../harness/agent.ts";
import { databaseContent } from "../../harness/database-content.ts";
import { createFolder } from "../../harness/folders.ts";
import { type BaseBackup, type PostgresServer, startFrom, startPostgres } from "../../harness/postgres.ts";
import { giveTo, serverUser } from "../../harness/users.ts";
import { waitFor } from "../../harness/wait.ts";

export interface Lost extends AsyncDisposable {
  /** Taken before anything was written. One for each restore. */
  readonly backups: BaseBackup[];
  /** What the server held when it was lost. */
  readonly content: readonly string[];
  /** Whole segments, and the `.partial` of the last one. */
  readonly walFolder: string;
  readonly segments: number;
}

/** A server that wrote so many segments and is gone. Its last commits are in a segment that was never completed. */
export async function loseServer(segments: number, backups: number, segmentMiB = 1): Promise<Lost> {
  await using cleanup = new AsyncDisposableStack();
  const folder = cleanup.use(await createFolder("holdfast-lost"));
  const server = cleanup.use(
    await startPostgres(
      { archive_mode: "on", autovacuum: "off", checkpoint_timeout: "1h", max_wal_size: "16GB" },
      { version: 15, segmentMiB },
    ),
  );
  const taken: BaseBackup[] = [];
  for (let left = backups; left > 0; left--) taken.push(cleanup.use(await server.baseBackup()));
  await server.psql("CREATE TABLE t (i int, x text)");
  const rows = Math.round(segmentMiB * 4000);
  for (let written = 0; written < segments; written++) {
    await server.psql(`INSERT INTO t SELECT i, md5(i::text) || repeat('x', 100) FROM generate_series(1, ${rows}) i`);
    await server.psql("SELECT pg_switch_wal()");
  }
  await server.psql("INSERT INTO t VALUES (-1, 'the last one')");
  const content = await databaseContent(server);
  const last = (await server.psql("SELECT pg_walfile_name(pg_current_wal_lsn())")).trim();
  const isArchived = async () => {
    const status = (await server.psql("SELECT coalesce(last_archived_wal, '') FROM pg_stat_archiver")).trim();
    const previous = (await server.walFiles()).filter((name) => name < last).at(-1) ?? "";
    return status >= previous;
  };
  await waitFor("the WAL to be archived", isArchived, 60_000);
  await server.crash();
  const walFolder = join(folder.path, "wal");
  await mkdir(walFolder);
  const names = (await readdir(server.archiveFolder)).filter((name) => /^[0-9A-F]{24}$/.test(name));
  for (const name of names) await copyFile(join(server.archiveFolder, name), join(walFolder, name));
  await copyFile(join(server.dataFolder, "pg_wal", last), join(walFolder, `${last}.partial`));
  const owned = cleanup.move();
  return {
    backups: taken,
    content,
    walFolder,
    segments: names.length,
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

/** Brings all of it into an archive. */
export async function fill(settings: ArchiveSettingsInput, { walFolder }: Lost): Promise<void> {
  await using archive = await openArchive(settings);
  for (const name of (await readdir(walFolder)).sort()) await archive.put(name, join(walFolder, name));
}

export const openArchive = (settings: ArchiveSettingsInput): Promise<WalArchive> =>
  openWalArchive(archiveSettings.parse(settings), { environment: {} });

/** The executable, and a configuration with one instance, where the server's user can read them. */
export interface Restorer extends AsyncDisposable {
  readonly folder: string;
  readonly executable: string;
  /** `restore_command` with flags that name the source. */
  command(flags: string): string;
  /** Writes a configuration; gives the flags for it. */
  configure(archive: ArchiveSettingsInput, name?: string): Promise<string>;
}

export async function createRestorer(): Promise<Restorer> {
  const user = serverUser("postgres");
  const folder = await createFolder("holdfast-restorer", user);
  const executable = join(folder.path, "holdfast");
  await copyFile(agentExecutable, executable);
  return {
    folder: folder.path,
    executable,
    command: (flags) => `${executable} restore-command ${flags} %f %p`,
    async configure(archive, name = "holdfast") {
      const config = { directory: join(folder.path, "no-receiver-here"), slot: "s", archive };
      const file = join(folder.path, `${name}.yml`);
      await writeFile(file, `plugins:\n  wal: { plugin: pgrwl, config: ${JSON.stringify(config)} }\n`, { mode: 0o600 });
      await giveTo(user, file);
      return `--config.file=${file}`;
    },
    [Symbol.asyncDispose]: () => folder[Symbol.asyncDispose](),
  };
}

/** Recovers to the end and promotes. */
export async function recover(
  backup: BaseBackup,
  restoreCommand: string,
  deadlineMs = 90_000,
): Promise<PostgresServer> {
  await using cleanup = new AsyncDisposableStack();
  const settings = { restore_command: restoreCommand, recovery_target_timeline: "latest", autovacuum: "off" };
  const server = cleanup.use(await startFrom(backup, "recovery.signal", settings));
  await isPrimary(server, deadlineMs);
  cleanup.move();
  return server;
}

/** Waits until a server takes writes. @throws {Error} It has ended, or takes too long. */
export async function isPrimary(server: PostgresServer, deadlineMs = 90_000): Promise<void> {
  const ended = () => server.log().includes("shutting down due to startup process failure") && "ended";
  const promoted = async () => (await server.psql("SELECT pg_is_in_recovery()")) === "f\n" && "primary";
  const state = await waitFor(
    "the end of the recovery",
    async () => (await promoted().catch(ended)) || false,
    deadlineMs,
  );
  if (state !== "primary") throw new Error(`The recovery failed:\n${server.log().slice(-3000)}`);
}
