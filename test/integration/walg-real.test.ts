/** The plugin with a real wal-g, a real PostgreSQL and a storage in a folder. Skipped where wal-g is not in PATH. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { testPlugin } from "../../agent/sdk/index.ts";
import walg from "../../plugins/walg/index.ts";
import { describeWith } from "../harness/describe-with.ts";
import { type PostgresServer, startPostgres } from "../harness/postgres.ts";
import { runTool } from "../harness/processes.ts";
import { serverUser } from "../harness/users.ts";
import { waitFor } from "../harness/wait.ts";
import { family, samplesOf } from "../harness/walg-page.ts";

const executable = Bun.which("wal-g");

describeWith(["wal-g", "postgresql"], "with a real wal-g", () => {
  let server: PostgresServer;
  let environment: Record<string, string>;
  beforeAll(async () => {
    // archive_command runs in the data folder.
    const archive = `WALG_FILE_PREFIX=$PWD/../archive ${executable} wal-push $PWD/%p`;
    server = await startPostgres({ archive_mode: "on", archive_command: archive, archive_timeout: "1s" });
    environment = {
      WALG_FILE_PREFIX: server.archiveFolder,
      WALG_DELTA_MAX_STEPS: "6",
      PGHOST: server.socketFolder,
      PGPORT: String(server.port),
      PGUSER: "postgres",
    };
  }, 60_000);
  afterAll(() => server?.[Symbol.asyncDispose]());

  const push = () =>
    runTool([executable ?? "", "backup-push", server.dataFolder], {
      user: serverUser("postgres"),
      env: environment,
      cwd: server.socketFolder,
    });
  const collect = async () => {
    const user = process.getuid?.() === 0 ? "postgres" : undefined;
    const plugin = await testPlugin(walg, { config: { path: executable, environment, user } });
    const page = await plugin.collect();
    await plugin.stop();
    return page;
  };

  test("an empty storage has no backups", async () => {
    expect(family(await collect(), "walg_backups")).toEqual({ '{backup_type="delta"}': 0, '{backup_type="full"}': 0 });
  }, 60_000);

  test("a full backup and a delta are found, with their WAL whole and a window to recover in", async () => {
    await push();
    await server.psql("CREATE TABLE filler AS SELECT generate_series(1, 10000)");
    await push();
    await server.psql("SELECT pg_switch_wal()");
    await waitFor(
      "a segment is archived",
      async () => Number(await server.psql("SELECT archived_count FROM pg_stat_archiver")) > 2,
      30_000,
    );
    const page = await collect();
    const found = samplesOf(page);
    expect(family(page, "walg_backups")).toEqual({ '{backup_type="delta"}': 1, '{backup_type="full"}': 1 });
    expect(found).toMatchObject({
      walg_backups_orphaned_deltas: 0,
      walg_backups_incomplete_metadata: 0,
      walg_backup_system_identifiers: 1,
      walg_storage_up: 1,
      walg_timeline_current: 1,
      walg_pitr_gap_segments: 0,
      'walg_wal_integrity_status{timeline="1"}': 1,
    });
    expect(found['walg_lsn_lag_bytes{timeline="1"}']).toBeGreaterThanOrEqual(0);
    expect(found.walg_pitr_usable_window_seconds).toBeGreaterThanOrEqual(0);
    expect(Object.keys(family(page, "walg_version_info"))).toHaveLength(1);
    for (const operation of ["backup-list", "wal-show", "wal-verify", "storage-check"]) {
      expect(found[`walg_scrape_success{operation="${operation}"}`]).toBe(1);
    }
  }, 120_000);
});
