/** Slots keep WAL until a server's disk is full, or fail to keep it: none is made or dropped on a server without need. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { copyFile, readdir } from "node:fs/promises";
import { join } from "node:path";
import { postgresVersions } from "../../../harness/available.ts";
import { describeWith } from "../../../harness/describe-with.ts";
import { type PostgresServer, startPostgres } from "../../../harness/postgres.ts";
import { waitFor } from "../../../harness/wait.ts";
import { createSlot, dropSlot } from "../../../harness/wal-receiver.ts";
import { type InProcess, startInProcess } from "./in-process.ts";
import { writeWal } from "./instance.ts";

const slots = (server: PostgresServer) => server.psql("SELECT slot_name FROM pg_replication_slots");
const problemOf = ({ messages }: InProcess) =>
  messages.flatMap((message) => (message.kind === "standing" ? [message.standing.problem] : [])).findLast(Boolean);

describeWith(["postgresql"], "slots", () => {
  let server: PostgresServer;
  let other: PostgresServer;
  beforeAll(async () => {
    const settings = { autovacuum: "off", wal_keep_size: "0", max_wal_size: "8MB", min_wal_size: "2MB" };
    server = await startPostgres(settings, { segmentMiB: 1 });
    other = await startPostgres(settings, { segmentMiB: 1 });
  }, 120_000);
  afterAll(async () => {
    await server[Symbol.asyncDispose]();
    await other[Symbol.asyncDispose]();
  });

  test("a server that is not that of the files gets no slot", async () => {
    await using receiver = await startInProcess(server, server, "mine");
    await writeWal(server, 2);
    await receiver.caughtUp(server);
    await receiver.stop();
    await dropSlot(server, "mine");
    const { directory } = receiver;
    await using lost = await startInProcess(other, other, "mine", { directory, createSlot: true });
    await waitFor("the refusal", () => lost.telemetry.state === "refused");
    expect(problemOf(lost)).toContain("is WAL of the system");
    expect(await slots(other)).toBe("");
    await lost.stop();
    await using willing = await startInProcess(other, other, "mine", {
      directory,
      createSlot: true,
      onGap: "continue",
    });
    await willing.caughtUp(other);
    expect(await slots(other)).toBe("mine\n");
  }, 120_000);

  test("a lost slot that somebody made anew before we did stays", async () => {
    await using receiver = await startInProcess(server, server, "anew");
    await writeWal(server, 2);
    await receiver.caughtUp(server);
    await receiver.stop();
    await dropSlot(server, "anew");
    // It keeps nothing.
    await server.psql("SELECT pg_create_physical_replication_slot('anew')");
    const [oldest] = (await server.walFiles()).slice(-1);
    await waitFor("the removal of WAL", async () => {
      await writeWal(server, 2);
      await server.psql("CHECKPOINT");
      return oldest !== undefined && !(await server.walFiles()).includes(oldest);
    });
    await using next = await startInProcess(server, server, "anew", {
      directory: receiver.directory,
      createSlot: true,
      firstBackOffMs: 3000,
      longestBackOffMs: 3000,
    });
    await waitFor("the refusal", () => next.telemetry.state === "refused");
    await dropSlot(server, "anew");
    await createSlot(server, "anew");
    const attempts = () => next.messages.filter((m) => m.kind === "standing" && m.standing.state === "refused").length;
    await waitFor("another attempt", () => attempts() === 2);
    expect(next.telemetry.number("slotsCreated")).toBe(0);
  }, 120_000);

  // Versions 16 and 17 stream through such a slot as if nothing were wrong, and keep nothing for it.
  test.each(postgresVersions())(
    "version %d keeps WAL again once what it has removed was brought into the folder",
    async (version) => {
      const settings = { autovacuum: "off", wal_keep_size: "0", max_wal_size: "4MB", min_wal_size: "2MB" };
      await using server = await startPostgres({ ...settings, archive_mode: "on" }, { segmentMiB: 1, version });
      const go = async () => {
        await writeWal(server, 2);
        await server.psql("CHECKPOINT");
      };
      await using receiver = await startInProcess(server, server, "given_up");
      const { directory } = receiver;
      await writeWal(server, 2);
      await receiver.caughtUp(server);
      await receiver.stop();
      await server.stop();
      await server.start({ max_slot_wal_keep_size: "1MB" });
      const lose = async () => {
        await go();
        return (await server.psql("SELECT wal_status FROM pg_replication_slots")) === "lost\n";
      };
      await waitFor("the loss of the slot", lose, 20_000);
      await server.stop();
      await server.start({ max_slot_wal_keep_size: "-1" });
      // A server removes nothing that it has not archived.
      const removed = (await readdir(server.archiveFolder)).filter((name) => name.length === 24);
      for (const name of removed) await copyFile(join(server.archiveFolder, name), join(directory, name));

      const begin = () => startInProcess(server, server, "given_up", { directory, createSlot: true });
      await using next = await begin();
      await next.caughtUp(server);
      await next.stop();
      for (let times = 0; times < 5; times++) await go();
      await using last = await begin();
      await last.caughtUp(server);
    },
    90_000,
  );
});
