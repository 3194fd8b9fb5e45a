import { type AlertCase, GiB, hoursAgo } from "../alert-case.ts";

const main = 'instance="a",server="main"';
const labels = { instance: "a", server: "main" };
const inactive = `barman_server_active{${main}} 0`;
const active = `barman_server_active{${main}} 1`;

export const barmanCases: readonly AlertCase[] = [
  {
    alert: "BarmanBackupTooOld",
    fires: [`barman_backup_last_end_timestamp_seconds{${main}} ${hoursAgo(30)}`, active],
    labels,
    noticedAfter: 1,
    quiet: [
      [`barman_backup_last_end_timestamp_seconds{${main}} ${hoursAgo(27)}`, active],
      [`barman_backup_last_end_timestamp_seconds{${main}} ${hoursAgo(300)}`, inactive],
    ],
  },
  {
    alert: "BarmanNoBackup",
    fires: [`barman_backups_total{${main}} 1`, active],
    labels,
    quiet: [
      [`barman_backups_total{${main}} 1`, `barman_backup_last_end_timestamp_seconds{${main}} 0`, active],
      [`barman_backups_total{${main}} 0`, inactive],
    ],
  },
  {
    alert: "BarmanBackupFailed",
    fires: [
      `barman_backup_last_end_timestamp_seconds{${main}} ${hoursAgo(24)}`,
      `barman_backup_last_failed_timestamp_seconds{${main}} ${hoursAgo(1)}`,
    ],
    labels,
    quiet: [
      [`barman_backup_last_end_timestamp_seconds{${main}} ${hoursAgo(24)}`],
      [
        `barman_backup_last_end_timestamp_seconds{${main}} ${hoursAgo(1)}`,
        `barman_backup_last_failed_timestamp_seconds{${main}} ${hoursAgo(24)}`,
      ],
    ],
  },
  {
    alert: "BarmanBackupHangs",
    fires: [`barman_backup_running_since_timestamp_seconds{${main}} ${hoursAgo(24)}`],
    labels,
    noticedAfter: 1,
    quiet: [[`barman_backup_running_since_timestamp_seconds{${main}} ${hoursAgo(12)}`], []],
  },
  {
    alert: "BarmanCheckFails",
    fires: [`barman_check_ok{${main}} 0`],
    labels,
    quiet: [[`barman_check_ok{${main}} 1`], [`barman_check_ok{${main}} 0 0 0 0 0 0 1x60`]],
  },
  {
    alert: "BarmanReceiverDisconnected",
    fires: [`barman_replication_slot_active{${main},slot="barman"} 0`],
    labels: { ...labels, slot: "barman" },
    quiet: [[`barman_replication_slot_active{${main},slot="barman"} 1`]],
  },
  {
    alert: "BarmanSlotRetainsWal",
    fires: [`barman_replication_slot_retained_bytes{${main},slot="barman"} ${11 * GiB}`],
    labels: { ...labels, slot: "barman" },
    quiet: [[`barman_replication_slot_retained_bytes{${main},slot="barman"} ${9 * GiB}`]],
  },
  {
    alert: "BarmanWalQueueGrows",
    fires: [`barman_wal_queue_files{${main},queue="streaming"} 33+1x60`],
    labels: { ...labels, queue: "streaming" },
    quiet: [[`barman_wal_queue_files{${main},queue="streaming"} 2`], [`barman_wal_queue_files{${main}} 40 40 40 2x60`]],
  },
  {
    alert: "BarmanWalErrors",
    fires: [`barman_wal_error_files{${main}} 1`],
    labels,
    quiet: [[`barman_wal_error_files{${main}} 0`]],
  },
  {
    alert: "BarmanArchiveCommandFails",
    fires: [`barman_postgres_wal_archive_failures_total{${main}} 7+1x60`],
    labels,
    noticedAfter: 1,
    quiet: [
      [`barman_postgres_wal_archive_failures_total{${main}} 7`],
      // PostgreSQL has tried again a minute later, and then it succeeded.
      [`barman_postgres_wal_archive_failures_total{${main}} 7 10x90`],
    ],
  },
  {
    alert: "BarmanDoesNotAnswer",
    fires: [
      // One of the two is enough: what it told vanishes, and with it what the other alerts see.
      `barman_exporter_command_last_success_timestamp_seconds{${main},command="list-backups"} 0+60x120`,
      `barman_exporter_command_last_success_timestamp_seconds{${main},command="check"} ${hoursAgo(0.5)}`,
    ],
    labels,
    noticedAfter: 1,
    quiet: [
      [`barman_exporter_command_last_success_timestamp_seconds{${main},command="check"} 0+60x120`],
      [`barman_exporter_command_last_success_timestamp_seconds{${main},command="check"} ${hoursAgo(5)}`, inactive],
      [
        `barman_exporter_command_last_success_timestamp_seconds{${main},command="list-backups"} 0+60x120`,
        // It is run once for each backup, and so may be as old as that.
        `barman_exporter_command_last_success_timestamp_seconds{${main},command="show-backup"} ${hoursAgo(100)}`,
      ],
    ],
  },
];
