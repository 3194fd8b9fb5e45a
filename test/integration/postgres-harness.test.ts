/** The servers of the tests themselves: each major version here starts, crashes, is copied and promoted. */
import { expect, test } from "bun:test";
import { describePostgres, testedPostgresVersions } from "../harness/describe-with.ts";
import { startPostgres } from "../harness/postgres.ts";
import { waitFor } from "../harness/wait.ts";

describePostgres(testedPostgresVersions, [], (version) => {
  test("keeps what was committed through a crash, and a standby takes over", async () => {
    await using server = await startPostgres({}, { version, segmentMiB: 1 });
    expect(await server.psql("SHOW server_version")).toStartWith(`${version}.`);
    await server.psql("CREATE TABLE kept AS SELECT 1 AS id");
    await server.crash();
    await server.start({ work_mem: "5MB" });
    expect(await server.psql("SELECT id, NULL, true FROM kept; SHOW work_mem")).toBe("1||t\n5MB\n");

    await using standby = await server.standby();
    await server.psql("INSERT INTO kept VALUES (2)");
    await waitFor("the standby to follow", async () => (await standby.psql("SELECT count(*) FROM kept")) === "2\n");
    await server.crash();
    await standby.promote();
    await standby.psql("INSERT INTO kept VALUES (3)");
    expect(await standby.walFiles()).toContain("00000002.history");
  }, 120_000);
});
