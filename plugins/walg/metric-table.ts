/** All metrics of the plugin, as data: registered from here, and docs/plugins/walg.md is held against it. */

/**
 * Which exporter a page is compatible with. `readme`: the one that WAL-G's README described and no release contained.
 * `release`: the one in WAL-G 3.0.8 and later. `both`: all names of both, and what holdfast adds.
 */
export const profiles = ["both", "readme", "release"] as const;
export type Profile = (typeof profiles)[number];

export interface MetricDefinition {
  readonly name: string;
  readonly type: "gauge" | "counter" | "histogram";
  readonly labels: readonly string[];
  readonly help: string;
  /** The profiles that have it. */
  readonly profiles: readonly Profile[];
}

const shared = ["both", "readme", "release"] as const;
const readme = ["both", "readme"] as const;
const release = ["both", "release"] as const;
const own = ["both"] as const;

const gauge = <const Name extends string>(
  name: Name,
  labels: readonly string[],
  profiles: readonly Profile[],
  help: string,
) => ({ name, type: "gauge", labels, profiles, help }) as const;
const counter = <const Name extends string>(
  name: Name,
  labels: readonly string[],
  profiles: readonly Profile[],
  help: string,
) => ({ name, type: "counter", labels, profiles, help }) as const;

export const metricTable = [
  // Backups
  gauge(
    "walg_backup_timestamp",
    ["backup_name", "backup_type", "wal_file", "start_lsn", "finish_lsn", "permanent"],
    readme,
    "Unix time at which the backup became part of the storage.",
  ),
  gauge("walg_backup_count", ["backup_type"], readme, "Number of backups by type."),
  gauge("walg_backups", ["backup_type"], release, "Number of backups by type."),
  gauge(
    "walg_backup_info",
    ["backup_name", "backup_type", "wal_file", "pg_version", "start_lsn", "finish_lsn", "is_permanent", "delta_origin"],
    release,
    "Facts about a backup; always 1. delta_origin is the backup that a delta builds on, empty for a full one and when it is gone.",
  ),
  gauge("walg_backup_start_timestamp", ["backup_name"], release, "Unix time at which the backup began."),
  gauge("walg_backup_finish_timestamp", ["backup_name"], release, "Unix time at which the backup ended."),
  gauge("walg_backup_compressed_size_bytes", ["backup_name"], release, "Size of the backup in the storage, in bytes."),
  gauge(
    "walg_backup_uncompressed_size_bytes",
    ["backup_name"],
    release,
    "Size of the backup before compression, in bytes.",
  ),
  gauge(
    "walg_backup_last_completion_timestamp_seconds",
    ["backup_type"],
    own,
    "Unix time at which the newest backup of the type ended.",
  ),
  gauge(
    "walg_backup_since_last_completion_seconds",
    ["backup_type"],
    own,
    "Seconds since the newest backup of the type ended, never below 0.",
  ),
  gauge(
    "walg_backup_last_duration_seconds",
    ["backup_type"],
    own,
    "How long the newest backup of the type took, in seconds.",
  ),
  gauge(
    "walg_backup_last_compressed_size_bytes",
    ["backup_type"],
    own,
    "Size in the storage of the newest backup of the type, in bytes.",
  ),
  gauge(
    "walg_backup_oldest_completion_timestamp_seconds",
    [],
    own,
    "Unix time at which the oldest backup ended, permanent ones included.",
  ),
  gauge("walg_backups_permanent", [], own, "Number of backups that retention leaves alone."),
  gauge(
    "walg_backups_stored_compressed_bytes",
    ["backup_type", "storage"],
    own,
    "Bytes that the backups take in each storage, as far as their sizes are known.",
  ),
  gauge(
    "walg_storage_backups",
    ["storage", "backup_type"],
    own,
    "Number of backups in each storage: one that two storages hold counts in both.",
  ),
  gauge(
    "walg_backup_delta_chain_max_length",
    [],
    own,
    "Deltas in the longest unbroken chain; 0 when there are only full backups.",
  ),
  gauge(
    "walg_backups_orphaned_deltas",
    [],
    own,
    "Deltas that cannot be restored because a backup that they build on is gone.",
  ),
  gauge(
    "walg_backups_incomplete_metadata",
    [],
    own,
    "Backups without a believable start, end, size or position, and records in the list that are no backups.",
  ),
  gauge("walg_backup_series_dropped", [], own, "Backups without series of their own, because of max_backup_series."),
  gauge(
    "walg_backup_system_identifiers",
    [],
    own,
    "Number of database clusters that the backups come from; above 1, two share one storage prefix.",
  ),
  counter(
    "walg_backups_created_total",
    ["backup_type"],
    own,
    "Backups that appeared in the list since the instance started.",
  ),
  counter("walg_backups_removed_total", ["backup_type"], own, "Backups that left the list since the instance started."),
  // WAL
  gauge(
    "walg_wal_timestamp",
    ["timeline"],
    readme,
    "Unix time at which the newest WAL segment of the timeline was archived.",
  ),
  gauge(
    "walg_lsn_lag_bytes",
    ["timeline"],
    readme,
    "Bytes of WAL that the server has written on its current timeline and the archive does not hold; without a connection to it, whole segments that wal-verify missed: a lower bound.",
  ),
  gauge(
    "walg_wal_integrity_status",
    ["timeline"],
    readme,
    "1 when wal-show finds no segment missing in the timeline, else 0.",
  ),
  {
    name: "walg_wal_integrity_status",
    type: "gauge",
    labels: ["timeline_id", "timeline_hex"],
    profiles: ["release"],
    help: "0 when wal-verify finds a segment of the timeline lost, else 1.",
  },
  gauge(
    "walg_wal_verify_status",
    ["operation"],
    release,
    "Verdict of wal-verify for each check: 1 OK, 0 FAILURE, 2 WARNING, -1 anything else.",
  ),
  gauge(
    "walg_wal_segments",
    ["timeline_id", "timeline_hex", "status"],
    release,
    "WAL segments that wal-verify looked for, by what it found.",
  ),
  gauge(
    "walg_wal_missing_segments",
    ["timeline"],
    own,
    "Segments missing in the archive since the oldest backup that is not permanent, those still being uploaded left out.",
  ),
  gauge(
    "walg_wal_lag_segments",
    ["timeline"],
    own,
    "Whole segments that the server has written and the archive does not hold.",
  ),
  gauge(
    "walg_wal_age_seconds",
    ["timeline"],
    own,
    "Seconds since the newest segment of the timeline was archived, never below 0.",
  ),
  gauge(
    "walg_wal_last_archived_lsn_bytes",
    ["timeline"],
    own,
    "Position behind the newest archived segment of the timeline, in bytes.",
  ),
  gauge(
    "walg_wal_since_last_backup_bytes",
    [],
    own,
    "Bytes of WAL since the newest backup ended: what a recovery from it has to replay.",
  ),
  gauge(
    "walg_wal_ready_segments",
    [],
    own,
    "Segments that wait for the archiver; needs a connection with the rights of pg_monitor.",
  ),
  counter("walg_archiver_failed_total", [], own, "Failed runs of archive_command, as PostgreSQL counts them."),
  gauge(
    "walg_archiver_last_failure_timestamp_seconds",
    [],
    own,
    "Unix time of the last failed run of archive_command.",
  ),
  gauge("walg_timeline_current", [], own, "The server's current timeline."),
  gauge(
    "walg_timeline_highest_in_storage",
    [],
    own,
    "The highest timeline in the storage; above the current one, another server archives there too.",
  ),
  gauge(
    "walg_timeline_info",
    ["timeline", "parent_timeline", "switch_lsn"],
    own,
    "Where a timeline in the storage comes from; always 1.",
  ),
  // Recovery
  gauge(
    "walg_pitr_window_seconds",
    [],
    shared,
    "Seconds from the oldest backup to now, whether WAL is missing or not; permanent backups count in the readme profile only.",
  ),
  gauge(
    "walg_pitr_usable_window_seconds",
    [],
    own,
    "Seconds of the window in which every moment can be recovered: from the earliest restorable backup to the newest archived WAL, without a gap.",
  ),
  gauge("walg_pitr_earliest_timestamp_seconds", [], own, "Unix time of the earliest moment in the usable window."),
  gauge("walg_pitr_latest_timestamp_seconds", [], own, "Unix time at which the newest usable WAL was archived."),
  gauge(
    "walg_pitr_gap_segments",
    [],
    own,
    "WAL segments missing between the oldest restorable backup and the newest archived segment.",
  ),
  // Storage
  gauge("walg_storage_alive", [], readme, "1 when the storage answered the last probe, else 0."),
  gauge("walg_storage_up", [], release, "1 when the storage answered the last probe, else 0."),
  gauge("walg_storage_latency_seconds", [], shared, "How long the last probe of the storage took, failed or not."),
  gauge(
    "walg_storage_write_up",
    [],
    own,
    "1 when the last write probe succeeded, else 0; needs storage.write_interval.",
  ),
  gauge(
    "walg_storage_used_bytes",
    ["kind"],
    own,
    "Bytes in the storage: backups, wal, other; needs storage.usage_interval.",
  ),
  // The plugin itself
  counter(
    "walg_errors_total",
    ["operation", "error_type"],
    shared,
    "Failed commands, as the original exporters count them.",
  ),
  counter("walg_scrape_errors_total", [], shared, "Failed runs of backup-list, wal-show and wal-verify."),
  gauge("walg_scrape_duration_seconds", [], readme, "What the last runs of all commands took together, in seconds."),
  gauge("walg_backup_list_duration_seconds", [], release, "How long the last backup-list took, failed or not."),
  gauge("walg_wal_verify_duration_seconds", [], release, "How long the last wal-verify took, failed or not."),
  gauge("walg_scrape_success", ["operation"], release, "1 when the last run of the operation succeeded, else 0."),
  gauge(
    "walg_scrape_last_success_timestamp_seconds",
    ["operation"],
    release,
    "Unix time of the operation's last success.",
  ),
  counter(
    "walg_command_errors_total",
    ["operation", "reason"],
    own,
    "Failed runs by reason: spawn, exit, timeout, parse, oversize, exception.",
  ),
  {
    name: "walg_command_duration_seconds",
    type: "histogram",
    labels: ["operation"],
    profiles: own,
    help: "How long commands took, in seconds.",
  },
  gauge("walg_exporter_build_info", ["version"], own, "Version of the plugin; always 1."),
  gauge("walg_version_info", ["version"], own, "Version of wal-g; always 1."),
] as const satisfies readonly MetricDefinition[];

type NamesOf<Type extends MetricDefinition["type"]> = Extract<
  (typeof metricTable)[number],
  { readonly type: Type }
>["name"];
export type GaugeName = NamesOf<"gauge">;
export type CounterName = NamesOf<"counter">;
export type HistogramName = NamesOf<"histogram">;
