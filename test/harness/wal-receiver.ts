/** What the tests ask of a receiver of WAL, whichever it is, and how they see it from the server. */
import type { PostgresServer } from "./postgres.ts";
import { connect, query } from "./sql.ts";
import { waitFor } from "./wait.ts";

export interface WalReceiver extends AsyncDisposable {
  /** Where it writes. */
  readonly directory: string;
  /** Its replication slot. */
  readonly slot: string;
  /** By which the server knows it. */
  readonly applicationName: string;
  readonly pid: number;
  /** Asks for an orderly end and waits for it. */
  stop(): Promise<void>;
  /** What it said, for the message of a failed test. */
  log(): string;
}

/** Makes a slot that keeps WAL from now on; one that exists already stays as it is. */
export async function createSlot(server: PostgresServer, slot: string): Promise<void> {
  await server.psql(
    `SELECT pg_create_physical_replication_slot('${slot}', true)
     WHERE NOT EXISTS (SELECT FROM pg_replication_slots WHERE slot_name = '${slot}')`,
  );
}

/** Drops a slot once the server has noticed that its receiver has gone. */
export async function dropSlot(server: PostgresServer, slot: string): Promise<void> {
  await waitFor(`the end of the slot ${slot}`, async () => {
    await server.psql(`SELECT pg_drop_replication_slot('${slot}')`);
    return true;
  });
}

type Known = Pick<WalReceiver, "applicationName">;

export async function isStreaming(server: PostgresServer, { applicationName }: Known): Promise<boolean> {
  const states = `SELECT state FROM pg_stat_replication WHERE application_name = '${applicationName}'`;
  return (await server.psql(states)).trim() === "streaming";
}

/** @returns The server's position up to which all WAL is written and flushed there. */
export async function currentLsn(server: PostgresServer): Promise<string> {
  return (await server.psql("SELECT pg_current_wal_flush_lsn()")).trim();
}

/** @returns The position up to which the server has produced WAL, written or not. */
export async function insertLsn(server: PostgresServer): Promise<string> {
  return (await server.psql("SELECT pg_current_wal_insert_lsn()")).trim();
}

/** Whether the receivers have told the server that they have flushed everything up to `lsn`. */
export async function haveFlushed(server: PostgresServer, lsn: string, receivers: readonly Known[]): Promise<boolean> {
  const names = receivers.map(({ applicationName }) => `'${applicationName}'`).join(", ");
  const behind = `SELECT count(*) FILTER (WHERE flush_lsn >= '${lsn}') FROM pg_stat_replication
    WHERE application_name IN (${names}) AND state = 'streaming'`;
  return Number(await server.psql(behind)) === receivers.length;
}

/**
 * When each receiver told the server that it has flushed everything up to `lsn`.
 * @returns Milliseconds of `performance.now()`, in the receivers' order.
 */
export async function flushTimes(
  server: PostgresServer,
  lsn: string,
  receivers: readonly WalReceiver[],
): Promise<number[]> {
  const client = await connect(server);
  const times = new Map<string, number>();
  const isFlushed = `SELECT application_name FROM pg_stat_replication WHERE flush_lsn >= '${lsn}'`;
  const look = async () => {
    const names = (await query(client, isFlushed)).split("\n");
    for (const name of names) if (!times.has(name)) times.set(name, performance.now());
    return receivers.every(({ applicationName }) => times.has(applicationName));
  };
  try {
    const end = performance.now() + 60_000;
    while (!(await look())) {
      if (performance.now() > end)
        throw new Error(`Waited 60 s for ${lsn}; reached by ${[...times.keys()].join(", ")}`);
    }
  } finally {
    await client.end();
  }
  return receivers.map(({ applicationName }) => times.get(applicationName) ?? Number.NaN);
}

/** Waits until the receivers have flushed all that the server has written. @returns The server's position. */
export async function caughtUp(
  server: PostgresServer,
  receivers: readonly Pick<WalReceiver, "applicationName" | "log">[],
): Promise<string> {
  // Only a commit makes the server flush at once what it has written; what is not flushed is not sent.
  await server.psql("SELECT pg_logical_emit_message(true, 'test', 'x')");
  const lsn = await currentLsn(server);
  await waitFor(`the receivers to have flushed ${lsn}`, () => haveFlushed(server, lsn, receivers), 60_000).catch(
    (cause) => {
      const said = receivers.map(({ applicationName, log }) => `${applicationName}:\n${log().slice(-2000)}`);
      throw new Error(`The receivers did not catch up with ${lsn}\n${said.join("\n")}`, { cause });
    },
  );
  return lsn;
}
