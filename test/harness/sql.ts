/** SQL on a server of the tests, without a client program: npm's servers bring none. */
import { Client, type ClientConfig } from "pg";

/** Where to connect; every field is given, or node-postgres would take it from the environment. */
export interface SqlTarget {
  /** A folder of unix sockets, or an address. */
  readonly host: string;
  readonly port: number;
  /** Default: the superuser. Not `user`: a server of the tests has that too, and it is the one of the system. */
  readonly role?: string;
  readonly database?: string;
  readonly applicationName?: string;
}

/** A connection that may break at any time without ending the process. */
export async function connect(target: SqlTarget): Promise<Client> {
  const { host, port, role = "postgres", database = "postgres", applicationName = "test" } = target;
  const config: ClientConfig = { host, port, user: role, database, password: "", ssl: false, options: "" };
  const client = new Client({ ...config, application_name: applicationName, connectionTimeoutMillis: 30_000 });
  client.on("error", () => {});
  await client.connect();
  return client;
}

interface RawResult {
  readonly fields: readonly unknown[];
  readonly rows: readonly (string | null)[][];
}

/**
 * Runs statements in one transaction. @returns The rows of all of them as `psql -At` prints them: fields joined by `|`, each
 * row ended by a newline, booleans as `t` and `f`, NULL as nothing.
 * @throws {Error} One failed; the message quotes the beginning of the text.
 */
export async function query(client: Client, sql: string): Promise<string> {
  const types = { getTypeParser: () => (text: string) => text };
  try {
    const answer: unknown = await client.query({ text: sql, rowMode: "array", types });
    const results = (Array.isArray(answer) ? answer : [answer]) as RawResult[];
    return results
      .filter(({ fields }) => fields.length > 0)
      .flatMap(({ rows }) => rows.map((row) => `${row.map((field) => field ?? "").join("|")}\n`))
      .join("");
  } catch (cause) {
    throw new Error(`Cannot run "${sql.slice(0, 200)}": ${cause instanceof Error ? cause.message : cause}`, { cause });
  }
}

/** {@link query} on a connection of its own. */
export async function queryOnce(target: SqlTarget, sql: string): Promise<string> {
  const client = await connect(target);
  try {
    return await query(client, sql);
  } finally {
    await client.end().catch(() => {});
  }
}
