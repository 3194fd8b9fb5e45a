/** What releases of wal-g print, old and new, with what stands around it: shapes from its documentation, tests and issues. */
import { expect, test } from "bun:test";
import { family, samplesOf } from "../harness/walg-page.ts";
import { WalgUnderTest } from "../harness/walg-plugin.ts";
import { fixture } from "../harness/walg-stand-in.ts";

const walg = new WalgUnderTest();
const seconds = (time: string) => Math.floor(Date.parse(time) / 1000);
const down = { status: 1, stderr: "ERROR: Failed to establish a connection to Postgres cluster\n" };

test("3.0.5 on a file storage: a log line before the list, local times, a first segment that never was archived", async () => {
  await walg.standIn.reply("backup-list", { stdout: await fixture("3.0.5/backup-list.txt") });
  await walg.standIn.reply("wal-show", { stdout: await fixture("3.0.5/wal-show.json") });
  await walg.standIn.reply("wal-verify-integrity-timeline", down);
  await walg.standIn.reply("st-ls-wal_005", { stdout: await fixture("3.0.5/st-ls.txt") });
  const clock = () => Date.parse("2025-01-19T16:30:00Z");
  const page = await (await walg.plugin({ wal_times: { enabled: true } }, clock)).collect();
  const delta = "base_00000001000000030000004D_D_00000001000000030000004A";
  expect(samplesOf(page)).toMatchObject({
    'walg_backups{backup_type="delta"}': 1,
    'walg_backups{backup_type="full"}': 1,
    [`walg_backup_info{backup_name="${delta}",backup_type="delta",delta_origin="base_00000001000000030000004A",finish_lsn="3/4D000160",is_permanent="false",pg_version="170002",start_lsn="3/4D000028",wal_file="00000001000000030000004D"}`]: 1,
    [`walg_backup_timestamp{backup_name="${delta}",backup_type="delta",finish_lsn="3/4D000160",permanent="false",start_lsn="3/4D000028",wal_file="00000001000000030000004D"}`]:
      seconds("2025-01-19T15:57:44Z"),
    walg_backups_incomplete_metadata: 0,
    walg_backups_orphaned_deltas: 0,
    walg_backup_system_identifiers: 1,
    'walg_wal_integrity_status{timeline="1"}': 1,
    'walg_wal_timestamp{timeline="1"}': seconds("2025-01-19T16:14:51Z"),
    // The full backup cannot be recovered from, for its first segment is missing; the delta on it can.
    walg_pitr_gap_segments: 1,
    walg_pitr_earliest_timestamp_seconds: seconds("2025-01-19T15:57:44Z"),
    walg_pitr_usable_window_seconds: 1027.475,
  });
});

test("3.0.8 after a failover: a lost first segment, and newest ones on their way", async () => {
  await walg.standIn.reply("backup-list", { stdout: await fixture("3.0.8/backup-list.json") });
  await walg.standIn.reply("wal-verify-integrity-timeline", { stdout: await fixture("3.0.8/wal-verify.json") });
  const clock = () => Date.parse("2025-12-30T11:00:00Z");
  const page = await (await walg.plugin({ wal: { commands: ["wal-verify"] } }, clock)).collect();
  expect(samplesOf(page)).toMatchObject({
    'walg_backups{backup_type="full"}': 3,
    'walg_backups{backup_type="delta"}': 2,
    walg_backup_delta_chain_max_length: 2,
    walg_backups_orphaned_deltas: 0,
    'walg_wal_verify_status{operation="integrity"}': 0,
    'walg_wal_verify_status{operation="timeline"}': 1,
    'walg_wal_integrity_status{timeline="67"}': 0,
    'walg_wal_integrity_status{timeline="68"}': 1,
    'walg_wal_segments{status="FOUND",timeline_hex="00000043",timeline_id="67"}': 33_378,
    'walg_wal_segments{status="MISSING_DELAYED",timeline_hex="00000044",timeline_id="68"}': 2,
    'walg_wal_missing_segments{timeline="67"}': 1,
    'walg_wal_missing_segments{timeline="68"}': 0,
    // Three segments of 16 MiB: a lower bound.
    'walg_lsn_lag_bytes{timeline="68"}': 50_331_648,
    walg_timeline_current: 68,
    walg_timeline_highest_in_storage: 68,
    walg_pitr_gap_segments: 1,
    walg_pitr_earliest_timestamp_seconds: seconds("2025-12-26T02:00:19Z"),
    walg_pitr_window_seconds: 896_380.104,
  });
});

test("1.1.0 without backups: what wal-verify misses back to the first segment is no loss", async () => {
  await walg.standIn.reply("backup-list", { stderr: "INFO: 2021/08/24 15:06:11.1 No backups found\n" });
  await walg.standIn.reply("wal-verify-integrity-timeline", { stdout: await fixture("1.1.0/wal-verify.txt") });
  const page = await (await walg.plugin({ wal: { commands: ["wal-verify"] } })).collect();
  expect(samplesOf(page)).toMatchObject({
    'walg_backups{backup_type="full"}': 0,
    'walg_wal_verify_status{operation="integrity"}': 2,
    'walg_wal_segments{status="MISSING_LOST",timeline_hex="0000002b",timeline_id="43"}': 5_624_219,
    'walg_wal_missing_segments{timeline="43"}': 0,
    'walg_lsn_lag_bytes{timeline="43"}': 0,
  });
  expect(page).not.toContain("walg_pitr_usable_window_seconds");
});

test("0.2.19: no sizes, no storages, no order, another wal-verify, and no st", async () => {
  await walg.standIn.reply("backup-list", { stdout: await fixture("0.2.19/backup-list.json") });
  await walg.standIn.reply("wal-show", { stdout: await fixture("0.2.19/wal-show.json") });
  await walg.standIn.reply("wal-verify-integrity-timeline", { stdout: await fixture("0.2.19/wal-verify.json") });
  const unknown = { status: 1, stderr: 'Error: unknown command "st" for "wal-g"\nRun \'wal-g --help\' for usage.\n' };
  await walg.standIn.reply("st-check-read", unknown);
  await walg.standIn.reply("st-ls", unknown);
  const page = await (await walg.plugin()).collect();
  expect(samplesOf(page)).toMatchObject({
    'walg_backups{backup_type="full"}': 2,
    'walg_storage_backups{backup_type="full",storage="default"}': 2,
    'walg_backup_finish_timestamp{backup_name="base_00000001000000010000000B"}': seconds("2020-07-26T18:36:31Z"),
    'walg_backup_last_completion_timestamp_seconds{backup_type="full"}': seconds("2020-07-26T18:36:31Z"),
    walg_backups_incomplete_metadata: 2,
    walg_storage_up: 1,
    'walg_command_errors_total{operation="wal-verify",reason="parse"}': 1,
    'walg_wal_integrity_status{timeline="1"}': 0,
    // All six holes lie before the oldest backup.
    'walg_wal_missing_segments{timeline="1"}': 0,
    walg_pitr_gap_segments: 0,
    walg_pitr_earliest_timestamp_seconds: seconds("2020-07-25T18:36:31Z"),
  });
  expect(family(page, "walg_backup_compressed_size_bytes")).toEqual({});
});
