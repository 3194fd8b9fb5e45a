/** Connections that are delayed, split and cut, at each of their first bytes and around the ends of segments. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { describeWith } from "../../../harness/describe-with.ts";
import { startLedger } from "../../../harness/ledger.ts";
import { type PostgresServer, startPostgres } from "../../../harness/postgres.ts";
import { type Direction, type Faults, startTcpProxy, type TcpProxy } from "../../../harness/tcp-proxy.ts";
import { waitFor } from "../../../harness/wait.ts";
import { createSlot } from "../../../harness/wal-receiver.ts";
import { startInProcess } from "./in-process.ts";
import { faultsIn, mib, slot, startInstance, writeWal } from "./instance.ts";

interface Cuts {
  readonly faults: Faults;
  /** Behind which bytes a connection has been cut. */
  readonly done: ReadonlySet<number>;
}

/**
 * Each connection is cut behind the next of these numbers of bytes. One that ends before it comes so far, because the server
 * has not yet seen the end of the last, is made up for.
 */
function cuts(proxy: TcpProxy, direction: Direction, places: readonly number[]): Cuts {
  let next = 0;
  let known = proxy.connections.length;
  const done = new Set<number>();
  const faults: Faults = {
    get cutAfter() {
      const bytes = places[next] ?? Number.POSITIVE_INFINITY;
      if (proxy.connections.length > known && proxy.connections.at(-1)?.bytes(direction) === bytes) {
        done.add(bytes);
        next++;
      }
      known = proxy.connections.length;
      return { direction, bytes: places[next] ?? Number.POSITIVE_INFINITY };
    },
  };
  return { faults, done };
}

const upTo = (end: number): number[] => Array.from({ length: end }, (_, bytes) => bytes);

const parts = 2;

describeWith(["postgresql", "dist/holdfast"], "connections that break", () => {
  let server: PostgresServer;
  beforeAll(async () => {
    const settings = { wal_keep_size: "4GB", autovacuum: "off", checkpoint_timeout: "1h", max_connections: "50" };
    server = await startPostgres(settings, { segmentMiB: 1 });
  }, 120_000);
  afterAll(() => server[Symbol.asyncDispose]());

  test("cut behind each of the first 10,000 bytes from the server, the files are right", async () => {
    const places = upTo(10_000);
    const slots = Array.from({ length: parts }, (_, part) => `cut_down_${part}`);
    for (const slot of slots) await createSlot(server, slot);
    await writeWal(server, 1);
    await Promise.all(
      slots.map(async (slot, part) => {
        const mine = places.filter((_, index) => index % parts === part);
        await using proxy = await startTcpProxy(server);
        const { faults, done } = cuts(proxy, "toClient", mine);
        proxy.faults = faults;
        await using receiver = await startInProcess(server, proxy, slot);
        await waitFor("all cuts", () => done.size === mine.length, 480_000);
        proxy.faults = {};
        for (const connection of proxy.open()) connection.cut();
        await receiver.caughtUp(server);
        expect(await faultsIn(receiver.directory, server)).toEqual([]);
        expect(receiver.messages.filter(({ kind }) => kind === "gap" || kind === "failed")).toEqual([]);
      }),
    );
  }, 540_000);

  test("cut behind each of the first 800 bytes to the server, nothing is lost that a commit has waited for", async () => {
    const slot = "cut_up";
    await createSlot(server, slot);
    await using proxy = await startTcpProxy(server);
    const { faults, done } = cuts(proxy, "toServer", upTo(800));
    proxy.faults = faults;
    await using receiver = await startInProcess(server, proxy, slot);
    await using ledger = await startLedger(server, { rowBytes: 200 });
    await using synchronous = await makeSynchronous(server, slot);
    await waitFor("all cuts", () => done.size === 800, 240_000);
    proxy.faults = {};
    for (const connection of proxy.open()) connection.cut();
    const before = ledger.acknowledged.size;
    await waitFor("commits", () => ledger.acknowledged.size > before + 10);
    await ledger.stop();
    await synchronous[Symbol.asyncDispose]();
    await receiver.caughtUp(server);
    expect(await faultsIn(receiver.directory, server)).toEqual([]);
    expect(await ledger.differences(server)).toEqual([]);
    expect(receiver.messages.filter(({ kind }) => kind === "gap" || kind === "failed")).toEqual([]);
  }, 300_000);

  test("cut just before, at and behind the end of each segment, the files are right", async () => {
    const slot = "cut_boundary";
    await createSlot(server, slot);
    // What comes before WAL, and what each message of it has beside it.
    const [loginBytes, messageBytes, headBytes] = [await bytesBeforeWal(server), 128 * 1024, 30];
    const segmentBytes = (mib / messageBytes) * (messageBytes + headBytes);
    const distances = Array.from({ length: 41 }, (_, index) => (index - 20) * 2);
    await writeWal(server, distances.length + 2);
    await using proxy = await startTcpProxy(server);
    proxy.faults = {
      get cutAfter() {
        const distance = distances[proxy.connections.length] ?? Number.POSITIVE_INFINITY;
        return { direction: "toClient" as const, bytes: loginBytes + segmentBytes + distance };
      },
    };
    await using receiver = await startInProcess(server, proxy, slot);
    await waitFor("all cuts", () => proxy.connections.length > distances.length, 60_000);
    await receiver.caughtUp(server);
    expect(await faultsIn(receiver.directory, server)).toEqual([]);
  }, 180_000);

  test("delayed and split into single bytes, the stream is what it was", async () => {
    let sent = 0;
    const chunkBytes = () => (sent++ < 100_000 ? 1 : 1 + (sent % 4000));
    await using proxy = await startTcpProxy(server, { delayMs: 5, chunkBytes });
    await using instance = await startInstance(server, { through: proxy });
    await instance.until("streaming");
    await writeWal(server, 2);
    await instance.caughtUp(server);
    expect(await faultsIn(instance.directory, server)).toEqual([]);
    expect(instance.log()).not.toContain("WAL is not being received");
  }, 120_000);

  test("from a server that stands still, the connection is given up after receive_timeout, and nothing is lost", async () => {
    await using instance = await startInstance(server, { config: { receive_timeout: "3s", connect_timeout: "20s" } });
    await instance.until("streaming");
    const pid = Number(await server.psql(`SELECT pid FROM pg_stat_replication WHERE application_name = '${slot}'`));
    process.kill(pid, "SIGSTOP");
    try {
      await writeWal(server, 1);
      const { problem } = await instance.until("waiting");
      expect(problem).toMatch(/no answer for [3-9] s|is active for PID/);
      const timeouts = async () => (await instance.value("pgrwl_disconnects_total", { reason: "timeout" })) ?? 0;
      await waitFor("the timeout to be counted", async () => (await timeouts()) >= 1);
    } finally {
      process.kill(pid, "SIGCONT");
    }
    await instance.caughtUp(server);
    expect(await faultsIn(instance.directory, server)).toEqual([]);
  }, 120_000);
});

/** Commits wait for this standby until the end of its scope. */
async function makeSynchronous(server: PostgresServer, standby: string): Promise<AsyncDisposable> {
  const set = async (value: string) => {
    await server.psql(`ALTER SYSTEM SET synchronous_standby_names = '${value}'`);
    await server.psql("SELECT pg_reload_conf()");
  };
  await set(standby);
  return { [Symbol.asyncDispose]: () => set("") };
}

/** What a receiver gets before its first byte of WAL: all that comes is that, the WAL, and what the messages add. */
async function bytesBeforeWal(server: PostgresServer): Promise<number> {
  const slot = "probe";
  await createSlot(server, slot);
  await using proxy = await startTcpProxy(server);
  await using receiver = await startInProcess(server, proxy, slot);
  await receiver.caughtUp(server);
  const [connection] = proxy.connections;
  const { telemetry } = receiver;
  const wal = Number(telemetry.lsn("flushed") - telemetry.lsn("streamStart"));
  return (connection?.bytes("toClient") ?? 0) - wal - 30 * telemetry.number("messages");
}
