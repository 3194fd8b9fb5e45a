/** A real PostgreSQL in a temporary folder, of any major version that this machine has. */
import { mkdir, readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { findPostgresExecutables, postgresVersions } from "./available.ts";
import { takeBaseBackup } from "./base-backup.ts";
import { embeddedPostgres } from "./embedded-postgres.ts";
import { createFolder, type TemporaryFolder } from "./folders.ts";
import { freePort } from "./ports.ts";
import { killTree, runTool, ServerProcess } from "./processes.ts";
import { queryOnce } from "./sql.ts";
import { giveTo, serverUser } from "./users.ts";

export interface PostgresServer extends AsyncDisposable {
  /** The major version. */
  readonly version: number;
  readonly host: "127.0.0.1";
  readonly port: number;
  /** The folder of the unix socket. */
  readonly socketFolder: string;
  readonly dataFolder: string;
  /** Where `archive_command` copies ended segments, once `archive_mode` is on. */
  readonly archiveFolder: string;
  /** The folder of `postgres` and `initdb` of this server's version; Debian's have the clients beside them. */
  readonly executables: string;
  /** The user as whom it runs. */
  readonly user: string;
  /** A libpq connection string; the superuser is `postgres`, without a password. */
  conninfo(database?: string): string;
  /** Runs SQL as the superuser, in one transaction. @returns Rows as psql prints them: unaligned, without a header. */
  psql(sql: string, database?: string): Promise<string>;
  /** On the same port, with the same settings; `settings` come beside or instead of them, and stay. */
  start(settings?: Readonly<Record<string, string>>): Promise<void>;
  /** An orderly (fast) shutdown. */
  stop(): Promise<void>;
  /** SIGKILL to all its processes at once, as when the machine goes. */
  crash(): Promise<void>;
  log(): string;
  /** Makes a standby the primary; returns when it takes writes. */
  promote(): Promise<void>;
  /** The names of the WAL segments and history files that it has, ascending. */
  walFiles(): Promise<string[]>;
  /** A base backup as a folder in one of its own; without WAL unless asked. */
  baseBackup(options?: { readonly withWal?: boolean }): Promise<BaseBackup>;
  /** A new server that streams from this one, with its default settings. */
  standby(settings?: Readonly<Record<string, string>>): Promise<PostgresServer>;
}

/** A copy of a data folder; {@link startFrom} makes it a server, which then owns it. */
export interface BaseBackup extends AsyncDisposable {
  readonly dataFolder: string;
  readonly cluster: Cluster;
}

export interface PostgresOptions {
  /** Size of a WAL segment. Default 16. */
  readonly segmentMiB?: number;
  /** Lines of pg_hba.conf. Default: everybody on this machine is trusted. */
  readonly access?: readonly string[];
  /** The major version. Default: Debian's newest, else the newest there is. */
  readonly version?: number;
  /** Default: a free one. */
  readonly port?: number;
}

const defaultSettings: Readonly<Record<string, string>> = {
  wal_level: "replica",
  max_wal_senders: "10",
  max_replication_slots: "10",
  fsync: "off",
  shared_buffers: "16MB",
  // In the data folder: a server that is killed for good would leave its segments in /dev/shm.
  dynamic_shared_memory_type: "mmap",
  // Of a standby: how long it waits after a vain attempt.
  wal_retrieve_retry_interval: "100ms",
};

/** @param settings Server settings beside or instead of the default ones. */
export async function startPostgres(
  settings: Readonly<Record<string, string>> = {},
  { segmentMiB = 16, access, version, port }: PostgresOptions = {},
): Promise<PostgresServer> {
  const cluster = await createCluster(version);
  await using cleanup = new AsyncDisposableStack();
  cleanup.use(cluster.folder);
  const { dataFolder, tool } = cluster;
  const layout = ["-E", "UTF8", "--locale=C.UTF-8", "--no-sync", `--wal-segsize=${segmentMiB}`];
  await tool("initdb", "-D", dataFolder, "-U", "postgres", "-A", "trust", ...layout);
  if (access !== undefined) await writeFile(join(dataFolder, "pg_hba.conf"), `${access.join("\n")}\n`);
  const server = await serve(cluster, settings, port);
  cleanup.move();
  return server;
}

/**
 * Starts a server on a base backup, whose folder goes with it.
 * @param signalFile `recovery.signal` restores, as the settings `restore_command` and `recovery_target_…` say;
 * `standby.signal` makes a standby.
 */
export async function startFrom(
  { cluster }: BaseBackup,
  signalFile: "recovery.signal" | "standby.signal",
  settings: Readonly<Record<string, string>>,
  port?: number,
): Promise<PostgresServer> {
  await using cleanup = new AsyncDisposableStack();
  cleanup.use(cluster.folder);
  const path = join(cluster.dataFolder, signalFile);
  await writeFile(path, "");
  await giveTo(cluster.user, path);
  const server = await serve(cluster, settings, port);
  cleanup.move();
  return server;
}

/** A folder for one server, and the tools that work on it. */
export interface Cluster {
  readonly version: number;
  readonly folder: TemporaryFolder;
  readonly dataFolder: string;
  readonly archiveFolder: string;
  readonly executables: string;
  readonly user: string;
  tool(name: string, ...args: string[]): Promise<string>;
}

async function createCluster(wanted?: number): Promise<Cluster> {
  const debian = findPostgresExecutables(wanted);
  const version =
    wanted ?? (debian === undefined ? postgresVersions().at(-1) : Number(/(\d+)\/bin$/.exec(debian)?.[1]));
  if (version === undefined) {
    throw new Error("Cannot start PostgreSQL: no server in /usr/lib/postgresql and none from npm");
  }
  const user = serverUser("postgres");
  await using cleanup = new AsyncDisposableStack();
  const folder = cleanup.use(await createFolder("holdfast-postgres", user));
  const executables = debian ?? (await embeddedPostgres(version, folder.path));
  const archiveFolder = join(folder.path, "archive");
  await mkdir(archiveFolder);
  await giveTo(user, archiveFolder);
  cleanup.move();
  return {
    version,
    folder,
    dataFolder: join(folder.path, "data"),
    archiveFolder,
    executables,
    user,
    tool: (name, ...args) => runTool([join(executables, name), ...args], { user, cwd: folder.path }),
  };
}

/** Runs a server on a cluster, whose folder goes with it. */
async function serve(
  cluster: Cluster,
  settings: Readonly<Record<string, string>>,
  wantedPort?: number,
): Promise<PostgresServer> {
  const { version, folder, dataFolder, archiveFolder, executables, user } = cluster;
  const port = wantedPort ?? (await freePort());
  await using cleanup = new AsyncDisposableStack();
  cleanup.use(folder);
  const all: Record<string, string> = {
    ...defaultSettings,
    listen_addresses: "127.0.0.1",
    unix_socket_directories: folder.path,
    archive_command: `cp %p ${archiveFolder}/%f`,
  };
  const psql = (sql: string, database = "postgres") => queryOnce({ host: folder.path, port, database }, sql);
  let server: ServerProcess | undefined;
  const start = async (more: Readonly<Record<string, string>> = {}) => {
    Object.assign(all, more);
    const command = [
      ...[join(executables, "postgres"), "-D", dataFolder, "-p", String(port)],
      ...Object.entries(all).flatMap(([name, value]) => ["-c", `${name}=${value}`]),
    ];
    const logFile = join(folder.path, "postgres.log");
    server = new ServerProcess({ command, user, logFile, cwd: folder.path, stopSignal: "SIGINT" });
    await server.until("accepting connections", () => psql("SELECT 1"), 60_000);
  };
  cleanup.defer(() => server?.stop());
  await start(settings);
  const baseBackup = async ({ withWal = false } = {}): Promise<BaseBackup> => {
    const copy = await createCluster(version);
    await using unfinished = new AsyncDisposableStack();
    unfinished.use(copy.folder);
    await takeBaseBackup({ host: folder.path, port }, dataFolder, copy.dataFolder, { user, withWal });
    unfinished.move();
    return {
      dataFolder: copy.dataFolder,
      cluster: copy,
      [Symbol.asyncDispose]: () => copy.folder[Symbol.asyncDispose](),
    };
  };
  const owned = cleanup.move();
  return {
    version,
    host: "127.0.0.1",
    port,
    socketFolder: folder.path,
    dataFolder,
    archiveFolder,
    executables,
    user,
    conninfo: (database = "postgres") => `host=127.0.0.1 port=${port} user=postgres dbname=${database}`,
    psql,
    start,
    stop: async () => server?.stop(),
    async crash() {
      if (server?.running) await killTree(server.pid);
      await server?.kill();
    },
    log: () => server?.log() ?? "",
    async promote() {
      const promoted = await psql("SELECT pg_promote(true, 60)");
      if (promoted !== "t\n") throw new Error("Cannot promote PostgreSQL: it did not end recovery within 60 s");
    },
    async walFiles() {
      const names = await readdir(join(dataFolder, "pg_wal"));
      return names.filter((name) => /^([0-9A-F]{24}|[0-9A-F]{8}\.history)$/.test(name)).sort();
    },
    baseBackup,
    async standby(settings = {}) {
      const primary_conninfo = `host=${folder.path} port=${port} user=postgres`;
      return startFrom(await baseBackup({ withWal: true }), "standby.signal", { primary_conninfo, ...settings });
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}
