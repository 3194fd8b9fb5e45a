/** The plugin with its real thread and a real server: what its page and its routes tell, and how it ends. */
import { expect, test } from "bun:test";
import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { createRun, type TestInstance, testPlugin } from "../../agent/sdk/index.ts";
import plugin from "../../plugins/pgrwl/index.ts";
import { describeWith } from "../harness/describe-with.ts";
import { createFolder, type TemporaryFolder } from "../harness/folders.ts";
import { freePort } from "../harness/ports.ts";
import { type PostgresServer, startPostgres } from "../harness/postgres.ts";
import { sampleValue } from "../harness/samples.ts";
import { waitFor } from "../harness/wait.ts";
import { caughtUp, insertLsn } from "../harness/wal-receiver.ts";

const mib = 2 ** 20;
const backOff = { first: "50ms", longest: "200ms" };

interface Running extends AsyncDisposable {
  readonly test: TestInstance;
  readonly directory: string;
  /** Rejected when `start()` was, fulfilled when it has ended. */
  readonly work: Promise<void>;
  hasEnded(): boolean;
  value(name: string, labels?: Record<string, string>): Promise<number | undefined>;
  status(): Promise<Status>;
  until(state: string): Promise<string>;
  stop(): Promise<void>;
}

interface Status {
  readonly stream_status: { readonly running: boolean; readonly last_flush_lsn?: string; readonly timeline?: number };
  readonly state: string;
  readonly problem?: string;
  readonly next_attempt_at?: string;
  readonly gap?: { readonly reason: string; readonly open: boolean; readonly refused: boolean };
}

/** An instance as the agent runs it: set up, started, and collected when a test asks. */
async function run(postgres: string, config: object = {}, folder?: TemporaryFolder): Promise<Running> {
  await using cleanup = new AsyncDisposableStack();
  const owned = folder ?? cleanup.use(await createFolder("holdfast-pgrwl"));
  const directory = join(owned.path, "wal");
  const instance = await testPlugin(plugin, {
    config: { directory, slot: "holdfast", postgres, back_off: backOff, ...config },
  });
  const stopping = new AbortController();
  let ended = false;
  const work = (instance.instance.start?.({ signal: stopping.signal, run: createRun(stopping.signal) }) ??
    Promise.resolve()) as Promise<void>;
  work
    .catch(() => {})
    .finally(() => {
      ended = true;
    });
  const stop = async () => {
    stopping.abort();
    await instance.stop();
  };
  cleanup.defer(stop);
  const rest = cleanup.move();
  return {
    test: instance,
    directory,
    work,
    hasEnded: () => ended,
    value: async (name, labels) => sampleValue(await instance.collect(), name, labels),
    status: async () => (await (await instance.instance.http?.request("/status"))?.json()) as Status,
    until: (state) =>
      waitFor(
        `the state ${state}`,
        async () => {
          const page = await instance.collect();
          return sampleValue(page, "pgrwl_receiver_state", { state }) === 1 && page;
        },
        60_000,
      ).catch((cause) => {
        throw new Error(JSON.stringify(instance.logs.slice(-5)), { cause });
      }),
    stop,
    [Symbol.asyncDispose]: () => rest.disposeAsync(),
  };
}

const write = (server: PostgresServer) =>
  server.psql(
    "CREATE TABLE IF NOT EXISTS t (x text); INSERT INTO t SELECT md5(i::text) FROM generate_series(1, 5000) i",
  );

describeWith(["postgresql"], "the plugin and its thread", () => {
  test("WAL streams into the directory, and the page and the routes tell of it", async () => {
    await using server = await startPostgres({}, { segmentMiB: 1 });
    await using instance = await run(server.conninfo());
    const page = await instance.until("streaming");
    expect(sampleValue(page, "pgrwl_connected")).toBe(1);
    expect(sampleValue(page, "pgrwl_timeline")).toBe(1);
    expect(sampleValue(page, "pgrwl_segment_size_bytes")).toBe(mib);
    expect(sampleValue(page, "pgrwl_slots_created_total")).toBe(1);
    expect(sampleValue(page, "pgrwl_directory_free_bytes")).toBeGreaterThan(0);
    expect(page).toMatch(/^pgrwl_server_info\{system_identifier="\d+",version="[^"]+"\} 1$/m);

    for (let round = 0; round < 3; round++) {
      await write(server);
      await server.psql("SELECT pg_switch_wal()");
    }
    const names = () => readdir(instance.directory).then((files) => files.filter((name) => name.length === 24).sort());
    await waitFor("three segments", async () => (await names()).length >= 3);
    // Every 15 s the background writer adds a record when something else was written: all is looked at between two of them.
    const { after, status, flushed } = await waitFor("a quiet moment", async () => {
      const lsn = await caughtUp(server, [{ applicationName: "holdfast", log: () => "" }]);
      const after = await instance.test.collect();
      const status = await instance.status();
      const flushed = await server.psql(
        "SELECT flush_lsn FROM pg_stat_replication WHERE application_name = 'holdfast'",
      );
      return (await insertLsn(server)) === lsn && { after, status, flushed };
    });
    expect(sampleValue(after, "pgrwl_lag_seconds")).toBe(0);
    expect(sampleValue(after, "pgrwl_wal_files_received_total")).toBe((await names()).length);
    expect(sampleValue(after, "pgrwl_wal_bytes_received_total")).toBeGreaterThan(2 * mib);
    expect(sampleValue(after, "pgrwl_flush_duration_seconds_count")).toBeGreaterThan(0);
    expect(sampleValue(after, "pgrwl_flush_duration_seconds_bucket", { le: "+Inf" })).toBe(
      sampleValue(after, "pgrwl_flush_duration_seconds_count"),
    );
    expect(sampleValue(after, "pgrwl_last_segment_timestamp_seconds")).toBeGreaterThan(1.7e9);
    expect(sampleValue(after, "pgrwl_last_message_timestamp_seconds")).toBeGreaterThan(1.7e9);
    expect(sampleValue(after, "pgrwl_slot_retained_bytes")).toBe(0);
    expect(sampleValue(after, "pgrwl_flushed_lsn")).toBe(sampleValue(after, "pgrwl_server_lsn"));

    expect(status.stream_status).toMatchObject({ slot: "holdfast", timeline: 1, running: true });
    expect(status.stream_status.last_flush_lsn).toBe(flushed.trim());
    const wals = (await (await instance.test.instance.http?.request("/api/v1/wals"))?.json()) as { name: string }[];
    expect(wals.map(({ name }) => name)).toEqual((await names()).reverse());
    expect((await stat(instance.directory)).mode & 0o7777).toBe(0o750);
  });

  test("a change of state is published without a collection", async () => {
    await using server = await startPostgres({}, { segmentMiB: 1 });
    await using instance = await run(server.conninfo());
    const published = (state: string) =>
      waitFor(`a page with ${state}`, () => {
        const page = instance.test.published.at(-1) ?? "";
        return page !== "" && sampleValue(page, "pgrwl_receiver_state", { state }) === 1 && page;
      });
    const page = await published("streaming");
    expect(page).not.toContain("pgrwl_next_attempt_timestamp_seconds");
    expect(sampleValue(page, "pgrwl_connected")).toBe(1);
    await server.stop();
    // The state is in shared memory, the time of the next attempt in a message behind it.
    const away = await waitFor("a page with the next attempt", () => {
      const page = instance.test.published.at(-1) ?? "";
      return page.includes("pgrwl_next_attempt_timestamp_seconds ") && page;
    });
    expect(sampleValue(away, "pgrwl_receiver_state", { state: "waiting" })).toBe(1);
    expect(sampleValue(away, "pgrwl_connected")).toBe(0);
    expect(away).not.toContain("pgrwl_lag_bytes");
  });

  test("a server that goes away and comes back is counted, and counters never step back", async () => {
    await using server = await startPostgres({}, { segmentMiB: 1 });
    await using instance = await run(server.conninfo());
    await instance.until("streaming");
    await write(server);
    const before = (await instance.value("pgrwl_wal_bytes_received_total")) ?? 0;
    await server.crash();
    await instance.until("waiting");
    const away = await instance.test.collect();
    expect(sampleValue(away, "pgrwl_connected")).toBe(0);
    expect(sampleValue(away, "pgrwl_lag_bytes")).toBeUndefined();
    expect(sampleValue(away, "pgrwl_stream_start_timestamp_seconds")).toBeUndefined();
    expect((await instance.status()).stream_status).toMatchObject({ running: false });
    await waitFor("a reason", async () => (await instance.status()).problem !== undefined);
    await server.start();
    const back = await instance.until("streaming");
    const failures = ["server_shutdown", "connection_lost", "server_error"].map((reason) =>
      sampleValue(back, "pgrwl_disconnects_total", { reason }),
    );
    expect(failures.reduce<number>((sum, count) => sum + (count ?? 0), 0)).toBeGreaterThan(0);
    expect(sampleValue(back, "pgrwl_wal_bytes_received_total")).toBeGreaterThanOrEqual(before);
    expect(await instance.status()).not.toHaveProperty("problem");
    expect(instance.hasEnded()).toBe(false);
  });

  test("another cluster behind the same address is refused, in words and numbers", async () => {
    await using folder = await createFolder("holdfast-pgrwl");
    {
      await using server = await startPostgres({}, { segmentMiB: 1 });
      await using instance = await run(server.conninfo(), {}, folder);
      await instance.until("streaming");
      await write(server);
      await waitFor("WAL", async () => ((await instance.value("pgrwl_wal_bytes_received_total")) ?? 0) > 0);
    }
    await using server = await startPostgres({}, { segmentMiB: 1 });
    await using instance = await run(server.conninfo(), {}, folder);
    const page = await instance.until("refused");
    expect(sampleValue(page, "pgrwl_gap", { reason: "system_identifier" })).toBe(1);
    expect(sampleValue(page, "pgrwl_gaps_total", { reason: "system_identifier" })).toBe(1);
    // It asks again and again, and is "connecting" for that moment.
    const status = await waitFor("the state", async () => {
      const now = await instance.status();
      return now.state === "refused" ? now : undefined;
    });
    expect(status).toMatchObject({ gap: { reason: "system_identifier", open: true, refused: true } });
    const errors = instance.test.logs.filter(({ level }) => level === "error");
    expect(new Set(errors.map(({ fields }) => fields.reason))).toEqual(new Set(["gap"]));
  });

  test("at the end position it is finished, and stays so", async () => {
    await using server = await startPostgres({}, { segmentMiB: 1 });
    await write(server);
    const end = (await server.psql("SELECT pg_current_wal_flush_lsn()")).trim();
    await using instance = await run(server.conninfo(), { end_position: end });
    await server.psql("SELECT pg_switch_wal()");
    await instance.until("finished");
    expect(instance.hasEnded()).toBe(false);
    expect((await instance.status()).stream_status.running).toBe(false);
    await instance.stop();
    await instance.work;
  });

  test("with no_loop the first failure is the last", async () => {
    const port = await freePort();
    await using instance = await run(`host=127.0.0.1 port=${port} user=postgres`, { no_loop: true });
    await instance.until("stopped");
    expect(await instance.value("pgrwl_disconnects_total", { reason: "connect" })).toBe(1);
    expect(instance.hasEnded()).toBe(false);
    expect((await instance.status()).problem).toContain(String(port));
  });

  test("a stop interrupts the wait for the next attempt", async () => {
    const config = { back_off: { first: "1h", longest: "1h" } };
    await using instance = await run(`host=127.0.0.1 port=${await freePort()} user=postgres`, config);
    await instance.until("waiting");
    expect(await instance.value("pgrwl_next_attempt_timestamp_seconds")).toBeGreaterThan(Date.now() / 1000);
    await instance.stop();
    await instance.work;
    expect(instance.test.logs.filter(({ message }) => message.includes("in time"))).toEqual([]);
  });

  test("a stop flushes, tells the server, and leaves what came", async () => {
    await using server = await startPostgres({}, { segmentMiB: 1 });
    await using instance = await run(server.conninfo());
    await instance.until("streaming");
    await write(server);
    await instance.stop();
    await instance.work;
    const page = await instance.test.collect();
    expect(sampleValue(page, "pgrwl_receiver_state", { state: "stopped" })).toBe(1);
    expect(sampleValue(page, "pgrwl_flushed_lsn")).toBe(sampleValue(page, "pgrwl_written_lsn"));
    const active = "SELECT active FROM pg_replication_slots WHERE slot_name = 'holdfast'";
    await waitFor("the slot to be free", async () => (await server.psql(active)) === "f\n");
  });
});

test("keys of the original are noted one by one at the start", async () => {
  await using folder = await createFolder("holdfast-pgrwl");
  const config = { main: { directory: folder.path, listen_port: 7070 }, receiver: { slot: "pgrwl_v5" } };
  const { logs } = await testPlugin(plugin, { config });
  expect(logs.map(({ level, fields }) => [level, fields.key, fields.here])).toEqual([
    ["info", "main.directory", "directory"],
    ["info", "main.listen_port", "listen, a key of the instance beside config"],
    ["info", "receiver.slot", "slot"],
  ]);
});

test.each(["/dev/null/wal", "/dev/null"])(
  "a directory that cannot be made or used is told at once: %s",
  async (directory) => {
    const plugged = testPlugin(plugin, { config: { directory, slot: "holdfast" } });
    await expect(plugged).rejects.toThrow(
      /^Cannot receive WAL into \/dev\/null(?:\/wal)?: .*(?:ENOTDIR|is no folder).*; name a folder$/,
    );
  },
);

test("checking the directory leaves its making to the thread", async () => {
  await using folder = await createFolder("holdfast-pgrwl");
  await testPlugin(plugin, { config: { directory: join(folder.path, "a/b"), slot: "holdfast" } });
  expect(await readdir(folder.path)).toEqual([]);
});
