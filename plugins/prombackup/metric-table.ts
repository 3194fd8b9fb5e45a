/** All metrics of the plugin, as data: registered from here, and docs/plugins/prombackup.md is held against it. */

const seconds = [0.1, 0.5, 1, 5, 15, 60, 300, 900, 3600, 14_400] as const;

const gauge = <const Name extends string>(name: Name, labels: readonly string[], help: string) =>
  ({ name, type: "gauge", labels, help }) as const;
const counter = <const Name extends string>(name: Name, labels: readonly string[], help: string) =>
  ({ name, type: "counter", labels, help }) as const;
const histogram = <const Name extends string>(name: Name, labels: readonly string[], help: string) =>
  ({ name, type: "histogram", labels, help, buckets: seconds }) as const;

export const metricTable = [
  // Snapshots
  counter(
    "prombackup_server_snapshots_total",
    ["trigger", "result"],
    "Snapshots asked of Prometheus, by who asked (api, schedule) and how it went (success, error).",
  ),
  histogram("prombackup_server_snapshot_duration_seconds", [], "How long Prometheus took for a snapshot, in seconds."),
  gauge(
    "prombackup_server_snapshot_last_success_timestamp_seconds",
    [],
    "Unix time at which a snapshot was last taken.",
  ),
  gauge(
    "prombackup_server_snapshot_last_attempt_timestamp_seconds",
    [],
    "Unix time at which a snapshot was last asked for.",
  ),
  gauge("prombackup_server_snapshot_last_size_bytes", [], "Size of the newest snapshot, in bytes."),
  gauge("prombackup_server_snapshot_last_blocks", [], "Blocks in the newest snapshot."),
  gauge("prombackup_server_snapshots_stored", [], "Snapshots in the snapshot folder."),
  gauge(
    "prombackup_server_snapshots_stored_exclusive_bytes",
    [],
    "Bytes in the snapshot folder that only one snapshot and no block of Prometheus holds, in bytes.",
  ),
  gauge("prombackup_server_snapshot_oldest_timestamp_seconds", [], "Unix time of the oldest snapshot in the folder."),
  gauge(
    "prombackup_server_snapshots_incomplete",
    [],
    "Snapshots that lack files of a block: being written, or left behind by a failure.",
  ),
  // Downloads
  counter(
    "prombackup_server_downloads_total",
    ["format", "result"],
    "Downloads that ended, by how: success, error, aborted by the client.",
  ),
  gauge("prombackup_server_downloads_in_progress", [], "Downloads that run."),
  gauge("prombackup_server_downloads_tracked", [], "Downloads that run or ended less than 15 minutes ago."),
  gauge(
    "prombackup_server_download_tracked_count",
    [],
    "Deprecated name of prombackup_server_downloads_tracked, for what reads the original's.",
  ),
  counter("prombackup_server_download_bytes_total", ["format"], "Bytes of archives that were handed on to clients."),
  histogram("prombackup_server_download_duration_seconds", [], "How long downloads took that succeeded, in seconds."),
  // Pruning
  counter(
    "prombackup_server_prune_runs_total",
    ["trigger", "result"],
    "Runs of pruning, by who asked (api, autoprune, backup) and how it went (success, error).",
  ),
  counter("prombackup_server_pruned_snapshots_total", [], "Snapshots that were removed."),
  counter(
    "prombackup_server_prune_skipped_total",
    ["reason"],
    "Snapshots that the rules would remove and that stayed: in_use, being_written, last_verified, newest.",
  ),
  // Backups
  counter(
    "prombackup_server_uploads_total",
    ["target", "result"],
    "Backups brought to a target, by how it went (success, error).",
  ),
  counter("prombackup_server_upload_bytes_total", ["target"], "Bytes written to a target: files that it did not have."),
  gauge(
    "prombackup_server_upload_last_success_timestamp_seconds",
    ["target"],
    "Unix time at which a backup in the target was last completed.",
  ),
  gauge(
    "prombackup_server_upload_last_attempt_timestamp_seconds",
    ["target"],
    "Unix time at which a backup in the target was last begun.",
  ),
  gauge("prombackup_server_target_backups", ["target"], "Backups in the target, when it was last looked at."),
  gauge(
    "prombackup_server_target_bytes",
    ["target"],
    "Bytes of the files that the target's backups consist of, each counted once.",
  ),
  // Verification
  counter(
    "prombackup_server_verifications_total",
    ["result"],
    "Snapshots verified: success where nothing was wrong, else error.",
  ),
  gauge(
    "prombackup_server_verification_last_success_timestamp_seconds",
    [],
    "Unix time at which a snapshot was last found right.",
  ),
  // Prometheus
  gauge("prombackup_server_prometheus_up", [], "Whether Prometheus answered (1) at the last collection."),
  gauge(
    "prombackup_server_prometheus_admin_api_enabled",
    [],
    "Whether Prometheus takes snapshots (1): --web.enable-admin-api.",
  ),
  gauge("prombackup_server_build_info", ["version"], "The version of the plugin; always 1."),
] as const;

export type MetricDefinition = (typeof metricTable)[number];
export type MetricName = MetricDefinition["name"];
