/** One connection to a PostgreSQL server, for as long as a few questions take. */
import { readFile } from "node:fs/promises";
import { checkServerIdentity } from "node:tls";
import { Client, type ClientConfig } from "pg";
import type { ConnectionTarget, HostTarget, TargetSessionAttributes } from "./conninfo.ts";
import { passesOf, sessionRefusal } from "./session-attributes.ts";

export type Query = <Row>(sql: string, values?: readonly unknown[]) => Promise<Row[]>;

/**
 * Connects to the first server of the target that will do, asks and disconnects. Whatever happens, nothing stays open
 * past the deadline.
 * @param ask Gets a function that runs one statement and returns its rows, by column name.
 * @throws {Error} The server cannot be reached, refuses, or does not answer in time; the message names host and port, no secret.
 */
export async function withConnection<Answer>(
  target: ConnectionTarget,
  { timeoutMs, signal, applicationName }: { timeoutMs: number; signal: AbortSignal; applicationName: string },
  ask: (query: Query) => Promise<Answer>,
): Promise<Answer> {
  const deadline = AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]);
  let failure: unknown;
  let unfit: Server | undefined;
  let place = placeOf(target);
  for (const { server, ssl } of await attemptsOf(target)) {
    if (server === unfit) continue;
    place = placeOf({ host: server.host.address ?? server.host.host, port: server.host.port });
    const client = new Client({
      ...clientConfig(target, server.host, ssl),
      connectionTimeoutMillis: connectTimeoutOf(target, timeoutMs),
      application_name: target.applicationName ?? applicationName,
    });
    // Without a listener an error of an idle connection would end the process.
    client.on("error", () => {});
    const over = Promise.withResolvers<never>();
    over.promise.catch(() => {});
    const abort = () => over.reject(deadline.reason);
    deadline.addEventListener("abort", abort, { once: true });
    let isAsked = false;
    try {
      deadline.throwIfAborted();
      await Promise.race([client.connect(), over.promise]);
      const query: Query = async (sql, values = []) => (await client.query(sql, [...values])).rows;
      const refusal = await Promise.race([refusalOf(server.wanted, query), over.promise]);
      if (refusal !== undefined) throw new Error(refusal);
      isAsked = true;
      return await Promise.race([ask(query), over.promise]);
    } catch (error) {
      failure = error;
      if (isSslRefusal(error) && !deadline.aborted) continue;
      if (deadline.aborted || isAsked || isLoginRefusal(error)) break;
      unfit = server;
    } finally {
      deadline.removeEventListener("abort", abort);
      void client.end().catch(() => {});
      // end() waits for a server that may hang; the socket need not.
      if (deadline.aborted) client.connection?.stream.destroy();
    }
  }
  const found =
    deadline.aborted && !signal.aborted
      ? `no answer after ${timeoutMs / 1000} s`
      : failure instanceof Error
        ? failure.message
        : String(failure);
  throw new Error(`Cannot query PostgreSQL at ${place}: ${found}`, { cause: failure });
}

type Ssl = NonNullable<ClientConfig["ssl"]>;

interface Server {
  readonly host: HostTarget;
  readonly wanted: TargetSessionAttributes;
}

const placeOf = ({ host, port }: Pick<HostTarget, "host" | "port">) => `${host}:${port}`;

/** With several hosts, one that swallows all packets leaves the others their time. */
const connectTimeoutOf = (
  { hosts, connectTimeoutMs = Number.POSITIVE_INFINITY }: ConnectionTarget,
  timeoutMs: number,
) => Math.min(Math.ceil(timeoutMs / hosts.length), connectTimeoutMs);

/** Every server of the list in every way, in libpq's order. */
async function attemptsOf(target: ConnectionTarget): Promise<{ server: Server; ssl: Ssl }[]> {
  const servers = passesOf(target.targetSessionAttributes).flatMap((wanted) =>
    target.hosts.map((host): Server => ({ host, wanted })),
  );
  const attempts = servers.map(async (server) =>
    (await sslAttempts({ ...target, host: server.host.host })).map((ssl) => ({ server, ssl })),
  );
  return (await Promise.all(attempts)).flat();
}

async function refusalOf(wanted: TargetSessionAttributes, query: Query): Promise<string | undefined> {
  if (wanted === "any") return undefined;
  const [row] = await query<{ standby: boolean; readonly: string }>(
    "SELECT pg_is_in_recovery() AS standby, current_setting('default_transaction_read_only') AS readonly",
  );
  return sessionRefusal(wanted, { isStandby: row?.standby === true, isReadOnly: row?.readonly === "on" });
}

/** Wrong password, or nobody whom the server lets in: libpq does not ask the next one then. */
const isLoginRefusal = (error: unknown): boolean =>
  error instanceof Error && "code" in error && typeof error.code === "string" && error.code.startsWith("28");

const isSslRefusal = (error: unknown): boolean =>
  error instanceof Error && /does not support SSL|no encryption|SSL off|SSL on/i.test(error.message);

/** The ways to connect, in libpq's order: `prefer` tries with TLS, then without. */
async function sslAttempts(target: ConnectionTarget): Promise<Ssl[]> {
  const { host, sslmode, sslrootcert, sslcert, sslkey, sslpassword } = target;
  if (host.startsWith("/") || sslmode === "disable") return [false];
  const text = async (file: string | undefined) =>
    file === undefined || file === "system" ? undefined : await readFile(file, "utf8");
  const ca = await text(sslrootcert);
  const tls = { ca, cert: await text(sslcert), key: await text(sslkey), passphrase: sslpassword };
  const unverified = { ...tls, rejectUnauthorized: false };
  switch (sslmode) {
    case "allow":
      return [false, unverified];
    case "prefer":
      return [unverified, false];
    case "require":
      // libpq: with a root certificate at hand, require verifies like verify-ca.
      return [ca === undefined ? unverified : { ...tls, checkServerIdentity: () => undefined }];
    case "verify-ca":
      return [{ ...tls, checkServerIdentity: () => undefined }];
    case "verify-full":
      return [{ ...tls, checkServerIdentity: (_name, certificate) => checkServerIdentity(host, certificate) }];
  }
}

/** Every field is given: node-postgres would take a missing one from the agent's own environment. */
function clientConfig({ database, user, options }: ConnectionTarget, host: HostTarget, ssl: Ssl): ClientConfig {
  const { port, password } = host;
  return {
    host: host.address ?? host.host,
    port,
    database,
    user,
    password: password ?? "",
    ssl,
    options: options ?? "",
  };
}
