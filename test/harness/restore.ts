/** Restoring from a base backup and a folder of received WAL, as a person would: with plain copies. */
import { chmod, copyFile, readdir } from "node:fs/promises";
import { join } from "node:path";
import { type BaseBackup, type PostgresServer, startFrom } from "./postgres.ts";
import { giveTo } from "./users.ts";
import { waitFor } from "./wait.ts";

export interface RestoreOptions {
  /** Of the restored server. Default: a free one. */
  readonly port?: number;
  readonly settings?: Readonly<Record<string, string>>;
}

/**
 * Restores to the end of the received WAL on its latest timeline, and promotes. The folder stays as it is: a copy is used,
 * in which the newest segment takes part even when it is not complete. The base backup becomes the server's own.
 */
export async function restore(
  backup: BaseBackup,
  received: string,
  { port, settings = {} }: RestoreOptions = {},
): Promise<PostgresServer> {
  const { archiveFolder, user } = backup.cluster;
  await copyReceived(received, archiveFolder, user);
  const recovery = { restore_command: `cp ${archiveFolder}/%f %p`, recovery_target_timeline: "latest" };
  await using cleanup = new AsyncDisposableStack();
  const server = cleanup.use(await startFrom(backup, "recovery.signal", { ...recovery, ...settings }, port));
  const isPrimary = async () => (await server.psql("SELECT pg_is_in_recovery()")) === "f\n";
  await waitFor("the restored server to take writes", isPrimary, 60_000).catch((cause) => {
    throw new Error(`The restore did not end:\n${server.log().slice(-3000)}`, { cause });
  });
  cleanup.move();
  return server;
}

/** Copies received WAL to where a server may read it; the newest `.partial` loses that suffix. */
async function copyReceived(from: string, to: string, user: string): Promise<void> {
  const names = (await readdir(from)).filter((name) => /^([0-9A-F]{24}(\.partial)?|[0-9A-F]{8}\.history)$/.test(name));
  const newest = names
    .filter((name) => /^[0-9A-F]{24}/.test(name))
    .sort()
    .at(-1);
  for (const name of names) {
    const target = join(to, name === newest ? name.replace(".partial", "") : name);
    await copyFile(join(from, name), target);
    await chmod(target, 0o600);
    await giveTo(user, target);
  }
}
