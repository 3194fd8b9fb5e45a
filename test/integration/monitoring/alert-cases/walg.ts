import { type AlertCase, hoursAgo } from "../alert-case.ts";

const labels = { instance: "a" };
const timeline = 'instance="a",timeline="1"';
const onTimeline = { instance: "a", timeline: "1" };

export const walgCases: readonly AlertCase[] = [
  {
    alert: "WalgBackupTooOld",
    fires: [
      `walg_backup_last_completion_timestamp_seconds{instance="a",backup_type="full"} ${hoursAgo(80)}`,
      `walg_backup_last_completion_timestamp_seconds{instance="a",backup_type="delta"} ${hoursAgo(30)}`,
    ],
    labels,
    noticedAfter: 1,
    quiet: [
      [
        `walg_backup_last_completion_timestamp_seconds{instance="a",backup_type="full"} ${hoursAgo(80)}`,
        `walg_backup_last_completion_timestamp_seconds{instance="a",backup_type="delta"} ${hoursAgo(27)}`,
      ],
    ],
  },
  {
    alert: "WalgNoFullBackup",
    fires: ['walg_backups{instance="a",backup_type="full"} 0', 'walg_backups{instance="a",backup_type="delta"} 3'],
    labels: { instance: "a", backup_type: "full" },
    quiet: [['walg_backups{instance="a",backup_type="full"} 1', 'walg_backups{instance="a",backup_type="delta"} 0']],
  },
  {
    alert: "WalgFullBackupTooOld",
    fires: [`walg_backup_last_completion_timestamp_seconds{instance="a",backup_type="full"} ${hoursAgo(15 * 24)}`],
    labels: { instance: "a", backup_type: "full" },
    noticedAfter: 1,
    quiet: [
      [`walg_backup_last_completion_timestamp_seconds{instance="a",backup_type="full"} ${hoursAgo(14 * 24)}`],
      [`walg_backup_last_completion_timestamp_seconds{instance="a",backup_type="delta"} ${hoursAgo(16 * 24)}`],
    ],
  },
  {
    alert: "WalgOrphanedDeltas",
    fires: ['walg_backups_orphaned_deltas{instance="a"} 2'],
    labels,
    quiet: [['walg_backups_orphaned_deltas{instance="a"} 0']],
  },
  {
    alert: "WalgArchiveGap",
    fires: ['walg_pitr_gap_segments{instance="a"} 0', `walg_wal_missing_segments{${timeline}} 1`],
    labels: onTimeline,
    quiet: [
      ['walg_pitr_gap_segments{instance="a"} 0', `walg_wal_missing_segments{${timeline}} 0`],
      [`walg_wal_missing_segments{${timeline}} 1 1 1 0x90`],
    ],
  },
  {
    alert: "WalgArchiveGap",
    fires: ['walg_pitr_gap_segments{instance="a"} 3'],
    labels,
    quiet: [['walg_pitr_gap_segments{instance="a"} 0']],
  },
  {
    alert: "WalgWalLags",
    fires: [`walg_lsn_lag_bytes{${timeline}} ${300 * 1024 ** 2}`],
    labels: onTimeline,
    quiet: [[`walg_lsn_lag_bytes{${timeline}} ${16 * 1024 ** 2}`]],
  },
  {
    alert: "WalgWalWaits",
    fires: ['walg_wal_ready_segments{instance="a"} 1'],
    labels,
    quiet: [['walg_wal_ready_segments{instance="a"} 0'], ['walg_wal_ready_segments{instance="a"} 5 5 5 0x90']],
  },
  {
    alert: "WalgArchiveCommandFails",
    fires: ['walg_archiver_failed_total{instance="a"} 3+1x60'],
    labels,
    noticedAfter: 1,
    quiet: [
      ['walg_archiver_failed_total{instance="a"} 3'],
      // PostgreSQL has tried again a minute later, and then it succeeded.
      ['walg_archiver_failed_total{instance="a"} 3 6x90'],
    ],
  },
  {
    alert: "WalgStorageDown",
    fires: ['walg_storage_up{instance="a"} 0'],
    labels,
    quiet: [['walg_storage_up{instance="a"} 1'], ['walg_storage_up{instance="a"} 0 0 0 1x60']],
  },
  {
    alert: "WalgForeignTimeline",
    fires: ['walg_timeline_highest_in_storage{instance="a"} 3', 'walg_timeline_current{instance="a"} 2'],
    labels,
    quiet: [
      ['walg_timeline_highest_in_storage{instance="a"} 2', 'walg_timeline_current{instance="a"} 2'],
      ['walg_timeline_highest_in_storage{instance="a"} 2', 'walg_timeline_current{instance="a"} 3'],
    ],
  },
  {
    alert: "WalgSharedStorage",
    fires: ['walg_backup_system_identifiers{instance="a"} 2'],
    labels,
    quiet: [['walg_backup_system_identifiers{instance="a"} 1']],
  },
  {
    alert: "WalgCommandFails",
    fires: ['walg_scrape_success{instance="a",operation="wal-verify"} 0'],
    labels: { instance: "a", operation: "wal-verify" },
    quiet: [
      ['walg_scrape_success{instance="a",operation="wal-verify"} 1'],
      ['walg_scrape_success{instance="a",operation="wal-verify"} 0 0 0 0 0 1x90'],
    ],
  },
];
