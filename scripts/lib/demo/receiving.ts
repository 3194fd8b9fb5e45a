/** A PostgreSQL whose commits wait for a receiver. */
import { postgresVersions } from "../../../test/harness/available.ts";
import { createFolder } from "../../../test/harness/folders.ts";
import { type PostgresServer, startPostgres } from "../../../test/harness/postgres.ts";
import { waitFor } from "../../../test/harness/wait.ts";
import { createTable } from "./commits.ts";

/** The replication slot, and so the name of the synchronous standby. */
export const slot = "holdfast_demo";
/** Small ones, so that some are soon complete. */
export const segmentMiB = 1;

export interface Receiving extends AsyncDisposable {
  readonly postgres: PostgresServer;
  /** Where WAL is received; the agent's user may write there. */
  readonly walFolder: string;
}

/** The version that npm brings, where it does, else the newest that there is. */
export function postgresVersion(): number | undefined {
  const versions = postgresVersions();
  return versions.includes(18) ? 18 : versions.at(-1);
}

/** @param agentUser The user of the agent, where this process is root. */
export async function startReceiving(agentUser: string): Promise<Receiving> {
  await using cleanup = new AsyncDisposableStack();
  const version = postgresVersion();
  // Commits are as durable as anywhere, and the server keeps what it has sent, to compare.
  const settings = { fsync: "on", wal_keep_size: "512MB" };
  const postgres = cleanup.use(await startPostgres(settings, { segmentMiB, ...(version && { version }) }));
  const folder = cleanup.use(await createFolder("holdfast-wal", agentUser));
  await createTable(postgres);
  const owned = cleanup.move();
  return { postgres, walFolder: folder.path, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

export function receiverInstance({ postgres, walFolder }: Receiving): string {
  return `  pgrwl:
    interval: 1s
    config:
      directory: ${walFolder}
      slot: ${slot}
      postgres: host=${postgres.host} port=${postgres.port} user=postgres
`;
}

/** Has the server wait for the receiver at every commit, once that streams. */
export async function makeSynchronous({ postgres }: Receiving): Promise<void> {
  const standby = (column: string) =>
    postgres.psql(`SELECT ${column} FROM pg_stat_replication WHERE application_name = '${slot}'`);
  await waitFor("the receiver to stream", async () => (await standby("state")) === "streaming\n", 30_000);
  await postgres.psql(`ALTER SYSTEM SET synchronous_standby_names = '${slot}'`);
  await postgres.psql("SELECT pg_reload_conf()");
  await waitFor("commits to wait for the receiver", async () => (await standby("sync_state")) === "sync\n", 30_000);
}
