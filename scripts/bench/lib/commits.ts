/** Synchronous commits, by pgbench. */
import { findPostgresClient } from "../../../test/harness/available.ts";
import type { PostgresServer } from "../../../test/harness/postgres.ts";
import { runTool } from "../../../test/harness/processes.ts";

export interface Commits {
  readonly latencyMs: number;
  readonly perSecond: number;
}

/** @param names Value of synchronous_standby_names; empty: nobody is waited for. */
export async function setSynchronous(server: PostgresServer, names: string): Promise<void> {
  await server.psql(`ALTER SYSTEM SET synchronous_standby_names = '${names}'`);
  await server.psql("SELECT pg_reload_conf()");
}

/** Runs pgbench for so long. @throws {Error} It failed, or hung: a commit that nobody confirms waits for ever. */
export async function measureCommits(server: PostgresServer, clients: number, seconds: number): Promise<Commits> {
  const { user, socketFolder, port } = server;
  const command = [
    ...["timeout", String(seconds + 60)],
    ...[findPostgresClient("pgbench") ?? "pgbench", "-N", "-n", `-c${clients}`, "-j2", `-T${seconds}`],
    ...["-h", socketFolder, "-p", String(port), "-U", "postgres", "postgres"],
  ];
  const text = await runTool(command, { user, cwd: socketFolder });
  const [, latency] = /latency average = ([\d.]+) ms/.exec(text) ?? [];
  const [, perSecond] = /tps = ([\d.]+)/.exec(text) ?? [];
  if (!(Number(latency) > 0)) throw new Error(`Cannot read what pgbench printed:\n${text}`);
  return { latencyMs: Number(latency), perSecond: Number(perSecond) };
}
