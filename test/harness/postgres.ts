/** A real PostgreSQL in a temporary folder. */
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { findPostgresExecutables } from "./available.ts";
import { createFolder, type TemporaryFolder } from "./folders.ts";
import { freePort } from "./ports.ts";
import { runTool, ServerProcess } from "./processes.ts";
import { giveTo, serverUser } from "./users.ts";

export interface PostgresServer extends AsyncDisposable {
  readonly host: "127.0.0.1";
  readonly port: number;
  /** The folder of the unix socket. */
  readonly socketFolder: string;
  readonly dataFolder: string;
  /** Where `archive_command` copies ended segments, once `archive_mode` is on. */
  readonly archiveFolder: string;
  /** The folder of the executables of this server's version. */
  readonly executables: string;
  /** A libpq connection string; the superuser is `postgres`, without a password. */
  conninfo(database?: string): string;
  /** Runs SQL as the superuser. @returns Rows as psql prints them: unaligned, without a header. */
  psql(sql: string, database?: string): Promise<string>;
  start(): Promise<void>;
  /** An orderly (fast) shutdown. */
  stop(): Promise<void>;
  /** SIGKILL to all of it. */
  kill(): Promise<void>;
  log(): string;
  /** A new server that streams from this one, with its default settings. */
  standby(): Promise<PostgresServer>;
}

export interface PostgresOptions {
  /** Size of a WAL segment. Default 16. */
  readonly segmentMiB?: number;
  /** Lines of pg_hba.conf. Default: everybody on this machine is trusted. */
  readonly access?: readonly string[];
}

const defaultSettings: Readonly<Record<string, string>> = {
  wal_level: "replica",
  max_wal_senders: "10",
  max_replication_slots: "10",
  fsync: "off",
  shared_buffers: "16MB",
};

/** @param settings Server settings beside or instead of the default ones. */
export async function startPostgres(
  settings: Readonly<Record<string, string>> = {},
  { segmentMiB = 16, access }: PostgresOptions = {},
): Promise<PostgresServer> {
  const cluster = await createCluster();
  await using cleanup = new AsyncDisposableStack();
  cleanup.use(cluster.folder);
  const { dataFolder, tool } = cluster;
  const layout = ["-E", "UTF8", "--locale=C.UTF-8", "--no-sync", `--wal-segsize=${segmentMiB}`];
  await tool("initdb", "-D", dataFolder, "-U", "postgres", "-A", "trust", ...layout);
  if (access !== undefined) await writeFile(join(dataFolder, "pg_hba.conf"), `${access.join("\n")}\n`);
  const server = await serve(cluster, settings);
  cleanup.move();
  return server;
}

/** A folder for one server, and the tools that work on it. */
interface Cluster {
  readonly folder: TemporaryFolder;
  readonly dataFolder: string;
  readonly archiveFolder: string;
  readonly executables: string;
  readonly user: string;
  tool(name: string, ...args: string[]): Promise<string>;
}

async function createCluster(): Promise<Cluster> {
  const executables = findPostgresExecutables();
  if (executables === undefined) throw new Error("Cannot start PostgreSQL: no server in /usr/lib/postgresql");
  const user = serverUser("postgres");
  const folder = await createFolder("holdfast-postgres", user);
  const archiveFolder = join(folder.path, "archive");
  await mkdir(archiveFolder);
  await giveTo(user, archiveFolder);
  return {
    folder,
    dataFolder: join(folder.path, "data"),
    archiveFolder,
    executables,
    user,
    tool: (name, ...args) => runTool([join(executables, name), ...args], { user, cwd: folder.path }),
  };
}

/** Runs a server on a cluster, whose folder goes with it. */
async function serve(cluster: Cluster, settings: Readonly<Record<string, string>>): Promise<PostgresServer> {
  const { folder, dataFolder, archiveFolder, executables, user, tool } = cluster;
  const port = await freePort();
  await using cleanup = new AsyncDisposableStack();
  cleanup.use(folder);
  const all = {
    ...defaultSettings,
    listen_addresses: "127.0.0.1",
    unix_socket_directories: folder.path,
    archive_command: `cp %p ${archiveFolder}/%f`,
    ...settings,
  };
  const command = [
    ...[join(executables, "postgres"), "-D", dataFolder, "-p", String(port)],
    ...Object.entries(all).flatMap(([name, value]) => ["-c", `${name}=${value}`]),
  ];
  const superuser = ["-h", folder.path, "-p", String(port), "-U", "postgres"];
  const psql = (sql: string, database = "postgres") =>
    tool("psql", "-XAtq", "-v", "ON_ERROR_STOP=1", ...superuser, "-d", database, "-c", sql);
  let server: ServerProcess | undefined;
  const start = async () => {
    const logFile = join(folder.path, "postgres.log");
    server = new ServerProcess({ command, user, logFile, cwd: folder.path, stopSignal: "SIGINT" });
    await server.until("accepting connections", () => psql("SELECT 1"));
  };
  cleanup.defer(() => server?.stop());
  await start();
  const owned = cleanup.move();
  return {
    host: "127.0.0.1",
    port,
    socketFolder: folder.path,
    dataFolder,
    archiveFolder,
    executables,
    conninfo: (database = "postgres") => `host=127.0.0.1 port=${port} user=postgres dbname=${database}`,
    psql,
    start,
    stop: async () => server?.stop(),
    kill: async () => server?.kill(),
    log: () => server?.log() ?? "",
    async standby() {
      const copy = await createCluster();
      await using unfinished = new AsyncDisposableStack();
      unfinished.use(copy.folder);
      await copy.tool("pg_basebackup", "-D", copy.dataFolder, ...superuser, "-R", "-c", "fast", "--no-sync");
      const standby = await serve(copy, {});
      unfinished.move();
      return standby;
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}
