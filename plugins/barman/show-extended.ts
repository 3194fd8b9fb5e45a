/** Puts what is known into the metrics that go beyond the replaced exporters. */
import { type Backup, isRestorable, newest, oldest } from "./backups.ts";
import type { Catalogue } from "./catalogue.ts";
import { errorFiles, redundancy } from "./checks.ts";
import type { Config } from "./config.ts";
import { beginOfBackup } from "./fields.ts";
import type { Series } from "./metrics/series.ts";
import { lagStages } from "./replication.ts";

/** Always given, so that an alert on one of them has a series to watch. */
const knownStatuses = ["DONE", "FAILED", "STARTED", "WAITING_FOR_WALS", "SYNCING", "EMPTY"];

export function showExtended(config: Config, catalogue: Catalogue, series: Series): void {
  for (const server of catalogue.backups.servers()) {
    const backups = catalogue.backups.get(server) ?? [];
    showCounts(series, server, backups);
    showMoments(catalogue, series, server, backups);
    for (const backup of backups.slice(0, config.per_backup.info)) showBackup(series, server, backup);
  }
  showActivity(catalogue, series);
  for (const server of catalogue.checks.servers()) showChecks(catalogue, series, server);
  for (const server of catalogue.diagnosed.servers()) showDiagnosis(catalogue, series, server);
  for (const server of catalogue.replication.servers()) showReplication(catalogue, series, server);
  if (catalogue.diagnosed.servers().length > 0 && catalogue.barmanVersion !== undefined) {
    series.set("barman_exporter_barman_info", { version: catalogue.barmanVersion }, 1);
  }
}

function showCounts(series: Series, server: string, backups: readonly Backup[]): void {
  const byStatus = new Map(knownStatuses.map((status) => [status, 0]));
  const byRetention = new Map<string, number>();
  for (const { status, retentionStatus } of backups) {
    byStatus.set(status, (byStatus.get(status) ?? 0) + 1);
    if (retentionStatus !== undefined) byRetention.set(retentionStatus, (byRetention.get(retentionStatus) ?? 0) + 1);
  }
  for (const [status, count] of byStatus) series.set("barman_backups", { server, status }, count);
  for (const [status, count] of byRetention) {
    series.set("barman_backups_by_retention", { retention_status: status, server }, count);
  }
}

function showMoments(catalogue: Catalogue, series: Series, server: string, backups: readonly Backup[]): void {
  const { details } = catalogue;
  // By their ends and not by their ids: in the hour that a clock is set back, a later backup has a lower id.
  const ends = backups
    .filter(isRestorable)
    .map((backup) => details.endOf(server, backup))
    .filter((end) => end !== undefined);
  if (ends.length > 0) {
    const first = ends.reduce((a, b) => Math.min(a, b));
    const last = ends.reduce((a, b) => Math.max(a, b));
    series.set("barman_backup_first_end_timestamp_seconds", { server }, first);
    series.set("barman_backup_last_end_timestamp_seconds", { server }, last);
    const archived = [...(catalogue.diagnosed.get(server)?.lastArchivedWal.values() ?? [])];
    const until = Math.max(last, ...archived.map(({ timestamp }) => timestamp));
    series.set("barman_recovery_window_seconds", { server }, difference(until, first));
  }
  const shown = catalogue.shownBackup(backups);
  const detail = shown && details.get(server, shown.id);
  if (detail?.beginTime !== undefined) {
    series.set("barman_backup_last_start_timestamp_seconds", { server }, detail.beginTime);
    const duration = detail.endTime === undefined ? undefined : difference(detail.endTime, detail.beginTime);
    series.set("barman_backup_last_duration_seconds", { server }, duration);
  }
  const failed = newest(backups.filter(({ status }) => status === "FAILED"));
  series.set("barman_backup_last_failed_timestamp_seconds", { server }, failed && beginOfBackup(failed.id));
  const running = oldest(backups.filter(({ status }) => status === "STARTED"));
  series.set("barman_backup_running", { server }, running !== undefined);
  series.set("barman_backup_running_since_timestamp_seconds", { server }, running && beginOfBackup(running.id));
}

/** Seconds to the microsecond, which is what Barman writes; further digits come from subtracting large numbers. */
const difference = (later: number, earlier: number) => Math.round((later - earlier) * 1e6) / 1e6;

function showBackup(series: Series, server: string, backup: Backup): void {
  const { id, name = "", type = "", status, retentionStatus = "", sizeBytes } = backup;
  const facts = {
    backup_id: id,
    backup_name: name,
    backup_type: type,
    retention_status: retentionStatus,
    server,
    status,
  };
  series.set("barman_backup_info", facts, 1);
  series.set("barman_backup_bytes", { backup_id: id, server }, sizeBytes);
}

function showActivity({ backups, diagnosed, inactive }: Catalogue, series: Series): void {
  const servers = new Set([...backups.servers(), ...diagnosed.servers(), ...inactive]);
  for (const server of servers) {
    const listed = inactive.has(server) ? false : backups.get(server) === undefined ? undefined : true;
    series.set("barman_server_active", { server }, listed ?? diagnosed.get(server)?.active);
  }
}

function showChecks(catalogue: Catalogue, series: Series, server: string): void {
  const result = catalogue.checks.get(server);
  if (result === undefined) return;
  const { checks, isWhole } = result;
  // Barman checks inactive servers too, and does not mind what it finds.
  if (checks.size > 0 && !catalogue.isInactive(server)) {
    series.set("barman_check_ok", { server }, isWhole && [...checks.values()].every(({ ok }) => ok));
  }
  series.set("barman_check_timed_out", { server }, checks.has("check_timeout"));
  const configuration = checks.get("configuration");
  // Barman makes this check only to say that it fails; an answer that broke off before it tells nothing.
  const disabled = configuration === undefined ? (isWhole ? false : undefined) : !configuration.ok;
  series.set("barman_server_disabled", { server }, catalogue.diagnosed.get(server)?.disabled ?? disabled);
  const errors = checks.get("archiver_errors");
  series.set("barman_wal_error_files", { server }, errors && errorFiles(errors));
  const minimum = checks.get("minimum_redundancy_requirements");
  const counts = minimum && redundancy(minimum);
  series.set("barman_minimum_redundancy_backups", { server }, counts?.have);
  series.set("barman_minimum_redundancy_required_backups", { server }, counts?.wanted);
}

function showDiagnosis({ diagnosed }: Catalogue, series: Series, server: string): void {
  const found = diagnosed.get(server);
  if (found === undefined) return;
  const { description, backupMethod, passive, postgresVersion, slot } = found;
  const facts = {
    backup_method: backupMethod,
    description,
    passive: passive ? "1" : "0",
    pg_version: postgresVersion,
    server,
  };
  series.set("barman_server_info", facts, 1);
  series.set("barman_postgres_up", { server }, found.postgresUp);
  series.set("barman_postgres_in_recovery", { server }, found.inRecovery);
  series.set("barman_postgres_size_bytes", { server }, found.databaseSizeBytes);
  for (const [number, { timestamp, sizeBytes }] of found.lastArchivedWal) {
    const timeline = String(number);
    series.set("barman_wal_last_archived_timestamp_seconds", { server, timeline }, timestamp);
    series.set("barman_wal_last_archived_size_bytes", { server, timeline }, sizeBytes);
  }
  series.set("barman_wal_queue_files", { queue: "incoming", server }, found.queueFiles.incoming);
  series.set("barman_wal_queue_files", { queue: "streaming", server }, found.queueFiles.streaming);
  series.set("barman_postgres_wal_archived_total", { server }, found.archivedCount);
  series.set("barman_postgres_wal_archive_failures_total", { server }, found.archiveFailures);
  if (slot) {
    series.set("barman_replication_slot_active", { server, slot: slot.name }, slot.active);
    series.set("barman_replication_slot_retained_bytes", { server, slot: slot.name }, slot.retainedBytes);
  }
}

function showReplication({ replication }: Catalogue, series: Series, server: string): void {
  const clients = replication.get(server) ?? [];
  const counts = new Map<string, { readonly labels: ClientLabels; count: number }>();
  const count = (labels: ClientLabels, by: number) => {
    const key = JSON.stringify(labels);
    counts.set(key, { labels, count: (counts.get(key)?.count ?? 0) + by });
  };
  for (const kind of ["standby", "wal_streamer"]) count({ kind, server, state: "streaming", sync_state: "async" }, 0);
  const lags = new Map<string, number>();
  for (const { kind, state, syncState, applicationName, address, lagBytes } of clients) {
    count({ kind, server, state, sync_state: syncState }, 1);
    for (const stage of lagStages) {
      const lag = lagBytes[stage];
      if (lag === undefined) continue;
      // Two clients of one name on one host share a series: the one that is further behind counts.
      const key = JSON.stringify([applicationName, address, stage]);
      const most = Math.max(lag, lags.get(key) ?? 0);
      lags.set(key, most);
      const labels = { application_name: applicationName, client_addr: address, server, stage };
      series.set("barman_replication_lag_bytes", labels, most);
    }
  }
  for (const { labels, count: clientCount } of counts.values()) {
    series.set("barman_replication_clients", labels, clientCount);
  }
}

type ClientLabels = {
  readonly kind: string;
  readonly server: string;
  readonly state: string;
  readonly sync_state: string;
};
