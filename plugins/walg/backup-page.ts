/** The backups' part of the page. */
import { formatLsn } from "../common/postgres/lsn.ts";
import { type Backup, type BackupType, backupTypes } from "./backups.ts";
import type { ListedBackups } from "./knowledge.ts";
import { nominalWindowSeconds, storedAt } from "./recovery.ts";
import type { Series } from "./series.ts";
import { secondsBetween } from "./timestamp.ts";

const flag = (value: boolean) => (value ? "true" : "false");
/** The original prints an unknown position as 0/0, and mocks of it are compared by that. */
const lsnLabel = (lsn: bigint | undefined) => formatLsn(lsn ?? 0n);
const whole = (seconds: number | undefined) => (seconds === undefined ? undefined : Math.floor(seconds));

/** @param maxSeries Backups that get series of their own, permanent ones aside; 0: all. */
export function showBackups(
  series: Series,
  { backups, unreadable, chains }: ListedBackups,
  maxSeries: number,
  nowSeconds: number,
): void {
  const shown = chooseShown(backups, maxSeries);
  for (const backup of shown) showBackup(series, backup, chains.parent(backup)?.name ?? "");
  for (const type of backupTypes)
    showType(
      series,
      type,
      backups.filter((backup) => backup.type === type),
      nowSeconds,
    );
  showStorages(series, backups);

  let [oldest, longest, orphans, permanent, incomplete] = [Number.POSITIVE_INFINITY, 0, 0, 0, unreadable];
  const identifiers = new Set<string>();
  for (const backup of backups) {
    const depth = chains.depth(backup);
    oldest = Math.min(oldest, endOf(backup) ?? oldest);
    if (depth === undefined) orphans++;
    else longest = Math.max(longest, depth);
    if (backup.permanent) permanent++;
    if (backup.incomplete) incomplete++;
    if (backup.systemIdentifier !== undefined) identifiers.add(backup.systemIdentifier);
  }
  series.set(
    "walg_backup_oldest_completion_timestamp_seconds",
    {},
    Number.isFinite(oldest) ? Math.floor(oldest) : undefined,
  );
  series.set("walg_backup_delta_chain_max_length", {}, longest);
  series.set("walg_backups_orphaned_deltas", {}, orphans);
  series.set("walg_backups_permanent", {}, permanent);
  series.set("walg_backups_incomplete_metadata", {}, incomplete);
  series.set("walg_backup_series_dropped", {}, backups.length - shown.length);
  series.set("walg_backup_system_identifiers", {}, identifiers.size);
  const rule = series.profile === "readme" ? "readme" : "release";
  series.set("walg_pitr_window_seconds", {}, nominalWindowSeconds(backups, nowSeconds, rule));
}

function chooseShown(backups: readonly Backup[], maxSeries: number): readonly Backup[] {
  if (maxSeries === 0) return backups;
  const age = (backup: Backup) => backup.startedAt ?? storedAt(backup) ?? 0;
  const newest = backups
    .filter(({ permanent }) => !permanent)
    .toSorted((a, b) => age(b) - age(a))
    .slice(0, maxSeries);
  const chosen = new Set(newest);
  return backups.filter((backup) => backup.permanent || chosen.has(backup));
}

function showBackup(series: Series, backup: Backup, parentName: string): void {
  const { name, type, walFile, permanent, pgVersion } = backup;
  const [startLsn, finishLsn] = [lsnLabel(backup.startLsn), lsnLabel(backup.finishLsn)];
  series.set(
    "walg_backup_timestamp",
    {
      backup_name: name,
      backup_type: type,
      finish_lsn: finishLsn,
      permanent: flag(permanent),
      start_lsn: startLsn,
      wal_file: walFile,
    },
    whole(storedAt(backup)),
  );
  series.set(
    "walg_backup_info",
    {
      backup_name: name,
      backup_type: type,
      delta_origin: parentName,
      finish_lsn: finishLsn,
      is_permanent: flag(permanent),
      pg_version: String(pgVersion ?? 0),
      start_lsn: startLsn,
      wal_file: walFile,
    },
    1,
  );
  const own = { backup_name: name };
  series.set("walg_backup_start_timestamp", own, whole(backup.startedAt));
  series.set("walg_backup_finish_timestamp", own, whole(backup.finishedAt));
  series.set("walg_backup_compressed_size_bytes", own, backup.compressedBytes);
  series.set("walg_backup_uncompressed_size_bytes", own, backup.uncompressedBytes);
}

/** When a backup ended; from a list without details, when it was stored. */
const endOf = ({ finishedAt, modifiedAt }: Backup) => finishedAt ?? modifiedAt;

function showType(series: Series, type: BackupType, backups: readonly Backup[], nowSeconds: number): void {
  const labels = { backup_type: type };
  series.set("walg_backup_count", labels, backups.length);
  series.set("walg_backups", labels, backups.length);
  let newest: Backup | undefined;
  for (const backup of backups) {
    if ((endOf(backup) ?? 0) > ((newest && endOf(newest)) ?? 0)) newest = backup;
  }
  const end = newest && endOf(newest);
  if (!newest || end === undefined) return;
  series.set("walg_backup_last_completion_timestamp_seconds", labels, Math.floor(end));
  series.set("walg_backup_since_last_completion_seconds", labels, Math.max(0, secondsBetween(end, nowSeconds)));
  series.set("walg_backup_last_compressed_size_bytes", labels, newest.compressedBytes);
  if (newest.startedAt === undefined || newest.finishedAt === undefined) return;
  series.set(
    "walg_backup_last_duration_seconds",
    labels,
    Math.max(0, secondsBetween(newest.startedAt, newest.finishedAt)),
  );
}

function showStorages(series: Series, backups: readonly Backup[]): void {
  const storages = new Map<string, Record<BackupType, { count: number; bytes: number }>>();
  for (const { type, copies } of backups) {
    for (const { storage, compressedBytes = 0 } of copies) {
      const kept = storages.get(storage) ?? { full: { count: 0, bytes: 0 }, delta: { count: 0, bytes: 0 } };
      storages.set(storage, kept);
      kept[type].count++;
      kept[type].bytes += compressedBytes;
    }
  }
  for (const [storage, kept] of storages) {
    for (const type of backupTypes) {
      series.set("walg_storage_backups", { backup_type: type, storage }, kept[type].count);
      series.set("walg_backups_stored_compressed_bytes", { backup_type: type, storage }, kept[type].bytes);
    }
  }
}

/** Counts what appeared and what went between two lists; the first list is where counting begins. */
export function countChanges(series: Series, before: ListedBackups | undefined, after: ListedBackups): void {
  if (!before) return;
  const was = new Map(before.backups.map(({ name, type }) => [name, type]));
  for (const { name, type } of after.backups) {
    if (!was.delete(name)) series.add("walg_backups_created_total", { backup_type: type });
  }
  for (const type of was.values()) series.add("walg_backups_removed_total", { backup_type: type });
}
