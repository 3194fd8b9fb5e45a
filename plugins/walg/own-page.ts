/** The part of the page about the commands themselves, and the storage's pulse. */
import type { Knowledge, Operations } from "./knowledge.ts";
import type { Profile } from "./metric-table.ts";
import { failureReasons, type Operation } from "./operation.ts";
import type { Series } from "./series.ts";
import { usageKinds } from "./storage-usage.ts";

/** The operations that the original exporters count, and what they call a failure of each. */
const originalErrors: Readonly<Record<Profile, Readonly<Record<string, string>>>> = {
  both: {
    "backup-list": "command_failed",
    "wal-show": "command_failed",
    "wal-verify": "command_failed",
    "storage-check": "connectivity_failed",
  },
  readme: { "backup-list": "command_failed", "wal-show": "command_failed", "storage-check": "connectivity_failed" },
  release: { "backup-list": "command_failed", "wal-verify": "command_failed", "storage-check": "connectivity_failed" },
};

/** All counters from the start: `increase()` misses the first error of a series that was not there before. */
export function createCounters(
  series: Series,
  operations: readonly Operation<unknown>[],
  backupTypes: readonly string[],
): void {
  for (const [operation, error_type] of Object.entries(originalErrors[series.profile])) {
    series.add("walg_errors_total", { error_type, operation }, 0);
  }
  for (const { name } of operations) {
    for (const reason of failureReasons) series.add("walg_command_errors_total", { operation: name, reason }, 0);
  }
  for (const backup_type of backupTypes) {
    series.add("walg_backups_created_total", { backup_type }, 0);
    series.add("walg_backups_removed_total", { backup_type }, 0);
  }
  series.hide("walg_archiver_failed_total");
}

export function countFailure(series: Series, operation: string, reason: string): void {
  series.add("walg_command_errors_total", { operation, reason });
  const error_type = originalErrors[series.profile][operation];
  if (error_type === undefined) return;
  series.add("walg_errors_total", { error_type, operation });
  if (operation !== "storage-check") series.add("walg_scrape_errors_total", {});
}

export function showOperations(
  series: Series,
  operations: Operations,
  { version, storageUsage }: Knowledge,
  pluginVersion: string,
): void {
  const { list, timelines, verification, storage, storageWrite } = operations;
  for (const operation of [list, timelines, verification, storage]) {
    if (!operation?.outcome || originalErrors[series.profile][operation.name] === undefined) continue;
    series.set("walg_scrape_success", { operation: operation.name }, operation.isSound ? 1 : 0);
    series.set("walg_scrape_last_success_timestamp_seconds", { operation: operation.name }, operation.lastSuccessAt);
  }
  series.set("walg_backup_list_duration_seconds", {}, list.outcome?.durationSeconds);
  series.set("walg_wal_verify_duration_seconds", {}, verification?.outcome?.durationSeconds);
  const durations = [list, timelines, verification, storage].flatMap(
    (operation) => operation?.outcome?.durationSeconds ?? [],
  );
  if (durations.length > 0)
    series.set(
      "walg_scrape_duration_seconds",
      {},
      durations.reduce((a, b) => a + b),
    );
  if (storage.outcome) {
    const up = storage.isSound ? 1 : 0;
    series.set("walg_storage_alive", {}, up);
    series.set("walg_storage_up", {}, up);
    series.set("walg_storage_latency_seconds", {}, storage.outcome.durationSeconds);
  }
  if (storageWrite?.outcome) series.set("walg_storage_write_up", {}, storageWrite.isSound ? 1 : 0);
  for (const kind of usageKinds) series.set("walg_storage_used_bytes", { kind }, storageUsage?.[kind]);
  series.set("walg_exporter_build_info", { version: pluginVersion }, 1);
  if (version !== undefined) series.set("walg_version_info", { version }, 1);
}
