/** pgbench, of Debian's newest PostgreSQL; it works on newer servers too. */
import { join } from "node:path";
import { findPostgresClient } from "./available.ts";
import type { PostgresServer } from "./postgres.ts";
import { runTool, ServerProcess } from "./processes.ts";

function pgbench({ socketFolder, port }: PostgresServer, ...args: string[]): string[] {
  const executable = findPostgresClient("pgbench");
  if (executable === undefined) throw new Error("Cannot run pgbench: no Debian package has brought it");
  return [executable, ...args, "-h", socketFolder, "-p", String(port), "-U", "postgres", "postgres"];
}

/** Makes pgbench's tables: about 15 MiB a unit of `scale`. */
export async function initPgbench(server: PostgresServer, scale: number): Promise<void> {
  const { user, socketFolder } = server;
  await runTool(pgbench(server, "--initialize", "--quiet", `--scale=${scale}`), { user, cwd: socketFolder });
}

/** Runs so many transactions of each client to their end. */
export async function runPgbench(server: PostgresServer, clients: number, transactions: number): Promise<void> {
  const { user, socketFolder } = server;
  const load = ["--no-vacuum", `--client=${clients}`, `--transactions=${transactions}`];
  await runTool(pgbench(server, ...load), { user, cwd: socketFolder });
}

/** Writes until it is stopped, or its connections are lost. */
export function startPgbench(server: PostgresServer, clients: number): ServerProcess {
  const { user, socketFolder } = server;
  const command = pgbench(server, "--no-vacuum", `--client=${clients}`, "--time=3600");
  return new ServerProcess({ command, user, logFile: join(socketFolder, "pgbench.log"), cwd: socketFolder });
}
