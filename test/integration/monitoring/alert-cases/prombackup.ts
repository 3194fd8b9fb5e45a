import { type AlertCase, hoursAgo } from "../alert-case.ts";

const labels = { instance: "a" };
const disk = { instance: "a", target: "disk" };
const one = (name: string, values: number | string) => `prombackup_server_${name}{instance="a"} ${values}`;
const toDisk = (name: string, values: number | string) =>
  `prombackup_server_${name}{instance="a",target="disk"} ${values}`;
const uploads = (result: string, values: string) =>
  `prombackup_server_uploads_total{instance="a",target="disk",result="${result}"} ${values}`;
const prunes = (result: string, values: string) =>
  `prombackup_server_prune_runs_total{instance="a",trigger="autoprune",result="${result}"} ${values}`;
const verifications = (result: string, values: string) =>
  `prombackup_server_verifications_total{instance="a",result="${result}"} ${values}`;

export const prombackupCases: readonly AlertCase[] = [
  {
    alert: "PrombackupBackupTooOld",
    fires: [toDisk("upload_last_success_timestamp_seconds", hoursAgo(30))],
    labels: disk,
    noticedAfter: 1,
    quiet: [[toDisk("upload_last_success_timestamp_seconds", hoursAgo(27))]],
  },
  {
    alert: "PrombackupNoBackup",
    fires: [toDisk("upload_last_attempt_timestamp_seconds", 0)],
    labels: disk,
    quiet: [
      [toDisk("upload_last_attempt_timestamp_seconds", 0), toDisk("upload_last_success_timestamp_seconds", 0)],
      [toDisk("upload_last_attempt_timestamp_seconds", "0 0 0 0 stale")],
    ],
  },
  {
    alert: "PrombackupNoBackup",
    // Another instance of the same agent has a target of the same name.
    fires: [
      'prombackup_server_upload_last_attempt_timestamp_seconds{instance="a",cluster="one",target="disk"} 0',
      'prombackup_server_upload_last_attempt_timestamp_seconds{instance="a",cluster="two",target="disk"} 0',
      'prombackup_server_upload_last_success_timestamp_seconds{instance="a",cluster="two",target="disk"} 0',
    ],
    labels: { ...disk, cluster: "one" },
    quiet: [],
  },
  {
    alert: "PrombackupSnapshotTooOld",
    fires: [one("snapshot_last_success_timestamp_seconds", hoursAgo(30))],
    labels,
    noticedAfter: 1,
    quiet: [[one("snapshot_last_success_timestamp_seconds", hoursAgo(27))]],
  },
  {
    alert: "PrombackupUnverified",
    fires: [one("verification_last_success_timestamp_seconds", hoursAgo(48))],
    labels,
    noticedAfter: 1,
    quiet: [[one("verification_last_success_timestamp_seconds", hoursAgo(25))]],
  },
  {
    alert: "PrombackupUnverified",
    fires: [one("snapshot_last_success_timestamp_seconds", 0)],
    labels,
    quiet: [
      [
        one("snapshot_last_success_timestamp_seconds", 0),
        one("verification_last_success_timestamp_seconds", "_ _ _ 0x900"),
      ],
    ],
  },
  {
    alert: "PrombackupVerificationFailed",
    // The first failure makes the series.
    fires: [verifications("error", "_ _ 1x60"), verifications("success", "1")],
    labels: { instance: "a", result: "error" },
    noticedAfter: 2,
    quiet: [[verifications("success", "1+1x900")], [verifications("error", "stale")]],
  },
  {
    alert: "PrombackupVerificationFailed",
    fires: [verifications("error", "1x400 2x30")],
    labels: { instance: "a", result: "error" },
    noticedAfter: 405,
    quiet: [],
  },
  {
    alert: "PrombackupUploadFails",
    // At 0, 15 and 30 minutes.
    fires: [uploads("error", "1x14 2x14 3x300"), uploads("success", "4")],
    labels: disk,
    noticedAfter: 30,
    quiet: [[uploads("success", "1 1 1 2x300")], [uploads("error", "1+0.06x300"), uploads("success", "0 0 0 0 1x300")]],
  },
  {
    alert: "PrombackupPruningFails",
    fires: [prunes("error", "1+0.06x600")],
    labels: { instance: "a", trigger: "autoprune", result: "error" },
    noticedAfter: 1,
    quiet: [[prunes("success", "1+0.06x600")], [prunes("error", "1 1 2x600"), prunes("success", "1+0.06x600")]],
  },
  {
    alert: "PrombackupIncompleteSnapshots",
    fires: [one("snapshots_incomplete", 1)],
    labels,
    quiet: [[one("snapshots_incomplete", 0)], [one("snapshots_incomplete", "1x60 0x700")]],
  },
  {
    alert: "PrombackupPrometheusDown",
    fires: [one("prometheus_up", 0)],
    labels,
    quiet: [[one("prometheus_up", 1)], [one("prometheus_up", "0 0 0 0 0 1x60")]],
  },
  {
    alert: "PrombackupAdminApiOff",
    fires: [one("prometheus_admin_api_enabled", 0)],
    labels,
    quiet: [[one("prometheus_admin_api_enabled", 1)]],
  },
];
