/** What the tests of a receiver share: a primary with two receivers side by side, the load, the crash and the restore. */
import { expect } from "bun:test";
import { databaseContent } from "../../harness/database-content.ts";
import { type BaseBackup, type PostgresServer, startPostgres } from "../../harness/postgres.ts";
import { startReceivewal } from "../../harness/receivewal.ts";
import { restore } from "../../harness/restore.ts";
import { waitFor } from "../../harness/wait.ts";
import { folderDifferences, type KnownDigests, serverDifferences } from "../../harness/wal-compare.ts";
import { caughtUp, createSlot, insertLsn, type WalReceiver } from "../../harness/wal-receiver.ts";

/** The slots' names, which are the receivers' application names too. */
export const slots = { ours: "pgrwl_v5", reference: "pg_receivewal" } as const;

/** All WAL stays at the server, to be compared; nothing is written that the test does not ask for. */
const settings = {
  wal_keep_size: "8GB",
  autovacuum: "off",
  checkpoint_timeout: "1h",
  max_wal_size: "4GB",
};

export type StartReceiver = (server: PostgresServer, options: { slot: string }) => Promise<WalReceiver>;

export interface Pair extends AsyncDisposable {
  /** After {@link restoreHere} the restored one. */
  readonly primary: PostgresServer;
  readonly ours: WalReceiver;
  readonly reference: WalReceiver;
  /** Waits until both have all WAL, and compares it: with each other, and with what the server has itself. */
  compare(): Promise<void>;
  /** SIGKILL to the primary, and all its files are gone. @returns The primary's content as it was. */
  destroyPrimary(): Promise<string[]>;
  /**
   * Puts a server in the primary's place, where our receiver finds it by itself. It is restored from a base backup taken
   * before anything was written, and from our receiver's folder. There are two such backups, for two restores.
   */
  restoreHere(): Promise<void>;
}

export interface PairOptions {
  readonly version: number;
  readonly segmentMiB: number;
  /** No commit ends before both receivers have it. Default true. */
  readonly synchronous?: boolean;
}

/** Both receivers begin at the same position. */
export async function startPair(
  startOurs: StartReceiver,
  { version, segmentMiB, synchronous = true }: PairOptions,
): Promise<Pair> {
  await using cleanup = new AsyncDisposableStack();
  let primary = await startPostgres(
    { ...settings, synchronous_standby_names: synchronous ? `2 (${slots.ours}, ${slots.reference})` : "" },
    { version, segmentMiB },
  );
  cleanup.defer(() => primary[Symbol.asyncDispose]());
  for (const slot of Object.values(slots)) await createSlot(primary, slot);
  const ours = cleanup.use(await startOurs(primary, { slot: slots.ours }));
  let reference = cleanup.use(await startReceivewal(primary, { slot: slots.reference }));
  const { directory } = reference;
  const backups: BaseBackup[] = [];
  for (let count = 0; count < 2; count++) backups.push(cleanup.use(await primary.baseBackup()));

  const settle = () => caughtUp(primary, [ours, reference]);
  const owned = cleanup.move();
  return {
    get primary() {
      return primary;
    },
    ours,
    get reference() {
      return reference;
    },
    async compare() {
      // Every 15 s the background writer adds a record when something else was written: not while files are read.
      // A slow machine is not through with all of them in that time: what it has read once it need not read again.
      const known: KnownDigests = new Map();
      const compareInPeace = async () => {
        const lsn = await settle();
        const differences = await folderDifferences(ours.directory, directory, known);
        const own = await serverDifferences(ours.directory, primary.dataFolder, known);
        return (await insertLsn(primary)) === lsn && { differences: [...differences, ...own.differences], own };
      };
      const { differences, own } = await waitFor("a quiet moment to compare in", compareInPeace, 120_000);
      expect(differences).toEqual([]);
      expect(own.compared).toBeGreaterThan(0);
    },
    async destroyPrimary() {
      // Reading may write, where pages have checksums.
      const content = await databaseContent(primary);
      await settle();
      await primary.crash();
      await primary[Symbol.asyncDispose]();
      return content;
    },
    async restoreHere() {
      const backup = backups.pop();
      if (backup === undefined) throw new Error("Cannot restore a third time: both base backups are used");
      primary = await restore(backup, ours.directory, { port: primary.port, settings });
      for (const slot of Object.values(slots)) await createSlot(primary, slot);
      reference = owned.use(await startReceivewal(primary, { slot: slots.reference, directory }));
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}
