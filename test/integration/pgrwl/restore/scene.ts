/**
 * A server under load whose WAL an agent archives, until the server and the agent's folder are lost and only a base
 * backup and the archive are left; and what brings it back, and shows that nothing is missing.
 */
import { expect } from "bun:test";
import { mkdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { parseLsn } from "../../../../plugins/common/postgres/lsn.ts";
import { parseTimelineHistory } from "../../../../plugins/common/postgres/timeline-history.ts";
import type { WalArchive } from "../../../../plugins/common/wal-archive/archive.ts";
import type { ArchiveSectionInput } from "../../../../plugins/pgrwl/archive/settings.ts";
import { corruption, databaseContent } from "../../../harness/database-content.ts";
import { createFolder } from "../../../harness/folders.ts";
import { type Ledger, startLedger } from "../../../harness/ledger.ts";
import { initPgbench, runPgbench } from "../../../harness/pgbench.ts";
import { type BaseBackup, type PostgresServer, startFrom, startPostgres } from "../../../harness/postgres.ts";
import { waitFor } from "../../../harness/wait.ts";
import { createSlot, currentLsn } from "../../../harness/wal-receiver.ts";
import { isPrimary } from "../../restore/support.ts";
import { type Instance, type InstanceOptions, mib, slot, startInstance } from "../faults/instance.ts";

/** No commit is acknowledged before the agent has it. */
const settings = {
  synchronous_standby_names: slot,
  autovacuum: "off",
  checkpoint_timeout: "1h",
  max_wal_size: "4GB",
};

/** What the server held when it was lost. */
export interface Loss {
  readonly content: readonly string[];
  /** Behind the last commit. */
  readonly lsn: bigint;
  readonly timeline: number;
}

export interface Scene extends AsyncDisposable {
  /** After {@link takeOver} the restored one. */
  readonly server: PostgresServer;
  /** The agent's receive folder. */
  readonly directory: string;
  /** The agent, anew. */
  receive(archive: ArchiveSectionInput, options?: Omit<InstanceOptions, "directory">): Promise<Instance>;
  /** pgbench's tables and transactions, and single rows, beside the ledger's. */
  load(): Promise<void>;
  /** Ends so many segments early, with a row in each. */
  switchWal(times: number): Promise<void>;
  /**
   * Waits until all is archived, and takes the server, its files and all received files away.
   * @param end Whether the last commit is in a segment that is complete, or in one of which only the beginning is archived.
   */
  lose(instance: Instance, archive: WalArchive, end: "whole" | "partial"): Promise<Loss>;
  /** A server of its own, from a base backup that is older than all that was written. */
  restore(restoreCommand: string): Promise<PostgresServer>;
  /** The same in the lost server's place, for the agent to find it there. */
  takeOver(restoreCommand: string): Promise<void>;
  /** Nothing is missing, nothing was invented, and the recovery did not end early. Leaves an extension in the server. */
  expectRestored(restored: PostgresServer, loss: Loss, options?: { readonly amcheck?: boolean }): Promise<void>;
}

/** @param backups How many restores there will be. */
export async function startScene(backups = 1): Promise<Scene> {
  await using cleanup = new AsyncDisposableStack();
  const folder = cleanup.use(await createFolder("holdfast-scene"));
  const directory = join(folder.path, "wal");
  let server = await startPostgres(settings, { version: 15, segmentMiB: 1 });
  cleanup.defer(() => server[Symbol.asyncDispose]());
  await createSlot(server, slot);
  const taken: BaseBackup[] = [];
  for (let left = backups; left > 0; left--) taken.push(cleanup.use(await server.baseBackup()));
  const ledgers: Ledger[] = [];
  cleanup.defer(() => ledgers.at(-1)?.stop());
  const start = (restoreCommand: string, more: Record<string, string>, port?: number) => {
    const backup = taken.pop();
    if (backup === undefined) throw new Error("No base backup is left");
    const recovery = { restore_command: restoreCommand, recovery_target_timeline: "latest", autovacuum: "off" };
    return startFrom(backup, "recovery.signal", { ...recovery, ...more }, port);
  };
  const owned = cleanup.move();
  return {
    get server() {
      return server;
    },
    directory,
    async receive(archive, { config, ...options } = {}) {
      await mkdir(directory, { recursive: true });
      const instance = await startInstance(server, { directory, config: { archive, ...config }, ...options });
      owned.use(instance);
      return instance;
    },
    async load() {
      ledgers.push(await startLedger(server, { clients: 2, rowBytes: 500 }));
      await initPgbench(server, 1);
      await runPgbench(server, 2, 100);
    },
    async switchWal(times) {
      // No sequence: after a crash it goes on further behind.
      await server.psql("CREATE TABLE IF NOT EXISTS markers (at timestamptz PRIMARY KEY)");
      for (let left = times; left > 0; left--)
        await server.psql("INSERT INTO markers VALUES (clock_timestamp()); SELECT pg_switch_wal()");
    },
    async lose(instance, archive, end) {
      await ledgers.at(-1)?.stop();
      await server.psql("CREATE TABLE IF NOT EXISTS last_words (text text); INSERT INTO last_words VALUES ('the end')");
      const content = await databaseContent(server);
      await instance.caughtUp(server);
      const lsn = parseLsn(await currentLsn(server)) ?? 0n;
      const name = (await server.psql("SELECT pg_walfile_name(pg_current_wal_flush_lsn())")).trim();
      if (end === "whole") await server.psql("SELECT pg_switch_wal()");
      const own = await readFile(join(server.dataFolder, "pg_wal", name));
      const wanted = own.subarray(0, Number((lsn - 1n) % BigInt(mib)) + 1);
      const isArchived = async () => {
        const { content } = await archive.read(end === "whole" ? name : `${name}.partial`);
        return wanted.equals(content.subarray(0, wanted.length));
      };
      await waitFor("the last commit to be archived", isArchived, 60_000).catch((cause) => {
        throw new Error(instance.log().slice(-3000), { cause });
      });
      await instance.untilValue("pgrwl_upload_backlog_files", {}, 0);
      await server.crash();
      await server[Symbol.asyncDispose]();
      await instance.stop();
      await rm(directory, { recursive: true });
      return { content, lsn, timeline: Number.parseInt(name.slice(0, 8), 16) };
    },
    async restore(restoreCommand) {
      await using unfinished = new AsyncDisposableStack();
      const restored = unfinished.use(await start(restoreCommand, {}));
      await isPrimary(restored);
      unfinished.move();
      return restored;
    },
    async takeOver(restoreCommand) {
      server = await start(restoreCommand, settings, server.port);
      await isPrimary(server);
    },
    async expectRestored(restored, { content, lsn, timeline }, { amcheck = true } = {}) {
      const found = await databaseContent(restored);
      expect({
        missing: content.filter((line) => !found.includes(line)),
        invented: found.filter((line) => !content.includes(line)),
      }).toEqual({ missing: [], invented: [] });
      for (const ledger of ledgers) expect(await ledger.differences(restored)).toEqual([]);
      expect(restored.log()).toContain("archive recovery complete");
      expect(await endOfRecovery(restored, timeline)).toBeGreaterThanOrEqual(lsn);
      if (amcheck) expect(await corruption(restored)).toEqual([]);
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

/** How far a server replayed a timeline before it began the next one. */
async function endOfRecovery({ dataFolder }: PostgresServer, timeline: number): Promise<bigint> {
  const name = `${(timeline + 1).toString(16).toUpperCase().padStart(8, "0")}.history`;
  const history = await readFile(join(dataFolder, "pg_wal", name), "latin1");
  const last = parseTimelineHistory(history).at(-1);
  expect(last?.timeline).toBe(timeline);
  return last?.endLsn ?? 0n;
}
