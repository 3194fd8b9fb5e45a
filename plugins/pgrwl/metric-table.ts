/** All metrics of the plugin, as data: registered from here, and docs/plugins/pgrwl.md is written from it. */

export interface MetricDefinition {
  readonly name: string;
  readonly type: "gauge" | "counter" | "histogram";
  readonly labels: readonly string[];
  readonly help: string;
}

const gauge = <const Name extends string>(name: Name, help: string, labels: readonly string[] = []) =>
  ({ name, type: "gauge", labels, help }) as const;
const counter = <const Name extends string>(name: Name, help: string, labels: readonly string[] = []) =>
  ({ name, type: "counter", labels, help }) as const;
const histogram = <const Name extends string>(name: Name, help: string) =>
  ({ name, type: "histogram", labels: [], help }) as const;

/** Names of the original that tell of the archive; there in any case, and 0 without one. */
const originalArchiveCounters = [
  counter("pgrwl_wal_files_uploaded_total", "Segments and histories stored in the archive, and confirmed by it."),
  counter("pgrwl_wal_files_deleted_total", "Files that retention deleted from the archive."),
] as const;

export const metricTable = [
  // Names of the original
  counter("pgrwl_wal_bytes_received_total", "Bytes of WAL written to segments; what is received again counts again."),
  counter("pgrwl_wal_files_received_total", "Segments that were received to their end and have their final name."),
  ...originalArchiveCounters,
  gauge("pgrwl_uptime_seconds", "Seconds since the instance started."),

  // Where it stands
  gauge("pgrwl_receiver_state", "1 for the state that the receiver is in, 0 for the others.", ["state"]),
  gauge("pgrwl_connected", "1 while WAL is streamed from the server, else 0."),
  gauge("pgrwl_stream_start_timestamp_seconds", "Unix time since which WAL is streamed; absent while it is not."),
  gauge("pgrwl_next_attempt_timestamp_seconds", "Unix time of the next attempt; absent while none is planned."),
  gauge("pgrwl_server_info", "Facts of the server, known from the first connection on; always 1.", [
    "system_identifier",
    "version",
  ]),
  gauge("pgrwl_timeline", "The timeline that is received."),
  gauge("pgrwl_segment_size_bytes", "Size of a WAL segment of the server."),

  // Positions
  gauge("pgrwl_received_lsn", "Position behind the last byte received, in bytes."),
  gauge("pgrwl_written_lsn", "Position behind the last byte written to a file, in bytes."),
  gauge("pgrwl_flushed_lsn", "Position up to which WAL is durable here, in bytes."),
  gauge("pgrwl_server_lsn", "Position that the server last said it has written WAL to, in bytes."),
  gauge(
    "pgrwl_lag_bytes",
    "Bytes of WAL that the server has and that are not durable here; absent while not connected.",
  ),
  gauge(
    "pgrwl_lag_seconds",
    "Seconds since which the server has WAL that is not durable here; 0 when there is none, absent when it is not known.",
  ),
  gauge("pgrwl_slot_retained_bytes", "Bytes of WAL that the server keeps for the slot, as of its last word."),

  // Flushes
  histogram("pgrwl_flush_duration_seconds", "How long flushes of WAL to the disk took."),
  gauge(
    "pgrwl_flush_start_timestamp_seconds",
    "Unix time at which the flush that runs now began; absent while none runs.",
  ),

  // Last moments
  gauge("pgrwl_last_message_timestamp_seconds", "Unix time of the server's last message."),
  gauge("pgrwl_last_flush_timestamp_seconds", "Unix time at which the last flush ended."),
  gauge("pgrwl_last_segment_timestamp_seconds", "Unix time at which the last segment was completed by this instance."),

  // Events
  counter("pgrwl_disconnects_total", "Connections lost and attempts failed, by reason.", ["reason"]),
  gauge("pgrwl_gap", "1 while WAL is refused because the chain would break, by reason, else 0.", ["reason"]),
  counter("pgrwl_gaps_total", "Breaks of the chain of WAL that were found, refused or not, by reason.", ["reason"]),
  counter("pgrwl_slots_created_total", "Replication slots created."),
  counter("pgrwl_history_files_received_total", "Timeline history files received."),
  counter("pgrwl_set_aside_files_total", "Files renamed because they could not be gone on with."),
  counter(
    "pgrwl_timeline_forks_behind_total",
    "Times that the server's timeline left ours before the end of what is here.",
  ),
  counter("pgrwl_messages_received_total", "Messages of WAL and keepalives received from the server."),
  counter("pgrwl_statuses_sent_total", "Status messages sent to the server."),

  // The disk
  gauge("pgrwl_directory_free_bytes", "Bytes that the receiver may still write on the directory's file system."),
  gauge("pgrwl_directory_size_bytes", "Size of the directory's file system."),
  gauge(
    "pgrwl_disk_full_in_seconds",
    "Seconds until the disk is full at the rate of the last minutes; absent at none.",
  ),
] as const satisfies readonly MetricDefinition[];

/** Of an instance with an archive. */
export const archiveMetricTable = [
  gauge("pgrwl_upload_backlog_files", "Segments and histories that are not in the archive yet."),
  gauge("pgrwl_upload_backlog_bytes", "Their size."),
  gauge(
    "pgrwl_upload_backlog_oldest_timestamp_seconds",
    "Unix time since which the oldest of them has been complete; absent when there is none.",
  ),
  gauge("pgrwl_uploads_running", "Uploads under way."),
  counter(
    "pgrwl_uploads_total",
    "Uploads that ended, by result: stored, present (an equal file was there) or failed.",
    ["result"],
  ),
  counter("pgrwl_upload_failures_total", "Uploads that failed, and are tried again, by reason.", ["reason"]),
  counter("pgrwl_uploaded_wal_bytes_total", "Size of the files that were stored, before compression."),
  counter("pgrwl_uploaded_stored_bytes_total", "Size of the objects that they became."),
  histogram("pgrwl_upload_duration_seconds", "How long uploads took, with their verification."),
  gauge("pgrwl_last_upload_timestamp_seconds", "Unix time at which the last upload ended well."),
  gauge("pgrwl_archive_problem", "1 while something cannot be archived, by reason, else 0.", ["reason"]),
  gauge("pgrwl_archive_next_attempt_timestamp_seconds", "Unix time of the next attempt; absent while uploads go on."),
  gauge(
    "pgrwl_start_missing_segments",
    "Segments that are missing between the archive and where reception began; absent while the archive cannot tell.",
  ),
  gauge("pgrwl_local_segments", "Complete segments in the directory."),
  counter("pgrwl_local_segments_deleted_total", "Segments deleted from the directory that are in the archive."),
  counter("pgrwl_partials_shipped_total", "Times that the current segment's beginning was stored in the archive."),
  gauge("pgrwl_last_partial_timestamp_seconds", "Unix time of the last one."),
  counter("pgrwl_retention_runs_total", "Runs of retention, by result: done, dry_run, doubt or failed.", ["result"]),
  gauge("pgrwl_last_retention_timestamp_seconds", "Unix time at which the last run of retention ended."),
  gauge(
    "pgrwl_retention_doubts",
    "What the last run could not make sense of, and so deleted nothing; absent before the first.",
  ),
  gauge("pgrwl_retention_removable_files", "What the last dry run would have deleted; absent without dry_run."),
  gauge("pgrwl_retention_removable_bytes", "The size of it."),
  counter("pgrwl_retention_deleted_bytes_total", "Size of the files that retention deleted from the archive."),
] as const satisfies readonly MetricDefinition[];

/** Of an instance that serves WAL. */
export const serveMetricTable = [
  counter(
    "pgrwl_serve_requests_total",
    "Requests for WAL, by result: whole, partial, absent, refused (name or token), outage, failed or busy.",
    ["result"],
  ),
  counter("pgrwl_serve_bytes_total", "Bytes of WAL in the answers."),
] as const satisfies readonly MetricDefinition[];
export type ServeCounterName = (typeof serveMetricTable)[number]["name"];

/** Of an instance whose archive is verified. */
export const verifyMetricTable = [
  gauge("pgrwl_archive_whole", "1 when the last verification found neither gap nor damage, else 0."),
  gauge("pgrwl_archive_gaps", "Stretches of missing segments that the last verification found."),
  gauge("pgrwl_archive_missing_segments", "Segments that are missing in them."),
  gauge("pgrwl_archive_damaged_objects", "Objects that it could not read or whose content is another's."),
  gauge("pgrwl_archive_segments", "Segments that it found."),
  gauge("pgrwl_archive_stored_bytes", "Size of all objects of WAL that it found."),
  gauge(
    "pgrwl_archive_oldest_restorable_lsn",
    "Position from which on WAL is there without a gap up to the newest, in bytes; a base backup must not be older.",
  ),
  gauge("pgrwl_archive_newest_restorable_lsn", "Position behind the newest whole segment, in bytes."),
  gauge("pgrwl_last_verification_timestamp_seconds", "Unix time at which the last verification ended."),
  gauge("pgrwl_last_verification_duration_seconds", "How long it took."),
  gauge("pgrwl_last_verification_read_objects", "Objects that it read to their end."),
  counter(
    "pgrwl_verifications_total",
    "Verifications, by result: whole, flawed, or failed (the archive could not be asked).",
    ["result"],
  ),
] as const satisfies readonly MetricDefinition[];
export type VerifyGaugeName = Extract<(typeof verifyMetricTable)[number], { type: "gauge" }>["name"];
export type VerifyCounterName = Extract<(typeof verifyMetricTable)[number], { type: "counter" }>["name"];

type NameOf<Type extends MetricDefinition["type"]> = Extract<(typeof metricTable)[number], { type: Type }>["name"];
export type GaugeName = NameOf<"gauge">;
export type CounterName = NameOf<"counter">;
export type HistogramName = NameOf<"histogram">;

type ArchiveNameOf<Type extends MetricDefinition["type"]> = Extract<
  (typeof archiveMetricTable)[number] | (typeof originalArchiveCounters)[number],
  { type: Type }
>["name"];
export type ArchiveGaugeName = ArchiveNameOf<"gauge">;
export type ArchiveCounterName = ArchiveNameOf<"counter">;
