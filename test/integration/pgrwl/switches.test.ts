/** Rapid WAL switches, and how soon a receiver has what the server has, beside `pg_receivewal --synchronous`. */
import { expect, test } from "bun:test";
import { startAgentReceiver } from "../../harness/agent-receiver.ts";
import { corruption, databaseContent } from "../../harness/database-content.ts";
import { describePostgres } from "../../harness/describe-with.ts";
import { initPgbench, runPgbench } from "../../harness/pgbench.ts";
import type { PostgresServer } from "../../harness/postgres.ts";
import { connect } from "../../harness/sql.ts";
import { waitFor } from "../../harness/wait.ts";
import { currentLsn, flushTimes } from "../../harness/wal-receiver.ts";
import { type Pair, startPair } from "./scenario.ts";

/** Each segment has a row of its own. */
async function switchWal(server: PostgresServer, times: number): Promise<void> {
  await server.psql("CREATE TABLE switched (number int PRIMARY KEY)");
  const client = await connect(server);
  try {
    for (let number = 1; number <= times; number++) {
      await client.query("INSERT INTO switched VALUES ($1)", [number]);
      await client.query("SELECT pg_switch_wal()");
    }
  } finally {
    await client.end();
  }
}

/**
 * Expects that our receiver has everything that the server has at most so much later than the other one.
 * @param startedAt When the writing began: on a machine that is so busy that the other one needs long, ours may need twice as long.
 */
async function expectDelayBelow(mostMs: number, { primary, ours, reference }: Pair, startedAt: number): Promise<void> {
  const times = await flushTimes(primary, await currentLsn(primary), [ours, reference]);
  const [here, there] = times.map((time) => time - startedAt) as [number, number];
  expect(here).toBeLessThan(there + Math.max(mostMs, there));
}

async function restoreAndCheck(pair: Pair): Promise<void> {
  const content = await pair.destroyPrimary();
  await pair.restoreHere();
  expect(await databaseContent(pair.primary)).toEqual(content);
  expect(await pair.primary.psql("SELECT max(number) FROM switched")).toBe("100\n");
  expect(await corruption(pair.primary)).toEqual([]);
}

describePostgres([15, 18], ["pg_receivewal", "pgbench", "dist/holdfast"], (version) => {
  test("follows 100 rapid switches: both slots advance, the files are equal and restore everything", async () => {
    await using pair = await startPair(startAgentReceiver, { version, segmentMiB: 1 });
    await switchWal(pair.primary, 100);
    const lsn = await currentLsn(pair.primary);
    const advanced = `SELECT count(*) FROM pg_replication_slots WHERE restart_lsn >= '${lsn}'`;
    await waitFor("both slots to advance", async () => (await pair.primary.psql(advanced)) === "2\n", 60_000);
    await pair.compare();
    await restoreAndCheck(pair);
  }, 240_000);

  test("has flushed what was written within a second of pg_receivewal, twice", async () => {
    await using pair = await startPair(startAgentReceiver, { version, segmentMiB: 16, synchronous: false });
    const startedAt = performance.now();
    await initPgbench(pair.primary, 1);
    await expectDelayBelow(1000, pair, startedAt);
    await runPgbench(pair.primary, 4, 250);
    await expectDelayBelow(1000, pair, startedAt);
    await pair.compare();
  }, 240_000);

  test("is through with 100 switches within three seconds of pg_receivewal, and restores everything", async () => {
    await using pair = await startPair(startAgentReceiver, { version, segmentMiB: 4, synchronous: false });
    const startedAt = performance.now();
    await switchWal(pair.primary, 100);
    await expectDelayBelow(3000, pair, startedAt);
    await pair.compare();
    await restoreAndCheck(pair);
  }, 240_000);
});
