/** Writes going on, and how long their commits take. */
import { randomUUID } from "node:crypto";
import { parseLsn } from "../../../plugins/common/postgres/lsn.ts";
import type { PostgresServer } from "../../../test/harness/postgres.ts";
import { connect } from "../../../test/harness/sql.ts";

/** A row that is committed, and the position in the WAL up to which the server had flushed when it was. */
export interface CommittedRow {
  readonly text: string;
  readonly lsn: bigint;
}

/** The only one that writes. */
export interface Writer extends AsyncDisposable {
  /** Commits one more row, which stays the last one for as long as `look` takes. */
  withLastRow<Value>(look: (row: CommittedRow) => Promise<Value>): Promise<Value>;
}

const insert = "INSERT INTO demo (written, text) VALUES (now(), $1)";
/** Between a commit and the next one. */
const pauseMs = 20;

export async function createTable(postgres: PostgresServer): Promise<void> {
  await postgres.psql("CREATE TABLE demo (id bigserial PRIMARY KEY, written timestamptz, text text)");
}

/** Commits so much at once, so that there are some files to look at. */
export async function writeMuch(postgres: PostgresServer, mebibytes: number): Promise<void> {
  await postgres.psql(`INSERT INTO demo (written, text)
    SELECT now(), repeat('x', 1000) FROM generate_series(1, ${mebibytes * 1024}) AS row`);
}

export async function startWriter(postgres: PostgresServer): Promise<Writer> {
  const client = await connect({ host: postgres.host, port: postgres.port, applicationName: "writer" });
  let rows = 0;
  let isOver = false;
  const commit = async () => {
    const text = `row ${++rows} of the demo, ${randomUUID()}`;
    await client.query(insert, [text]);
    return text;
  };
  /** One after the other: the last row is the last while somebody looks for it. */
  let turn: Promise<unknown> = Promise.resolve();
  const inTurn = <Value>(work: () => Promise<Value>): Promise<Value> => {
    const result = turn.then(work);
    turn = result.catch(() => {});
    return result;
  };
  const writing = (async () => {
    while (!isOver) {
      await inTurn(commit);
      await Bun.sleep(pauseMs);
    }
  })().catch(() => {});
  return {
    withLastRow: (look) =>
      inTurn(async () => {
        const text = await commit();
        const { rows } = await client.query<{ lsn: string }>("SELECT pg_current_wal_flush_lsn()::text AS lsn");
        return look({ text, lsn: parseLsn(rows[0]?.lsn ?? "") ?? 0n });
      }),
    async [Symbol.asyncDispose]() {
      isOver = true;
      // A commit that waits for a standby which is gone would wait for ever: this ends its connection.
      await client.end().catch(() => {});
      await writing;
    },
  };
}

/** Medians in milliseconds: durable on the server alone, and on the synchronous standby too. */
export async function measureCommits(
  postgres: PostgresServer,
  commits: number,
): Promise<{ alone: number; both: number }> {
  const target = { host: postgres.host, port: postgres.port, applicationName: "measurement" };
  const alone = await connect(target);
  const both = await connect(target);
  try {
    await alone.query("SET synchronous_commit = local");
    const commitMs = async (client: typeof alone) => {
      const startedAt = performance.now();
      await client.query(insert, ["measured"]);
      return performance.now() - startedAt;
    };
    for (let warmUps = 0; warmUps < 20; warmUps++) await commitMs(warmUps % 2 === 0 ? alone : both);
    const times: { readonly alone: number; readonly both: number }[] = [];
    // In turn, so that whatever else the machine does meets both.
    while (times.length < commits) times.push({ alone: await commitMs(alone), both: await commitMs(both) });
    return { alone: median(times.map((time) => time.alone)), both: median(times.map((time) => time.both)) };
  } finally {
    await Promise.all([alone.end(), both.end()]);
  }
}

function median(values: readonly number[]): number {
  return values.toSorted((one, other) => one - other)[Math.floor(values.length / 2)] ?? Number.NaN;
}
