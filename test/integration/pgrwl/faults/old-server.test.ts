/** A server that is too old to tell where a slot stands: one of today whose answer is changed on its way. */
import { expect, test } from "bun:test";
import { describeWith } from "../../../harness/describe-with.ts";
import { startPostgres } from "../../../harness/postgres.ts";
import { startTcpProxy } from "../../../harness/tcp-proxy.ts";
import { waitFor } from "../../../harness/wait.ts";
import { startInProcess } from "./in-process.ts";

describeWith(["postgresql"], "an old server", () => {
  test("version 14 is refused with what it is and what is needed, and gets no slot", async () => {
    await using server = await startPostgres({ autovacuum: "off" }, { segmentMiB: 1 });
    const number = (await server.psql("SHOW server_version_num")).trim();
    const replacement = { direction: "toClient", from: Buffer.from(number), to: Buffer.from("140011") } as const;
    await using proxy = await startTcpProxy(server, { replacements: [replacement] });
    await using receiver = await startInProcess(server, proxy, "old", { createSlot: true, longestBackOffMs: 100 });
    await waitFor("the refusal", () => receiver.telemetry.state === "waiting");
    const problems = receiver.messages.flatMap((one) => (one.kind === "standing" ? [one.standing.problem] : []));
    expect(problems.findLast(Boolean)).toMatch(
      /^Cannot receive WAL from PostgreSQL at 127\.0\.0\.1:\d+: its version is .*; 15 or newer is needed/,
    );
    expect(await server.psql("SELECT slot_name FROM pg_replication_slots")).toBe("");
  }, 120_000);
});
