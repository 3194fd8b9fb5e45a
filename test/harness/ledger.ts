/**
 * Writers that remember what the server has promised to keep. Whatever is killed meanwhile, each acknowledged row must be
 * in what is restored; and nothing may be there that was never sent.
 */
import type { Client } from "pg";
import type { PostgresServer } from "./postgres.ts";
import { connect, type SqlTarget } from "./sql.ts";

export interface Ledger extends AsyncDisposable {
  /** Rows whose commit the server has acknowledged. */
  readonly acknowledged: ReadonlySet<number>;
  /** Rows that were sent, and whose commit was neither acknowledged nor refused: the connection broke before. */
  readonly unknown: ReadonlySet<number>;
  /** Ends the writers. A commit that hangs, because no standby acknowledges it, counts as unknown. */
  stop(): Promise<void>;
  /** What is wrong with the rows of a server: acknowledged ones that are missing, others that never were. Empty: nothing. */
  differences(server: PostgresServer): Promise<string[]>;
}

export interface LedgerOptions {
  /** Writers, each with a connection. Default 4. */
  readonly clients?: number;
  /** Bytes of each row beside its number: how fast WAL grows. Default 100. */
  readonly rowBytes?: number;
  /** Where the writers connect, if not to the server itself. */
  readonly target?: SqlTarget;
}

/** Makes the table `ledger` where it is missing, and writes until it is stopped; connections that break are opened anew. */
export async function startLedger(server: PostgresServer, options: LedgerOptions = {}): Promise<Ledger> {
  const { clients = 4, rowBytes = 100, target = server } = options;
  await server.psql(
    `CREATE TABLE IF NOT EXISTS ledger (id bigint PRIMARY KEY, filler text NOT NULL);
     -- Not compressed, so that rows are as large as they are said to be.
     ALTER TABLE ledger ALTER COLUMN filler SET STORAGE EXTERNAL`,
  );
  // Another ledger may have been written here before.
  let next = Number(await server.psql("SELECT coalesce(max(id), 0) + 1 FROM ledger"));
  const acknowledged = new Set<number>();
  const unknown = new Set<number>();
  const first = next;
  const ending = new AbortController();
  const insert = async (client: Client) => {
    const id = next++;
    // Sent from here on: until the answer arrives nobody knows.
    unknown.add(id);
    if (await commit(client, id, rowBytes)) {
      acknowledged.add(id);
      unknown.delete(id);
    }
  };
  const write = async () => {
    while (!ending.signal.aborted) {
      const client = await connect({ ...target, applicationName: "ledger" }).catch(() => undefined);
      if (client === undefined) {
        await Bun.sleep(10);
        continue;
      }
      const broken = brokenOrEnding(client, ending.signal);
      try {
        while (!ending.signal.aborted) await Promise.race([insert(client), broken.promise]);
      } catch {
        // The next turn connects again.
      } finally {
        broken.forget();
        client.connection?.stream.destroy();
      }
    }
  };
  const writers = Array.from({ length: clients }, write);
  const stop = async () => {
    ending.abort(new Error("The ledger is closed"));
    await Promise.all(writers);
  };
  return {
    acknowledged,
    unknown,
    stop,
    async differences(restored) {
      const rows = await restored.psql(`SELECT id FROM ledger WHERE id >= ${first}`);
      const ids = new Set(rows.split("\n").filter(Boolean).map(Number));
      const lost = [...acknowledged].filter((id) => !ids.has(id)).map((id) => `${id} was acknowledged and is missing`);
      const invented = [...ids].filter((id) => !acknowledged.has(id) && !unknown.has(id));
      return [...lost, ...invented.map((id) => `${id} is there and was never sent`)];
    },
    [Symbol.asyncDispose]: stop,
  };
}

/** @returns Whether the commit was acknowledged, and by the standbys too where the server waits for them. */
async function commit(client: Client, id: number, rowBytes: number): Promise<boolean> {
  let isLocalOnly = false;
  const listen = ({ message = "" }: { message?: string | undefined }) => {
    // The server commits, and warns, when it may not wait any longer. Source: PostgreSQL, SyncRepWaitForLSN.
    if (message.includes("synchronous replication")) isLocalOnly = true;
  };
  client.on("notice", listen);
  try {
    await client.query("INSERT INTO ledger VALUES ($1, repeat($2, $3))", [id, "x", rowBytes]);
    return !isLocalOnly;
  } finally {
    client.off("notice", listen);
  }
}

/** A promise that rejects when the connection ends or the ledger is closed: a query on a dead connection might not. */
function brokenOrEnding(client: Client, signal: AbortSignal) {
  const { promise, reject } = Promise.withResolvers<never>();
  promise.catch(() => {});
  const abort = () => reject(signal.reason);
  signal.addEventListener("abort", abort, { once: true });
  client.once("error", reject);
  client.once("end", () => reject(new Error("The connection ended")));
  return { promise, forget: () => signal.removeEventListener("abort", abort) };
}
