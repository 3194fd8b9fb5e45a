/** The plugin with a real wal-g, a real PostgreSQL and a storage in a folder. Skipped where wal-g is not in PATH. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { testPlugin } from "../../agent/sdk/index.ts";
import walg from "../../plugins/walg/index.ts";
import { describeWith } from "../harness/describe-with.ts";
import { isRoot } from "../harness/users.ts";
import { startWalg, type WalgHost } from "../harness/walg.ts";
import { family, samplesOf } from "../harness/walg-page.ts";

describeWith(["wal-g", "postgresql"], "with a real wal-g", () => {
  let host: WalgHost;
  beforeAll(async () => {
    host = await startWalg();
  }, 120_000);
  afterAll(() => host?.[Symbol.asyncDispose]());

  const collect = async () => {
    const { executable: path, environment } = host;
    const user = isRoot ? "postgres" : undefined;
    const plugin = await testPlugin(walg, { config: { path, environment, user } });
    const page = await plugin.collect();
    await plugin.stop();
    return page;
  };

  test("an empty storage has no backups", async () => {
    expect(family(await collect(), "walg_backups")).toEqual({ '{backup_type="delta"}': 0, '{backup_type="full"}': 0 });
  }, 120_000);

  test("a full backup and a delta are found, with their WAL whole and a window to recover in", async () => {
    await host.backup();
    await host.postgres.psql("CREATE TABLE filler AS SELECT generate_series(1, 10000)");
    await host.backup();
    await host.archiveWal();
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
  }, 240_000);
});
