/** A real PostgreSQL in a temporary folder. */
import { join } from "node:path";
import { findPostgresExecutables } from "./available.ts";
import { createFolder } from "./folders.ts";
import { freePort } from "./ports.ts";
import { runTool, ServerProcess } from "./processes.ts";
import { serverUser } from "./users.ts";

export interface PostgresServer extends AsyncDisposable {
  readonly host: "127.0.0.1";
  readonly port: number;
  /** The folder of the unix socket. */
  readonly socketFolder: string;
  readonly dataFolder: string;
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
}

const defaultSettings: Readonly<Record<string, string>> = {
  wal_level: "replica",
  max_wal_senders: "10",
  max_replication_slots: "10",
  fsync: "off",
  shared_buffers: "16MB",
};

/** @param settings Server settings beside or instead of the default ones. */
export async function startPostgres(settings: Readonly<Record<string, string>> = {}): Promise<PostgresServer> {
  const executables = findPostgresExecutables();
  if (executables === undefined) throw new Error("Cannot start PostgreSQL: no server in /usr/lib/postgresql");
  const user = serverUser("postgres");
  const port = await freePort();
  await using cleanup = new AsyncDisposableStack();
  const folder = cleanup.use(await createFolder("holdfast-postgres", user));
  const dataFolder = join(folder.path, "data");
  const tool = (name: string, ...args: string[]) =>
    runTool([join(executables, name), ...args], { user, cwd: folder.path });
  await tool(
    "initdb",
    "-D",
    dataFolder,
    "-U",
    "postgres",
    "-A",
    "trust",
    "-E",
    "UTF8",
    "--locale=C.UTF-8",
    "--no-sync",
  );

  const all = { ...defaultSettings, listen_addresses: "127.0.0.1", unix_socket_directories: folder.path, ...settings };
  const command = [
    ...[join(executables, "postgres"), "-D", dataFolder, "-p", String(port)],
    ...Object.entries(all).flatMap(([name, value]) => ["-c", `${name}=${value}`]),
  ];
  const psql = (sql: string, database = "postgres") =>
    tool(
      "psql",
      "-XAtq",
      "-v",
      "ON_ERROR_STOP=1",
      "-h",
      folder.path,
      "-p",
      String(port),
      "-U",
      "postgres",
      "-d",
      database,
      "-c",
      sql,
    );
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
    executables,
    conninfo: (database = "postgres") => `host=127.0.0.1 port=${port} user=postgres dbname=${database}`,
    psql,
    start,
    stop: async () => server?.stop(),
    kill: async () => server?.kill(),
    log: () => server?.log() ?? "",
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}
