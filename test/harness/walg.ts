/** A real wal-g: its storage is a folder, and a PostgreSQL archives there. */
import { type PostgresServer, startPostgres } from "./postgres.ts";
import { runTool } from "./processes.ts";
import { serverUser } from "./users.ts";
import { waitFor } from "./wait.ts";

export interface WalgHost extends AsyncDisposable {
  readonly postgres: PostgresServer;
  readonly executable: string;
  /** What wal-g finds the storage and the server by. */
  readonly environment: Readonly<Record<string, string>>;
  /** Pushes a backup: a delta, where there is one that it can build on. */
  backup(): Promise<void>;
  /** Lets PostgreSQL begin a new segment, and waits until the ended one is archived. */
  archiveWal(): Promise<void>;
}

/** @throws {Error} wal-g is not in PATH. */
export async function startWalg(): Promise<WalgHost> {
  const executable = Bun.which("wal-g");
  if (executable === null) throw new Error("Cannot start a WAL-G storage: wal-g is not in PATH");
  const postgres = await startPostgres({
    archive_mode: "on",
    // It runs in the data folder, beside which the archive lies.
    archive_command: `WALG_FILE_PREFIX=$PWD/../archive ${executable} wal-push $PWD/%p`,
  });
  const environment = {
    WALG_FILE_PREFIX: postgres.archiveFolder,
    WALG_DELTA_MAX_STEPS: "6",
    PGHOST: postgres.socketFolder,
    PGPORT: String(postgres.port),
    PGUSER: "postgres",
  };
  const archived = async () => Number(await postgres.psql("SELECT archived_count FROM pg_stat_archiver"));
  return {
    postgres,
    executable,
    environment,
    async backup() {
      const how = { user: serverUser("postgres"), env: environment, cwd: postgres.socketFolder };
      await runTool([executable, "backup-push", postgres.dataFolder], how);
    },
    async archiveWal() {
      const before = await archived();
      await postgres.psql("SELECT pg_logical_emit_message(false, 'holdfast', 'x'); SELECT pg_switch_wal()");
      await waitFor("a segment to be archived", async () => (await archived()) > before, 30_000);
    },
    [Symbol.asyncDispose]: () => postgres[Symbol.asyncDispose](),
  };
}
