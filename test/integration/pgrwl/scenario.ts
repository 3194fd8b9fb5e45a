/** What the tests of a receiver share: a primary with two receivers side by side, the load, the crash and the restore. */
import { expect } from "bun:test";
import { databaseContent } from "../../harness/database-content.ts";
import { type BaseBackup, type PostgresServer, startPostgres } from "../../harness/postgres.ts";
import { startReceivewal } from "../../harness/receivewal.ts";
import { restore } from "../../harness/restore.ts";
import { waitFor } from "../../harness/wait.ts";
import { folderDifferences, serverDifferences } from "../../harness/wal-compare.ts";
import { caughtUp, createSlot, currentLsn, type WalReceiver } from "../../harness/wal-receiver.ts";

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
  /** Taken when both received, before anything was written. */
  readonly backup: BaseBackup;
  /** Waits until both have all WAL, and compares it: with each other, and with what the server has itself. */
  compare(): Promise<void>;
  /** SIGKILL to the primary, and all its files are gone. @returns The primary's content as it was. */
  destroyPrimary(): Promise<string[]>;
  /** Puts a server restored from our receiver's folder in the primary's place, where our receiver finds it by itself. */
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
  const backup = cleanup.use(await primary.baseBackup());

  // Every 15 s the background writer adds a record when something else was written.
  const isSettled = async () => (await caughtUp(primary, [ours, reference])) === (await currentLsn(primary));
  const settle = () => waitFor("a quiet moment", isSettled, 60_000);
  const owned = cleanup.move();
  return {
    get primary() {
      return primary;
    },
    ours,
    get reference() {
      return reference;
    },
    backup,
    async compare() {
      await settle();
      expect(await folderDifferences(ours.directory, directory)).toEqual([]);
      const { compared, differences } = await serverDifferences(ours.directory, primary.dataFolder);
      expect(differences).toEqual([]);
      expect(compared).toBeGreaterThan(0);
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
      primary = await restore(backup, ours.directory, { port: primary.port, settings });
      for (const slot of Object.values(slots)) await createSlot(primary, slot);
      reference = owned.use(await startReceivewal(primary, { slot: slots.reference, directory }));
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}
