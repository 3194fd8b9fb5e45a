/** Puts what is known into the metrics of the replaced exporters, with the values that one or the other would give. */
import type { Backup } from "./backups.ts";
import { isRestorable, newest, oldest } from "./backups.ts";
import type { Catalogue } from "./catalogue.ts";
import { fixedChecks } from "./checks.ts";
import type { Config } from "./config.ts";
import { beginOfBackup } from "./fields.ts";
import type { Series } from "./metrics/series.ts";

/** @param now Unix milliseconds. */
export function showProfile(config: Config, catalogue: Catalogue, series: Series, now: number): void {
  for (const server of catalogue.backups.servers()) {
    const backups = catalogue.backups.get(server) ?? [];
    series.set("barman_backups_failed", { server }, backups.filter(({ status }) => status === "FAILED").length);
    showDetail(catalogue, series, server, backups);
    if (config.compat === "exporter") showExporterBackups(config, catalogue, series, server, backups, now / 1000);
    else showPredecessorBackups(config, series, server, backups);
  }
  showChecks(config, catalogue, series);
  if (config.compat === "exporter") {
    const duration = catalogue.lastDurationMs;
    series.set("barman_metrics_update", {}, duration === undefined ? undefined : Math.floor(duration));
  } else {
    const servers = new Set([...catalogue.backups.servers(), ...catalogue.checks.servers()]);
    for (const server of servers) series.set("barman_metrics_update", { server }, Math.floor(now / 1000));
  }
}

function showDetail(catalogue: Catalogue, series: Series, server: string, backups: readonly Backup[]): void {
  const shown = catalogue.shownBackup(backups);
  if (shown === undefined) return;
  const detail = catalogue.details.get(server, shown.id);
  const wal = catalogue.details.wal(server, shown);
  series.set("barman_last_backup_copy_time", { server }, detail?.copyTimeSeconds);
  series.set("barman_last_backup_throughput", { server }, detail?.throughputBytesPerSecond);
  series.set("barman_last_backup_wal_files", { server }, wal?.walFiles);
  series.set("barman_last_backup_wal_rate_per_second", { server }, wal?.walFilesPerSecond);
}

function showExporterBackups(
  { per_backup }: Config,
  { details }: Catalogue,
  series: Series,
  server: string,
  backups: readonly Backup[],
  now: number,
): void {
  series.set("barman_backups_total", { server }, backups.length);
  const age = (backup: Backup | undefined) => {
    const end = backup && details.endOf(server, backup);
    // Cut off, and not clamped at 0, like the exporter's own.
    return end === undefined ? undefined : Math.trunc(now - end);
  };
  const restorable = backups.filter(isRestorable);
  series.set("barman_last_backup", { server }, age(newest(restorable)));
  series.set("barman_first_backup", { server }, age(oldest(restorable)));
  for (const [place, backup] of backups.slice(0, per_backup.sizes).entries()) {
    if (backup.status === "DONE") showSizes(series, server, String(place), backup);
  }
}

function showPredecessorBackups(
  { per_backup }: Config,
  series: Series,
  server: string,
  backups: readonly Backup[],
): void {
  const done = backups.filter(({ status }) => status === "DONE");
  const failed = backups.filter(({ status }) => status === "FAILED");
  series.set("barman_backups_total", { server }, done.length + failed.length);
  const restorable = backups.filter(isRestorable);
  const [last, first] = [newest(restorable), oldest(restorable)];
  series.set("barman_last_backup", { server }, last && beginOfBackup(last.id));
  series.set("barman_first_backup", { server }, first && beginOfBackup(first.id));
  if (done.length === 0) series.set("barman_last_backup_copy_time", { server }, 0);
  for (const [place, backup] of done.slice(0, per_backup.sizes).entries()) {
    showSizes(series, server, String(place + 1), backup);
  }
}

function showSizes(series: Series, server: string, number: string, { sizeBytes, walSizeBytes }: Backup): void {
  series.set("barman_backup_size", { number, server }, sizeBytes);
  series.set("barman_backup_wal_size", { number, server }, walSizeBytes);
}

function showChecks(config: Config, catalogue: Catalogue, series: Series): void {
  const withFixed = (config.checks ?? (config.compat === "exporter" ? "all" : "reported")) === "all";
  for (const server of catalogue.checks.servers()) {
    const result = catalogue.checks.get(server);
    if (result === undefined || (!config.inactive_checks && catalogue.isInactive(server))) continue;
    for (const [check, { ok }] of result.checks) series.set("barman_up", { check, server }, ok);
    // Absent from an answer that broke off: not made, which is not the same as failed.
    if (!withFixed || !result.isWhole) continue;
    for (const check of fixedChecks) if (!result.checks.has(check)) series.set("barman_up", { check, server }, 0);
  }
}
