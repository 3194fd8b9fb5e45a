/** Replication connections of tests. */
import { readdirSync, readlinkSync } from "node:fs";
import {
  type ConnectionKeywords,
  type Environment,
  resolveConnection,
} from "../../plugins/common/postgres/conninfo.ts";
import { ReplicationConnection, ReplicationError } from "../../plugins/common/postgres/replication.ts";
import type { PostgresServer } from "./postgres.ts";

/** For waits that ought to be short. */
export const limits = { timeoutMs: 30_000, signal: new AbortController().signal };

export interface ConnectOptions {
  readonly environment?: Environment;
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

/** Nothing comes from this process's own environment. */
export async function connectForReplication(
  keywords: ConnectionKeywords,
  { environment = {}, timeoutMs = limits.timeoutMs, signal = limits.signal }: ConnectOptions = {},
): Promise<ReplicationConnection> {
  const target = await resolveConnection(keywords, { HOME: "/nonexistent", ...environment }, "replication");
  return await ReplicationConnection.connect(target, { applicationName: "replication-test", timeoutMs, signal });
}

/** Over TCP, as the superuser. */
export const keywordsOf = ({ host, port }: PostgresServer): ConnectionKeywords => ({
  host,
  port: String(port),
  user: "postgres",
});

/** What `work` is rejected with. @throws {Error} It is not rejected, or with something else. */
export async function failureOf(work: Promise<unknown>): Promise<ReplicationError> {
  const failed = await work.then(
    () => undefined,
    (error: unknown) => error,
  );
  if (failed instanceof ReplicationError) return failed;
  throw new Error("Expected a ReplicationError", { cause: failed });
}

/** How many sockets this process has open. */
export function openSockets(): number {
  const targets = readdirSync("/proc/self/fd").map((descriptor) => {
    try {
      return readlinkSync(`/proc/self/fd/${descriptor}`);
    } catch {
      return "";
    }
  });
  return targets.filter((target) => target.startsWith("socket:")).length;
}
