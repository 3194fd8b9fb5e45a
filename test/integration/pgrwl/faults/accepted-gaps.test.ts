/** `on_gap: continue`: what is lost is told, what is not lost is kept, and reception goes on. */
import { expect, test } from "bun:test";
import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { parseLsn } from "../../../../plugins/common/postgres/lsn.ts";
import { Disk } from "../../../../plugins/pgrwl/receiver/disk.ts";
import type { FromThread } from "../../../../plugins/pgrwl/receiver/protocol.ts";
import { Receiver } from "../../../../plugins/pgrwl/receiver/receiver.ts";
import { Telemetry } from "../../../../plugins/pgrwl/receiver/telemetry.ts";
import { postgresVersions } from "../../../harness/available.ts";
import { describeWith } from "../../../harness/describe-with.ts";
import { createFolder } from "../../../harness/folders.ts";
import { type PostgresServer, startPostgres } from "../../../harness/postgres.ts";
import { waitFor } from "../../../harness/wait.ts";
import { createSlot, currentLsn } from "../../../harness/wal-receiver.ts";

const mib = 2 ** 20;
/** A server that keeps hardly any WAL for a slot. */
const forgetful = {
  max_slot_wal_keep_size: "1MB",
  min_wal_size: "2MB",
  max_wal_size: "4MB",
  wal_keep_size: "0",
  autovacuum: "off",
};

async function start(server: PostgresServer, directory: string) {
  const telemetry = new Telemetry();
  const messages: FromThread[] = [];
  const receiver = new Receiver({
    settings: {
      directory,
      slot: "holdfast",
      connection: { host: server.host, port: String(server.port), user: "postgres", sslmode: "disable" },
      createSlot: true,
      applicationName: "holdfast",
      onGap: "continue",
      noLoop: false,
      endPosition: undefined,
      statusIntervalMs: 10_000,
      receiveTimeoutMs: 20_000,
      connectTimeoutMs: 5000,
      firstBackOffMs: 50,
      longestBackOffMs: 200,
      flushIntervalMs: 10,
      flushBytes: 4 * mib,
    },
    environment: {},
    telemetry,
    disk: new Disk(),
    tell: (message) => void messages.push(message),
  });
  const running = receiver.run();
  return {
    messages,
    telemetry,
    gaps: () => messages.flatMap((message) => (message.kind === "gap" ? [message.reason] : [])),
    async caughtUp() {
      const wanted = parseLsn(await currentLsn(server)) ?? 0n;
      const isThere = () => telemetry.state === "streaming" && telemetry.lsn("flushed") >= wanted;
      await waitFor("the receiver to catch up", isThere, 60_000).catch((cause) => {
        throw new Error(JSON.stringify(messages.slice(-8)), { cause });
      });
    },
    async [Symbol.asyncDispose]() {
      receiver.stop();
      await running;
    },
  };
}

async function write(server: PostgresServer, segments: number): Promise<void> {
  for (let count = 0; count < segments; count++) {
    await server.psql("SELECT pg_logical_emit_message(false, 'test', repeat('x', 600000))");
    await server.psql("SELECT pg_switch_wal()");
  }
  await server.psql("CHECKPOINT");
}

const slotStatus = async (server: PostgresServer) =>
  (await server.psql("SELECT wal_status FROM pg_replication_slots WHERE slot_name = 'holdfast'")).trim();

/** Segments that differ from the server's file of the same name. */
async function differing(server: PostgresServer, directory: string): Promise<string[]> {
  const names = (await readdir(directory)).filter((name) => /^[0-9A-F]{24}$/.test(name));
  const kept = await server.walFiles();
  const wrong: string[] = [];
  for (const name of names.filter((one) => kept.includes(one))) {
    const [here, there] = await Promise.all([
      readFile(join(directory, name)),
      readFile(join(server.dataFolder, "pg_wal", name)),
    ]);
    if (!here.equals(there)) wrong.push(name);
  }
  return wrong;
}

for (const version of postgresVersions()) {
  describeWith(["postgresql"], `an accepted gap, PostgreSQL ${version}`, () => {
    test("a slot that the server gave up is made anew, and keeps WAL again", async () => {
      await using folder = await createFolder("holdfast-gaps");
      await using server = await startPostgres(forgetful, { version, segmentMiB: 1 });
      await createSlot(server, "holdfast");
      {
        await using receiver = await start(server, folder.path);
        await write(server, 2);
        await receiver.caughtUp();
      }
      await write(server, 8);
      await server.psql("CHECKPOINT");
      expect(await slotStatus(server)).toBe("lost");
      await using receiver = await start(server, folder.path);
      await receiver.caughtUp();
      await write(server, 1);
      await receiver.caughtUp();
      expect(receiver.gaps()).toContain("wal_removed");
      // With so little that the server may keep, it is "unreserved" for a moment at each segment's end.
      expect(await slotStatus(server)).toMatch(/reserved$/);
      expect(receiver.telemetry.number("slotsCreated")).toBe(1);
      expect(await differing(server, folder.path)).toEqual([]);
    }, 120_000);
  });
}

describeWith(["postgresql"], "an accepted gap", () => {
  test("the files of another system are moved, the archived ones too, and reception begins anew", async () => {
    await using folder = await createFolder("holdfast-gaps");
    await using server = await startPostgres({ autovacuum: "off" }, { segmentMiB: 1 });
    const [name = ""] = await server.walFiles();
    const foreign = await readFile(join(server.dataFolder, "pg_wal", name));
    foreign.writeBigUInt64LE(42n, 24);
    await mkdir(join(folder.path, "wal-archive"));
    await writeFile(join(folder.path, "wal-archive", name), foreign);
    await writeFile(join(folder.path, `${name}.partial`), foreign);
    await using receiver = await start(server, folder.path);
    await write(server, 2);
    await receiver.caughtUp();
    expect(receiver.gaps()).toEqual(["system_identifier"]);
    expect(await readdir(join(folder.path, "wal-archive"))).toEqual([]);
    const aside = await readdir(join(folder.path, "set-aside"));
    expect(aside.map((one) => one.replace(/\.\d+$/, "")).sort()).toEqual([name, `${name}.partial`]);
    for (const one of aside) expect((await readFile(join(folder.path, "set-aside", one))).equals(foreign)).toBeTrue();
    expect(await differing(server, folder.path)).toEqual([]);
  }, 120_000);

  test("the history of a timeline that the server never came to is moved: no restore may follow it", async () => {
    await using folder = await createFolder("holdfast-gaps");
    await using server = await startPostgres({ autovacuum: "off" }, { segmentMiB: 1 });
    await writeFile(join(folder.path, "00000002.history"), "1\t0/3000000\tno recovery target specified\n");
    await using receiver = await start(server, folder.path);
    await write(server, 1);
    await receiver.caughtUp();
    expect(receiver.gaps()).toEqual(["timeline"]);
    expect((await readdir(folder.path)).filter((name) => name.endsWith(".history"))).toEqual([]);
    expect((await readdir(join(folder.path, "set-aside"))).length).toBe(1);
  }, 120_000);
});
