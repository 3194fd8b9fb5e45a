/** One connection to a PostgreSQL server, for as long as a few questions take. */
import { readFile } from "node:fs/promises";
import { Client, type ClientConfig } from "pg";
import type { ConnectionTarget } from "./conninfo.ts";

export type Query = <Row>(sql: string, values?: readonly unknown[]) => Promise<Row[]>;

/**
 * Connects, asks and disconnects. Whatever happens, nothing stays open past the deadline.
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
  for (const ssl of await sslAttempts(target)) {
    const client = new Client({
      ...clientConfig(target, ssl),
      connectionTimeoutMillis: timeoutMs,
      application_name: target.applicationName ?? applicationName,
    });
    // Without a listener an error of an idle connection would end the process.
    client.on("error", () => {});
    const over = Promise.withResolvers<never>();
    over.promise.catch(() => {});
    const abort = () => over.reject(deadline.reason);
    deadline.addEventListener("abort", abort, { once: true });
    try {
      deadline.throwIfAborted();
      await Promise.race([client.connect(), over.promise]);
      const query: Query = async (sql, values = []) => (await client.query(sql, [...values])).rows;
      return await Promise.race([ask(query), over.promise]);
    } catch (error) {
      failure = error;
      if (deadline.aborted || !isSslRefusal(error)) break;
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
  throw new Error(`Cannot query PostgreSQL at ${target.host}:${target.port}: ${found}`, { cause: failure });
}

type Ssl = NonNullable<ClientConfig["ssl"]>;

const isSslRefusal = (error: unknown): boolean =>
  error instanceof Error && /does not support SSL|no encryption|SSL off|SSL on/i.test(error.message);

/** The ways to connect, in libpq's order: `prefer` tries with TLS, then without. */
async function sslAttempts({ host, sslmode, sslrootcert, sslcert, sslkey }: ConnectionTarget): Promise<Ssl[]> {
  if (host.startsWith("/") || sslmode === "disable") return [false];
  const text = async (file: string | undefined) =>
    file === undefined || file === "system" ? undefined : await readFile(file, "utf8");
  const ca = await text(sslrootcert);
  const tls = { ca, cert: await text(sslcert), key: await text(sslkey) };
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
      return [tls];
  }
}

/** Every field is given: node-postgres would take a missing one from the agent's own environment. */
function clientConfig({ host, port, database, user, password, options }: ConnectionTarget, ssl: Ssl): ClientConfig {
  return { host, port, database, user, password: password ?? "", ssl, options: options ?? "" };
}
