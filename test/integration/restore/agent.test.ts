/** The whole way: a server that commits synchronously, an agent that receives, archives and serves, and a recovery from the agent alone. */
import { expect, test } from "bun:test";
import { join } from "node:path";
import { startAgentReceiver } from "../../harness/agent-receiver.ts";
import { databaseContent } from "../../harness/database-content.ts";
import { describeWith } from "../../harness/describe-with.ts";
import { startPostgres } from "../../harness/postgres.ts";
import { startS3Server } from "../../harness/s3/server.ts";
import { sampleValue } from "../../harness/samples.ts";
import { giveTo, serverUser } from "../../harness/users.ts";
import { waitFor } from "../../harness/wait.ts";
import { s3Settings } from "../storage/storages.ts";
import { createRestorer, recover } from "./support.ts";

const token = "a-token-of-some-length";

describeWith(["postgresql-15", "dist/holdfast"], "recovery from a serving agent", () => {
  test("brings back every commit, and the archive is verified meanwhile", async () => {
    await using s3 = startS3Server();
    await using server = await startPostgres({ autovacuum: "off" }, { version: 15, segmentMiB: 1 });
    const archive = {
      storage: { ...s3Settings(s3), timeout: "20s" },
      compression: "zstd",
      encryption: { passphrase: "a passphrase" },
      keep_local: 2,
      verify: { interval: "1s", depth: "all" },
    };
    const config = { archive, serve: { token } };
    await using receiver = await startAgentReceiver(server, { slot: "holdfast", config });
    const backup = await server.baseBackup();
    await server.psql("ALTER SYSTEM SET synchronous_standby_names = 'holdfast'");
    await server.psql("SELECT pg_reload_conf()");
    await server.psql("CREATE TABLE t (i int, x text)");
    for (let written = 0; written < 8; written++) {
      await server.psql("INSERT INTO t SELECT i, repeat(md5(i::text), 4) FROM generate_series(1, 3000) i");
      await server.psql("SELECT pg_switch_wal()");
    }
    await server.psql("INSERT INTO t VALUES (-1, 'the last one')");
    const content = await databaseContent(server);
    const { agent } = receiver;
    const isArchived = async () => sampleValue(await agent.scrape(), "pgrwl_upload_backlog_files") === 0;
    await waitFor("all ended segments to be archived", isArchived, 60_000);
    const isVerified = async () => sampleValue(await agent.scrape(), "pgrwl_archive_whole") === 1;
    await waitFor("a verification", isVerified, 60_000);
    await server.crash();

    await using restorer = await createRestorer();
    const tokenFile = join(restorer.folder, "token");
    await Bun.write(tokenFile, `${token}\n`);
    await giveTo(serverUser("postgres"), tokenFile);
    const flags = `--serve-addr=127.0.0.1:${agent.port}/wal --token-file=${tokenFile}`;
    await using restored = await recover(backup, restorer.command(flags));
    expect((await databaseContent(restored)).join("\n") === content.join("\n")).toBe(true);
    // A page is as old as the last collection.
    const served = async (result: string) =>
      sampleValue(await agent.scrape(), "pgrwl_serve_requests_total", { result }) ?? 0;
    await waitFor("the segments to be counted", async () => (await served("whole")) > 4);
    // PostgreSQL may ask for the last segment again when recovery ends.
    await waitFor("the partial segment to be counted", async () => (await served("partial")) >= 1);
    const items = (await (await agent.fetch("/wal/api/v1/wals")).json()) as { local: boolean; archived: boolean }[];
    expect(items.some(({ local, archived }) => archived && !local)).toBe(true);
    expect(JSON.stringify(await (await agent.fetch("/wal/api/v1/redacted-config")).json())).not.toContain(token);
  }, 240_000);
});
