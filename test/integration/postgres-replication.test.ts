/** Commands and streams of the replication protocol against a real PostgreSQL. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { formatLsn, parseLsn } from "../../plugins/common/postgres/lsn.ts";
import type { CopyBothStream, ReplicationConnection } from "../../plugins/common/postgres/replication.ts";
import { decodeServerMessage, encodeStandbyStatus } from "../../plugins/common/postgres/replication-messages.ts";
import { describeWith } from "../harness/describe-with.ts";
import { type PostgresServer, startPostgres } from "../harness/postgres.ts";
import { connectForReplication, failureOf, keywordsOf, limits, openSockets } from "../harness/replication.ts";
import { startTcpProxy } from "../harness/tcp-proxy.ts";
import { waitFor } from "../harness/wait.ts";

const segmentBytes = 2n ** 24n;

/** What a stream's handlers were given. */
class Received {
  readonly pieces: Buffer[] = [];
  end = 0n;
  drains = 0;
  isDone = false;
  onData: () => void = () => {};
  readonly handlers = {
    data: (payload: Buffer) => {
      const message = decodeServerMessage(payload);
      if (message.kind === "wal") {
        if (this.end !== 0n) expect(message.start).toBe(this.end);
        this.pieces.push(Buffer.from(message.data));
        this.end = message.start + BigInt(message.data.length);
      }
      this.onData();
    },
    drained: () => void this.drains++,
    done: () => {
      this.isDone = true;
    },
  };
}

async function startStream(
  connection: ReplicationConnection,
  start: bigint,
  received: Received,
  timeline = 1,
): Promise<CopyBothStream> {
  const text = `START_REPLICATION PHYSICAL ${formatLsn(start)} TIMELINE ${timeline}`;
  const started = await connection.start(text, received.handlers, limits);
  if (started.kind !== "streaming") throw new Error(`Expected a stream, found ${JSON.stringify(started.rows)}`);
  return started.stream;
}

const currentLsn = async (server: PostgresServer) =>
  parseLsn((await server.psql("SELECT pg_current_wal_flush_lsn()")).trim()) ?? 0n;

describeWith(["postgresql"], "a replication connection", () => {
  let server: PostgresServer;
  let connection: ReplicationConnection;
  beforeAll(async () => {
    server = await startPostgres({ wal_keep_size: "1GB" });
    connection = await connectForReplication(keywordsOf(server));
  }, 120_000);
  afterAll(async () => {
    await connection?.close();
    await server?.[Symbol.asyncDispose]();
  });

  test("says where it leads, and what the server reports", () => {
    expect(connection.place).toBe(`127.0.0.1:${server.port}`);
    expect(connection.parameter("server_version")).toMatch(/^\d+/);
    expect(connection.parameter("application_name")).toBe("replication-test");
    expect(connection.parameter("nothing")).toBeUndefined();
  });

  test("runs the commands of the protocol", async () => {
    const [[systemId, timeline, position, database] = []] = await connection.command("IDENTIFY_SYSTEM", limits);
    expect([systemId, timeline, database]).toEqual([expect.stringMatching(/^\d{15,20}$/), "1", null]);
    expect(parseLsn(position ?? "")).toBeDefined();
    expect(await connection.command("SHOW wal_segment_size", limits)).toEqual([["16MB"]]);
    expect(await connection.command("READ_REPLICATION_SLOT none", limits)).toEqual([[null, null, null]]);
    const created = await connection.command("CREATE_REPLICATION_SLOT one PHYSICAL RESERVE_WAL", limits);
    expect(created[0]?.[0]).toBe("one");
    expect((await connection.command("READ_REPLICATION_SLOT one", limits))[0]).toEqual([
      "physical",
      expect.stringMatching(/^0\/[0-9A-F]+$/),
      "1",
    ]);
    expect(await connection.command("DROP_REPLICATION_SLOT one", limits)).toEqual([]);
  });

  test("goes on behind an error of the server, which keeps its SQLSTATE", async () => {
    const history = await failureOf(connection.command("TIMELINE_HISTORY 77", limits));
    expect(history).toMatchObject({ kind: "server_error", sqlState: "58P01" });
    expect(history.message).toStartWith(`Cannot run TIMELINE_HISTORY on 127.0.0.1:${server.port}: ERROR 58P01: `);
    expect(await failureOf(connection.command("SELECT 1", limits))).toMatchObject({ sqlState: "0A000" });
    const handlers = new Received().handlers;
    const missing = connection.start("START_REPLICATION SLOT gone PHYSICAL 0/1000000", handlers, limits);
    expect(await failureOf(missing)).toMatchObject({ kind: "server_error", sqlState: "42704" });
    expect(await connection.command("SHOW wal_segment_size", limits)).toEqual([["16MB"]]);
  });

  test.each([
    ["of the future", "FF/0", "XX000", "is ahead of the WAL flush position"],
    ["that is gone", "0/0", "58P01", "has already been removed"],
  ])("learns of a start %s from the stream: the server has entered it by then", async (_, start, sqlState, found) => {
    await using own = await connectAndClose(keywordsOf(server));
    const text = `START_REPLICATION PHYSICAL ${start} TIMELINE 1`;
    const started = await own.connection.start(text, new Received().handlers, limits);
    if (started.kind !== "streaming") throw new Error("Expected a stream");
    const failure = await failureOf(started.stream.ended);
    expect(failure).toMatchObject({ kind: "server_error", sqlState });
    expect(failure.message).toStartWith(`Cannot stream WAL from 127.0.0.1:${server.port}: ERROR ${sqlState}: `);
    expect(failure.message).toContain(found);
  });

  test("refuses a second command at the same time, and one that nobody waits for any more", async () => {
    const first = connection.command("IDENTIFY_SYSTEM", limits);
    await expect(connection.command("IDENTIFY_SYSTEM", limits)).rejects.toThrow(/the connection is busy$/);
    await first;
    const aborted = { ...limits, signal: AbortSignal.abort(new Error("stopped")) };
    await expect(connection.command("IDENTIFY_SYSTEM", aborted)).rejects.toThrow("stopped");
    expect(await connection.command("SHOW wal_segment_size", limits)).toEqual([["16MB"]]);
  });

  test("streams WAL byte for byte, tells when it is drained, and takes commands again behind the stream", async () => {
    await server.psql("CREATE TABLE bulk AS SELECT generate_series(1, 300000)");
    await server.psql("SELECT pg_switch_wal()");
    const end = await currentLsn(server);
    const start = segmentBytes;
    const received = new Received();
    const stream = await startStream(connection, start, received);
    await waitFor("all WAL", () => received.end >= end && received.drains > 0);
    // Once more: a single record after silence is followed by a drain, too.
    const drains = received.drains;
    await server.psql("SELECT pg_logical_emit_message(false, 'test', 'x')");
    await server.psql("CHECKPOINT");
    await waitFor("a drain behind it", () => received.drains > drains);
    const clock = BigInt(Date.now()) * 1000n;
    stream.send(encodeStandbyStatus({ written: end, flushed: end, applied: end, clock }));
    await waitFor("the server knows", async () =>
      (await server.psql("SELECT flush_lsn, reply_time > now() - interval '1 min' FROM pg_stat_replication"))
        .split("\n")
        .includes(`${formatLsn(end)}|t`),
    );
    stream.finish();
    stream.finish();
    expect(await stream.ended).toEqual([]);
    expect([stream.serverIsDone, received.isDone]).toEqual([true, true]);
    stream.send(Buffer.from("dropped"));
    expect(await connection.command("SHOW wal_segment_size", limits)).toEqual([["16MB"]]);
    const wal = Buffer.concat(received.pieces);
    const segment = await readFile(join(server.dataFolder, "pg_wal", "000000010000000000000001"));
    expect(wal.subarray(0, segment.length).equals(segment)).toBe(true);
  }, 120_000);

  test("reads the same from a network that cuts everything to pieces", async () => {
    await using proxy = await startTcpProxy(server, { chunkBytes: () => 1 + Math.floor(Math.random() * 3000) });
    await using pieces = await connectAndClose({ ...keywordsOf(server), port: String(proxy.port) });
    const received = new Received();
    const end = await currentLsn(server);
    const stream = await startStream(pieces.connection, segmentBytes, received);
    await waitFor("all WAL", () => received.end >= end, 60_000);
    stream.finish();
    expect(await stream.ended).toEqual([]);
    const segment = await readFile(join(server.dataFolder, "pg_wal", "000000010000000000000001"));
    expect(Buffer.concat(received.pieces).subarray(0, segment.length).equals(segment)).toBe(true);
  }, 120_000);

  test("ends with the very error that a handler throws, and hands over nothing more", async () => {
    for (const place of ["data", "drained"] as const) {
      await using own = await connectAndClose(keywordsOf(server));
      const thrown = new Error(`in ${place}`);
      let calls = 0;
      const handlers = {
        ...new Received().handlers,
        [place]: () => {
          calls++;
          throw thrown;
        },
      };
      const started = await own.connection.start(
        `START_REPLICATION PHYSICAL ${formatLsn(segmentBytes)}`,
        handlers,
        limits,
      );
      if (started.kind !== "streaming") throw new Error("Expected a stream");
      expect(await started.stream.ended.catch((error: unknown) => error)).toBe(thrown);
      expect(calls).toBe(1);
      expect(await own.connection.command("IDENTIFY_SYSTEM", limits).catch((error: unknown) => error)).toBe(thrown);
    }
  });

  test("is gone after close() and after destroy(), here and on the server, and nothing stays open", async () => {
    // That of `connection`; those of earlier tests may not have ended yet.
    const isAlone = async () => (await streams(server)) === 1;
    await waitFor("the server has one connection", isAlone);
    const before = openSockets();
    for (const end of ["close", "destroy"] as const) {
      const own = await connectForReplication(keywordsOf(server));
      const stream = await startStream(own, segmentBytes, new Received());
      await Promise.all([own[end](), own[end]()]);
      expect(await failureOf(stream.ended)).toMatchObject({ kind: "connection_lost" });
      expect((await failureOf(own.command("IDENTIFY_SYSTEM", limits))).message).toMatch(/closed here$/);
      await own.close();
    }
    await waitFor("the server has one connection again", isAlone);
    await waitFor("the sockets are closed", () => openSockets() <= before);
  });

  describe("whose server goes", () => {
    /** The error of a stream, after `cause`. */
    const endedBy = async (cause: (own: PostgresServer) => Promise<void>, finishes = false) => {
      await using own = await startPostgres();
      await using streaming = await connectAndClose(keywordsOf(own));
      const received = new Received();
      const stream = await startStream(streaming.connection, segmentBytes, received);
      const tell = (replyRequested = false) => {
        const position = received.end;
        stream.send(
          encodeStandbyStatus({ written: position, flushed: position, applied: 0n, clock: 0n, replyRequested }),
        );
      };
      received.onData = () => tell();
      await waitFor("it streams", () => received.drains > 0);
      if (finishes) stream.finish();
      const failed = failureOf(stream.ended);
      await cause(own);
      const failure = await failed;
      expect(await streaming.connection.command("IDENTIFY_SYSTEM", limits).catch((error: unknown) => error)).toBe(
        failure,
      );
      return failure;
    };
    const signal = async ({ dataFolder }: PostgresServer, name: NodeJS.Signals) => {
      const [pid] = (await readFile(join(dataFolder, "postmaster.pid"), "utf8")).split("\n");
      process.kill(Number(pid), name);
    };

    test("tells a fast shutdown", async () => {
      const failure = await endedBy((own) => own.stop());
      expect(failure).toMatchObject({ kind: "server_shutdown" });
      expect(failure.message).toStartWith("Cannot stream WAL from 127.0.0.1:");
    }, 120_000);

    test("tells an immediate shutdown as a shutdown or a loss: its WAL sender says nothing", async () => {
      const failure = await endedBy((own) => signal(own, "SIGQUIT"));
      expect(["server_shutdown", "connection_lost"]).toContain(failure.kind);
    }, 120_000);

    test("tells a crash as a loss", async () => {
      expect(await endedBy((own) => own.crash())).toMatchObject({ kind: "connection_lost", sqlState: undefined });
    }, 120_000);

    test("tells that an administrator ended it", async () => {
      const failure = await endedBy(async (own) => {
        await own.psql("SELECT pg_terminate_backend(pid) FROM pg_stat_replication");
      });
      expect(failure).toMatchObject({ kind: "server_shutdown", sqlState: "57P01" });
      expect(failure.message).toMatch(/: FATAL 57P01: terminating connection due to administrator command$/);
    }, 120_000);

    test("tells it while no command runs, at the next one", async () => {
      await using own = await connectAndClose(keywordsOf(server));
      await server.psql(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'walsender' AND state IS DISTINCT FROM 'active' ORDER BY backend_start DESC LIMIT 1",
      );
      const failure = await waitFor("it is told", () =>
        own.connection.command("IDENTIFY_SYSTEM", limits).then(
          () => undefined,
          (error: unknown) => error,
        ),
      );
      expect(failure).toMatchObject({ kind: "server_shutdown", sqlState: "57P01" });
    });
  });

  test("gives up a command that is not answered in time, or not wanted any more", async () => {
    // That of `connection`; those of earlier tests may not have ended yet.
    await waitFor("the server has one connection", async () => (await streams(server)) === 1);
    await using proxy = await startTcpProxy(server);
    const keywords = { ...keywordsOf(server), port: String(proxy.port) };
    const stalled = async () => {
      const own = await connectForReplication(keywords);
      proxy.connections.at(-1)?.stall("toClient");
      return own;
    };
    const late = await stalled();
    const failure = await failureOf(late.command("IDENTIFY_SYSTEM", { ...limits, timeoutMs: 200 }));
    expect(failure.message).toBe(`Cannot run IDENTIFY_SYSTEM on 127.0.0.1:${proxy.port}: no answer within 0.2 s`);
    expect(failure.kind).toBe("timeout");
    expect(await failureOf(late.command("IDENTIFY_SYSTEM", limits))).toBe(failure);
    const unwanted = await stalled();
    const stop = new AbortController();
    const started = unwanted.start("START_REPLICATION PHYSICAL 0/1000000", new Received().handlers, {
      ...limits,
      signal: stop.signal,
    });
    stop.abort(new Error("stopped"));
    await expect(started).rejects.toThrow("stopped");
    const closing = await stalled();
    await closing.close();
    await waitFor("the server lost them all", async () => (await streams(server)) === 1);
  });

  test("follows a fork that lies exactly at the end of a segment", async () => {
    await using primary = await startPostgres({ wal_keep_size: "1GB" });
    await using standby = await primary.standby({ wal_keep_size: "1GB" });
    const switched = parseLsn((await primary.psql("SELECT pg_switch_wal()")).trim()) ?? 0n;
    const fork = ((switched + segmentBytes - 1n) / segmentBytes) * segmentBytes;
    await waitFor("the standby has it", async () =>
      (await standby.psql(`SELECT pg_last_wal_receive_lsn() >= '${formatLsn(fork)}'`)).startsWith("t"),
    );
    await primary.crash();
    await waitFor("the standby replayed it", async () =>
      (await standby.psql(`SELECT pg_last_wal_replay_lsn() >= '${formatLsn(switched)}'`)).startsWith("t"),
    );
    await standby.promote();
    await using own = await connectAndClose(keywordsOf(standby));
    const text = `START_REPLICATION PHYSICAL ${formatLsn(fork)} TIMELINE 1`;
    const started = await own.connection.start(text, new Received().handlers, limits);
    expect(started).toEqual({ kind: "end-of-timeline", rows: [["2", formatLsn(fork)]] });
    // The connection goes on, and the stream of the old timeline ends with the same row.
    const received = new Received();
    const stream = await startStream(own.connection, fork - segmentBytes, received);
    await waitFor("the server is done", () => received.isDone);
    expect([stream.serverIsDone, received.end]).toEqual([true, fork]);
    stream.finish();
    expect(await stream.ended).toEqual([["2", formatLsn(fork)]]);
    const [[name, content] = []] = await own.connection.command("TIMELINE_HISTORY 2", limits);
    expect(name).toBe("00000002.history");
    const file = await readFile(join(standby.dataFolder, "pg_wal", "00000002.history"));
    expect(Buffer.from(content ?? "").equals(file)).toBe(true);
    const [[, bytes] = []] = await own.connection.commandBytes("TIMELINE_HISTORY 2", limits);
    expect(bytes?.equals(file)).toBe(true);
  }, 120_000);

  test("takes an answer to its status behind the end of a timeline", async () => {
    await using primary = await startPostgres({ wal_keep_size: "1GB" });
    await using standby = await primary.standby({ wal_keep_size: "1GB" });
    await standby.promote();
    await using own = await connectAndClose(keywordsOf(standby));
    const received = new Received();
    const stream = await startStream(own.connection, 2n * segmentBytes, received);
    await waitFor("the server is done", () => received.isDone);
    const { end } = received;
    const clock = BigInt(Date.now()) * 1000n;
    // The server answers it before it reads the CopyDone behind it, and after its own.
    stream.send(encodeStandbyStatus({ written: end, flushed: end, applied: end, clock, replyRequested: true }));
    stream.finish();
    expect(await stream.ended).toEqual([["2", formatLsn(end)]]);
    expect(await own.connection.command("SHOW wal_segment_size", limits)).toEqual([["16MB"]]);
  }, 120_000);
});

const streams = async (server: PostgresServer) => Number(await server.psql("SELECT count(*) FROM pg_stat_replication"));

async function connectAndClose(keywords: Parameters<typeof connectForReplication>[0]) {
  const connection = await connectForReplication(keywords);
  return { connection, [Symbol.asyncDispose]: () => connection.close() };
}
