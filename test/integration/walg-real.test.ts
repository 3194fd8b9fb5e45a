/** The plugin with a real wal-g, a real PostgreSQL and a storage in a folder. Skipped where wal-g is not in PATH. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { testPlugin } from "../../agent/sdk/index.ts";
import walg from "../../plugins/walg/index.ts";
import { family, samplesOf } from "../harness/walg-page.ts";
import { asServerUser, postgresFolder, startServer, type TestServer } from "../harness/walg-postgres.ts";
import { until } from "../harness/walg-stand-in.ts";

const executable = Bun.which("wal-g");
const canRun = executable !== null && postgresFolder !== undefined;

describe.skipIf(!canRun)("with a real wal-g (skipped where wal-g or PostgreSQL is not installed)", () => {
  let server: TestServer;
  let environment: Record<string, string>;
  beforeAll(async () => {
    // archive_command runs in the data folder.
    const archive = `WALG_FILE_PREFIX=$PWD/../archive ${executable} wal-push $PWD/%p`;
    server = await startServer({ settings: { archive_command: archive, archive_timeout: "1s" } });
    environment = {
      WALG_FILE_PREFIX: server.archive,
      WALG_DELTA_MAX_STEPS: "6",
      PGHOST: server.folder,
      PGPORT: String(server.port),
      PGUSER: "postgres",
    };
  }, 60_000);
  afterAll(() => server?.[Symbol.asyncDispose]());

  const push = async () => {
    const child = Bun.spawn(asServerUser([executable ?? "", "backup-push", server.dataFolder]), {
      env: { ...process.env, ...environment },
      stdout: "pipe",
      stderr: "pipe",
    });
    const said = await new Response(child.stderr).text();
    if ((await child.exited) !== 0) throw new Error(`backup-push failed: ${said}`);
  };
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
    await server.sql("CREATE TABLE filler AS SELECT generate_series(1, 10000)");
    await push();
    await server.sql("SELECT pg_switch_wal()");
    await until(
      "a segment is archived",
      async () => Number((await server.sql("SELECT archived_count FROM pg_stat_archiver"))[0]) > 2,
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
