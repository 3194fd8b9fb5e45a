import { type AlertCase, GiB, hoursAgo } from "../alert-case.ts";

const labels = { instance: "a" };
const one = (name: string, values: number | string) => `${name}{instance="a"} ${values}`;
const runs = (result: string, values: string) =>
  `pgrwl_retention_runs_total{instance="a",result="${result}"} ${values}`;
const size = one("pgrwl_directory_size_bytes", 100 * GiB);

export const pgrwlCases: readonly AlertCase[] = [
  {
    alert: "PgrwlDisconnected",
    fires: [one("pgrwl_connected", 0)],
    labels,
    quiet: [[one("pgrwl_connected", 1)], [one("pgrwl_connected", "0 0 0 1x60")]],
  },
  {
    alert: "PgrwlGap",
    fires: ['pgrwl_gap{instance="a",reason="wal_removed"} 1', 'pgrwl_gap{instance="a",reason="slot_lost"} 0'],
    labels: { instance: "a", reason: "wal_removed" },
    quiet: [['pgrwl_gap{instance="a",reason="wal_removed"} 0']],
  },
  {
    alert: "PgrwlGapFound",
    fires: ['pgrwl_gaps_total{instance="a",reason="wal_removed"} 0 1x60'],
    labels: { instance: "a", reason: "wal_removed" },
    noticedAfter: 1,
    quiet: [['pgrwl_gaps_total{instance="a",reason="wal_removed"} 1']],
  },
  {
    // The agent was away for long, and finds the gap before it is scraped.
    alert: "PgrwlGapFound",
    fires: [
      'pgrwl_gaps_total{instance="a",reason="wal_removed"} _ _ 1x60',
      'process_start_time_seconds{instance="a"} 110',
    ],
    labels: { instance: "a", reason: "wal_removed" },
    noticedAfter: 2,
    // A Prometheus that is new here.
    quiet: [
      [
        'pgrwl_gaps_total{instance="a",reason="wal_removed"} 1',
        `process_start_time_seconds{instance="a"} ${hoursAgo(2)}`,
      ],
    ],
  },
  {
    alert: "PgrwlLags",
    fires: [one("pgrwl_lag_seconds", 61)],
    labels,
    quiet: [[one("pgrwl_lag_seconds", 0)], [one("pgrwl_lag_seconds", "90 90 90 0x60")]],
  },
  {
    alert: "PgrwlSlotRetainsWal",
    fires: [one("pgrwl_slot_retained_bytes", 11 * GiB)],
    labels,
    quiet: [[one("pgrwl_slot_retained_bytes", 9 * GiB)]],
  },
  {
    alert: "PgrwlFlushHangs",
    fires: [one("pgrwl_flush_start_timestamp_seconds", 0)],
    labels,
    noticedAfter: 1,
    quiet: [[], [one("pgrwl_flush_start_timestamp_seconds", "0+60x60")]],
  },
  {
    alert: "PgrwlDiskFilling",
    // 40 GiB and 2 GiB less each hour.
    fires: [one("pgrwl_directory_free_bytes", `${40 * GiB}-${(2 * GiB) / 60}x200`), size],
    labels,
    noticedAfter: 1,
    quiet: [
      [one("pgrwl_directory_free_bytes", `${40 * GiB}-${GiB / 60}x200`), size],
      // Much space is left; a bulk load that will end.
      [one("pgrwl_directory_free_bytes", `${90 * GiB}-${(6 * GiB) / 60}x200`), size],
    ],
  },
  {
    alert: "PgrwlDiskFull",
    fires: [one("pgrwl_disk_full_in_seconds", 3 * 3600), one("pgrwl_directory_free_bytes", 20 * GiB), size],
    labels,
    quiet: [
      [one("pgrwl_disk_full_in_seconds", 5 * 3600), one("pgrwl_directory_free_bytes", 20 * GiB), size],
      [one("pgrwl_directory_free_bytes", 4 * GiB), size],
    ],
  },
  {
    alert: "PgrwlDiskFull",
    fires: [one("pgrwl_directory_free_bytes", 2 * GiB), size],
    labels,
    quiet: [[one("pgrwl_directory_free_bytes", 50 * GiB), size]],
  },
  {
    alert: "PgrwlUploadBacklog",
    fires: [one("pgrwl_upload_backlog_oldest_timestamp_seconds", hoursAgo(0.5))],
    labels,
    noticedAfter: 1,
    quiet: [[], [one("pgrwl_upload_backlog_oldest_timestamp_seconds", "0+60x60")]],
  },
  {
    alert: "PgrwlArchiveProblem",
    fires: ['pgrwl_archive_problem{instance="a",reason="access_denied"} 1'],
    labels: { instance: "a", reason: "access_denied" },
    quiet: [['pgrwl_archive_problem{instance="a",reason="access_denied"} 0']],
  },
  {
    alert: "PgrwlRetentionFails",
    fires: [runs("failed", "0+0.02x600"), runs("doubt", "0"), runs("done", "4")],
    labels,
    noticedAfter: 1,
    quiet: [
      [runs("failed", "0"), runs("doubt", "0"), runs("done", "0+0.02x600")],
      [runs("failed", "0 0 1x600"), runs("doubt", "0"), runs("done", "0+0.02x600")],
    ],
  },
  {
    alert: "PgrwlArchiveNotWhole",
    fires: [one("pgrwl_archive_whole", 0)],
    labels,
    quiet: [[one("pgrwl_archive_whole", 1)], []],
  },
  {
    alert: "PgrwlVerificationTooOld",
    fires: [one("pgrwl_last_verification_timestamp_seconds", hoursAgo(72))],
    labels,
    noticedAfter: 1,
    quiet: [[one("pgrwl_last_verification_timestamp_seconds", hoursAgo(30))]],
  },
];
