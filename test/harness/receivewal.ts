/** PostgreSQL's own pg_receivewal: what ours is measured against. */
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { findPostgresClient } from "./available.ts";
import { createFolder } from "./folders.ts";
import type { PostgresServer } from "./postgres.ts";
import { ServerProcess } from "./processes.ts";
import { startTcpProxy } from "./tcp-proxy.ts";
import { serverUser } from "./users.ts";
import { createSlot, isStreaming, type WalReceiver } from "./wal-receiver.ts";

export interface ReceivewalOptions {
  readonly slot: string;
  /** Default: a folder of its own, which goes with it. */
  readonly directory?: string;
  /** Default: the slot's name. */
  readonly applicationName?: string;
  /** Connects again after 5 s when the connection was lost. Default false: ends. */
  readonly loop?: boolean;
  /** Where to connect, if not to the server itself. */
  readonly through?: { readonly host: string; readonly port: number };
}

/** Runs `pg_receivewal --synchronous` and returns once it streams; its slot is made where it is missing. */
export async function startReceivewal(server: PostgresServer, options: ReceivewalOptions): Promise<WalReceiver> {
  const { slot, applicationName = slot, loop = false } = options;
  const executable = findPostgresClient("pg_receivewal");
  if (executable === undefined) throw new Error("Cannot run pg_receivewal: no Debian package has brought it");
  await using cleanup = new AsyncDisposableStack();
  const user = serverUser("root");
  const folder = cleanup.use(await createFolder("holdfast-receivewal"));
  const directory = options.directory ?? join(folder.path, "wal");
  await mkdir(directory, { recursive: true });
  await createSlot(server, slot);
  const target = options.through ?? server;
  const version = Number(/postgresql\/(\d+)\//.exec(executable)?.[1]);
  const { host, port } =
    server.version > version ? cleanup.use(await startDisguise(target, server.version, version)) : target;
  const process = cleanup.use(
    new ServerProcess({
      command: [
        ...[executable, "--verbose", "--synchronous", "--no-password", `--directory=${directory}`, `--slot=${slot}`],
        // After a segment's last byte it says nothing until this is over.
        "--status-interval=1",
        ...(loop ? [] : ["--no-loop"]),
        `--dbname=host=${host} port=${port} user=postgres sslmode=disable gssencmode=disable`,
      ],
      user,
      env: { PGAPPNAME: applicationName },
      logFile: join(folder.path, "pg_receivewal.log"),
      cwd: folder.path,
      stopSignal: "SIGINT",
    }),
  );
  await process.until("streaming", () => isStreaming(server, { applicationName }));
  const owned = cleanup.move();
  return {
    directory,
    slot,
    applicationName,
    pid: process.pid,
    stop: () => process.stop(),
    log: () => process.log(),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

/**
 * A way to a server that takes it for an older one. pg_receivewal refuses servers newer than itself, and knows their
 * version by the parameter `server_version` alone; the replication protocol is the same from 15 to 18.
 */
function startDisguise(server: { host: string; port: number }, version: number, shown: number) {
  const parameter = (value: number) => Buffer.from(`server_version\0${value}.`);
  const replacements = [{ direction: "toClient", from: parameter(version), to: parameter(shown) }] as const;
  return startTcpProxy({ host: server.host, port: server.port }, { replacements });
}
