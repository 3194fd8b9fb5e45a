/**
 * The golden test: side by side with `pg_receivewal --synchronous`, under load, through the loss of the primary and a
 * restore, onto the next timeline, the files are equal and nothing that was committed is lost.
 */
import { expect, test } from "bun:test";
import { readdir } from "node:fs/promises";
import { startAgentReceiver } from "../../harness/agent-receiver.ts";
import { corruption, databaseContent } from "../../harness/database-content.ts";
import { describePostgres, testedPostgresVersions } from "../../harness/describe-with.ts";
import { startLedger } from "../../harness/ledger.ts";
import { initPgbench, runPgbench } from "../../harness/pgbench.ts";
import type { PostgresServer } from "../../harness/postgres.ts";
import { startPair } from "./scenario.ts";

interface Load {
  readonly pgbenchScale: number;
  readonly bigTableMiB: number;
  readonly tables: number;
}

/** Upstream: scale 10, 512 MiB and 100 tables; what matters is many segments, of few and of many records. */
const full: Load = { pgbenchScale: 2, bigTableMiB: 128, tables: 20 };
const short: Load = { pgbenchScale: 1, bigTableMiB: 16, tables: 4 };

async function write(server: PostgresServer, { pgbenchScale, bigTableMiB, tables }: Load): Promise<void> {
  const name = `t${Date.now()}`;
  const createTables = async (first: number) => {
    for (let at = first; at < tables; at += 4) {
      await server.psql(
        `CREATE TABLE ${name}_${at} AS SELECT id, md5(id::text) AS text FROM generate_series(1, 10000) id;
         ALTER TABLE ${name}_${at} ADD PRIMARY KEY (id)`,
      );
    }
  };
  const big = `SELECT id, repeat(md5(id::text), 32) AS text FROM generate_series(1, ${bigTableMiB * 1000}) id`;
  const createBig = () => server.psql(`CREATE TABLE ${name}_big AS ${big}`);
  const bench = async () => {
    await initPgbench(server, pgbenchScale);
    await runPgbench(server, 4, 200);
  };
  await Promise.all([bench(), createBig(), ...[0, 1, 2, 3].map(createTables)]);
}

describePostgres(testedPostgresVersions, ["pg_receivewal", "pgbench", "dist/holdfast"], (version) => {
  const load = version === 15 || version === 18 ? full : short;
  test("receives the same files on both timelines, and restores all that was committed, twice", async () => {
    await using pair = await startPair(startAgentReceiver, { version, segmentMiB: 16 });
    await using ledger = await startLedger(pair.primary, { clients: 1 });
    await write(pair.primary, load);
    await ledger.stop();
    expect(ledger.acknowledged.size).toBeGreaterThan(20);
    await pair.compare();

    const restore = async () => {
      const content = await pair.destroyPrimary();
      await pair.restoreHere();
      expect(await databaseContent(pair.primary)).toEqual(content);
      expect(await ledger.differences(pair.primary)).toEqual([]);
    };
    await restore();
    await write(pair.primary, short);
    await pair.compare();
    expect(await readdir(pair.ours.directory)).toContain("00000002.history");
    // From the first timeline's files and the second's.
    await restore();
    expect(await corruption(pair.primary)).toEqual([]);
  }, 240_000);
});
