/** Servers that say nothing, because they have nothing to say or because the connection is half-dead. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { parseLsn } from "../../../../plugins/common/postgres/lsn.ts";
import { describeWith } from "../../../harness/describe-with.ts";
import { type PostgresServer, startPostgres } from "../../../harness/postgres.ts";
import { startTcpProxy } from "../../../harness/tcp-proxy.ts";
import { waitFor } from "../../../harness/wait.ts";
import { currentLsn } from "../../../harness/wal-receiver.ts";
import { startInProcess } from "./in-process.ts";
import { writeWal } from "./instance.ts";

const waitingFor = (problem: RegExp) => (message: { kind: string; standing?: { problem?: string } }) =>
  problem.test(message.standing?.problem ?? "");

describeWith(["postgresql"], "silence", () => {
  let server: PostgresServer;
  beforeAll(async () => {
    server = await startPostgres({ autovacuum: "off", checkpoint_timeout: "1h" }, { segmentMiB: 1 });
  }, 120_000);
  afterAll(() => server[Symbol.asyncDispose]());

  test("an idle server that answers is not given up, however short receive_timeout is", async () => {
    await using receiver = await startInProcess(server, server, "idle", { receiveTimeoutMs: 1500 });
    await receiver.caughtUp(server);
    const messages = receiver.telemetry.number("messages");
    await waitFor("answers", () => receiver.telemetry.number("messages") >= messages + 8);
    expect(receiver.telemetry.list("disconnects").filter((count) => count > 0)).toEqual([]);
  }, 120_000);

  test("statuses come at an interval below a second, too", async () => {
    await using receiver = await startInProcess(server, server, "often", { statusIntervalMs: 50 });
    await receiver.caughtUp(server);
    const statuses = receiver.telemetry.number("statuses");
    // Once a second, a hundred take longer than is waited.
    await waitFor("statuses", () => receiver.telemetry.number("statuses") >= statuses + 100, 60_000);
  }, 180_000);

  test("a connection that dies between the end position and the server's consent is given up", async () => {
    await using proxy = await startTcpProxy(server);
    const end = (parseLsn(await currentLsn(server)) ?? 0n) + 500_000n;
    await using receiver = await startInProcess(server, proxy, "ending", { endPosition: end, receiveTimeoutMs: 1000 });
    await receiver.caughtUp(server);
    for (const connection of proxy.open()) connection.stall("toServer");
    await writeWal(server, 1);
    await waitFor("the end", () => receiver.telemetry.lsn("flushed") >= end);
    for (const connection of proxy.open()) connection.stall("toClient");
    await waitFor("the loss", () => receiver.messages.some(waitingFor(/no answer for \d+ s/)));
    for (const connection of proxy.open()) connection.cut();
    await waitFor("the state finished", () => receiver.telemetry.state === "finished");
  }, 120_000);
});
