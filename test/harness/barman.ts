/** A real Barman in a temporary folder, with servers in each state that matters. */
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createFolder } from "./folders.ts";
import { freePort } from "./ports.ts";
import { type PostgresServer, startPostgres } from "./postgres.ts";
import { runTool, ServerProcess } from "./processes.ts";
import { asUser, giveTo, serverUser } from "./users.ts";
import { waitFor } from "./wait.ts";

export interface BarmanHost extends AsyncDisposable {
  readonly postgres: PostgresServer;
  /** Its catalogue is in `home/`, its log in `barman.log`. */
  readonly folder: string;
  readonly configFile: string;
  /** The user as whom Barman must run. */
  readonly user: string;
  /** What Barman finds its configuration by. */
  readonly env: Readonly<Record<string, string>>;
  /** An executable file that runs Barman as its user with its configuration, whoever calls it. */
  readonly executable: string;
  /** Runs Barman. @returns Its stdout. @throws {Error} Its exit status is another than 0. */
  run(...args: string[]): Promise<string>;
  /** Takes a base backup that is whole: its WAL is archived, and a segment after it too. */
  backup(server: string): Promise<void>;
  /** Lets PostgreSQL begin a new WAL segment and archives the ended one. */
  archiveWal(server: string): Promise<void>;
}

/** Servers of the catalogue. `main` is healthy, with one backup; `fresh` is healthy and empty. */
export const barmanServers = {
  main: "healthy",
  fresh: "healthy, without a backup",
  broken: "its PostgreSQL is down",
  archive: "inactive",
} as const;

const executable = "/usr/bin/barman";

/** Starts a PostgreSQL, streams its WAL to Barman's `main` and `fresh`, and takes a backup of `main`. */
export async function startBarman(): Promise<BarmanHost> {
  const user = serverUser("barman");
  await using cleanup = new AsyncDisposableStack();
  const postgres = cleanup.use(await startPostgres({ archive_timeout: "0" }));
  const folder = cleanup.use(await createFolder("holdfast-barman", user));
  const path = (...names: string[]) => join(folder.path, ...names);
  const env = { BARMAN_CONFIG_FILE: path("barman.conf"), HOME: folder.path };

  for (const name of ["home", "barman.d"]) {
    await mkdir(path(name));
    await giveTo(user, path(name));
  }
  await writeFile(path("barman.conf"), mainConfig({ user, folder: folder.path, executables: postgres.executables }));
  const deadPort = await freePort();
  for (const server of Object.keys(barmanServers)) {
    const port = server === "broken" ? deadPort : postgres.port;
    await writeFile(path("barman.d", `${server}.conf`), serverConfig(server, port));
  }
  await writeWrapper(path("barman"), user, env);

  const run = (...args: string[]) => runTool([executable, ...args], { user, env, cwd: folder.path });
  const isStreaming = async (server: string) =>
    (await postgres.psql(`SELECT active FROM pg_replication_slots WHERE slot_name = 'barman_${server}'`)).trim() ===
    "t";
  const receive = async (server: string) => {
    await run("receive-wal", "--create-slot", server);
    const command = [executable, "receive-wal", server];
    const logFile = path(`receive-wal-${server}.log`);
    const receiver = cleanup.use(new ServerProcess({ command, user, env, logFile, cwd: folder.path }));
    await receiver.until("streaming", () => isStreaming(server));
  };
  await Promise.all(["main", "fresh"].map(receive));
  // Not by `barman switch-wal --archive`: nothing flushes the new segment, so the old one is sent 15 s later.
  const archiveWal = async (server: string) => {
    await postgres.psql("SELECT pg_switch_wal(); CHECKPOINT");
    const archived = async () => /\b[0-9A-F]{24}\b/.test(await run("archive-wal", server));
    await waitFor(`WAL of ${server} to be archived`, archived, 30_000);
  };
  const backup = async (server: string) => {
    await run("backup", "--wait", server);
    await archiveWal(server);
  };
  await Promise.all(["main", "fresh"].map(archiveWal));
  await backup("main");
  const owned = cleanup.move();
  return {
    postgres,
    folder: folder.path,
    configFile: env.BARMAN_CONFIG_FILE,
    user,
    env,
    executable: path("barman"),
    run,
    backup,
    archiveWal,
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

function mainConfig({ user, folder, executables }: { user: string; folder: string; executables: string }): string {
  return `[barman]
barman_user = ${user}
barman_home = ${folder}/home
configuration_files_directory = ${folder}/barman.d
log_file = ${folder}/barman.log
log_level = INFO
path_prefix = ${executables}
backup_method = postgres
streaming_archiver = on
immediate_checkpoint = true
check_timeout = 10
`;
}

function serverConfig(server: string, port: number): string {
  const conninfo = `host=127.0.0.1 port=${port} user=postgres dbname=postgres connect_timeout=3`;
  return `[${server}]
description = ${barmanServers[server as keyof typeof barmanServers]}
conninfo = ${conninfo}
streaming_conninfo = ${conninfo}
slot_name = barman_${server}
active = ${server === "archive" ? "false" : "true"}
`;
}

/** Barman refuses to run as another user than `barman_user`. */
async function writeWrapper(file: string, user: string, env: Readonly<Record<string, string>>): Promise<void> {
  const settings = Object.entries(env).map(([name, value]) => `${name}='${value}'`);
  const command = asUser(user, [executable]).join(" ");
  // The user's own process must not change user again, which setpriv refuses.
  const direct = `[ "$(id -un)" = '${user}' ] && exec ${executable} "$@"`;
  await writeFile(file, `#!/bin/sh\nexport ${settings.join(" ")}\n${direct}\nexec ${command} "$@"\n`, { mode: 0o755 });
}
