/** What an instance will need, tried out: its folder, its server, its archive. For `holdfast check --connect`. */
import type { CheckContext, CheckResult } from "holdfast";
import { resolveConnection } from "../common/postgres/conninfo.ts";
import { ReplicationConnection } from "../common/postgres/replication.ts";
import { messageOf } from "../common/storage/errors.ts";
import { openWalArchive } from "../common/wal-archive/open.ts";
import { checkDirectory } from "./check-directory.ts";
import { Server } from "./receiver/server.ts";
import { receiverSettings, type Settings } from "./settings.ts";

export async function check({ config, signal }: CheckContext<Settings>): Promise<CheckResult[]> {
  return await Promise.all([
    ...(config.receive
      ? [
          tried(`directory ${config.directory}`, async () => {
            await checkDirectory(config.directory);
            return [];
          }),
          tried("server", () => checkServer(config, signal)),
        ]
      : []),
    ...(config.archive ? [tried("archive", () => checkArchive(config, signal))] : []),
  ]);
}

/** @param work Gives what deserves attention although it works. */
async function tried(what: string, work: () => Promise<string[]>): Promise<CheckResult> {
  try {
    return { what, notes: await work() };
  } catch (error) {
    return { what, problem: messageOf(error) };
  }
}

async function checkServer(config: Settings, signal: AbortSignal): Promise<string[]> {
  const settings = receiverSettings(config);
  const target = await resolveConnection(settings.connection, process.env, "replication");
  const { applicationName, connectTimeoutMs: timeoutMs } = settings;
  const connection = await ReplicationConnection.connect(target, { applicationName, timeoutMs, signal });
  try {
    const server = new Server(connection, { signal, timeoutMs });
    await server.version();
    await server.segmentSize();
    await server.identify();
    const slot = await server.slot(settings.slot);
    if (slot === undefined) {
      if (!settings.createSlot)
        throw new Error(
          `There is no replication slot ${settings.slot} at ${connection.place}: make it, or set create_slot`,
        );
      return [`There is no replication slot ${settings.slot} at ${connection.place} yet: it will be made`];
    }
    const lost = `The replication slot ${settings.slot} at ${connection.place} keeps no WAL: it never did, or had to give it up`;
    return slot.restartLsn === undefined ? [lost] : [];
  } finally {
    connection.destroy();
  }
}

/** Names that are looked at for one that is encrypted. */
const mostNames = 20_000;

/**
 * Writes, reads and deletes a small object; and reads a file of WAL, for the passphrase must be that of those which are there:
 * the first one, and the first that is encrypted, where the archive was begun without.
 */
async function checkArchive({ archive: section }: Settings, signal: AbortSignal): Promise<string[]> {
  if (section === undefined) return [];
  await using archive = await openWalArchive(section, { environment: process.env });
  const notes = await archive.storage.check({ signal });
  let seen = 0;
  for await (const file of archive.list({ signal })) {
    const isEncrypted = file.extension.endsWith(".aes");
    if (seen === 0 || isEncrypted) await archive.verify(file, { signal });
    if (isEncrypted || ++seen >= mostNames) break;
  }
  return notes;
}
