/** The metrics that are looked up when a collection runs: the folder, and Prometheus. */
import type { CollectContext } from "holdfast";
import type { KnownCopies } from "./restorable.ts";
import type { Server } from "./server.ts";
import type { Moment } from "./state.ts";
import type { Seen } from "./status.ts";
import type { Target } from "./target.ts";

export interface CollectorNotices {
  saw(seen: Seen): void;
  /** @param copies What there is to restore from; undefined: nobody has looked at all targets yet. */
  counted(copies: KnownCopies | undefined): void;
}

export function collector(
  server: Server,
  targets: readonly Target[],
  version: string,
  notices: CollectorNotices,
): (context: CollectContext) => Promise<void> {
  const { series, state, log } = server.deps;
  let wasUp = true;
  return async ({ signal }) => {
    // First what may fail: a collection that fails changes no gauge.
    const snapshots = await server.store.all();
    const flags = await server.prometheus.flags(signal).catch((error: Error) => {
      if (wasUp) log.warn("Cannot reach Prometheus", { url: server.prometheus.url, error: error.message });
      return undefined;
    });
    wasUp = flags !== undefined;
    notices.saw({ snapshots, adminApiEnabled: flags?.adminApiEnabled });
    // Not of those that could be looked at: one that cannot be read for a moment stays the last that was verified.
    server.verifications.keepOnly(await server.store.names());

    const seconds = (moment: Moment) => {
      const ms = state.time(moment);
      return ms === undefined ? undefined : ms / 1000;
    };
    const newest = snapshots.at(-1);
    series.set("prombackup_server_snapshot_last_success_timestamp_seconds", seconds("snapshotSuccess"));
    series.set("prombackup_server_snapshot_last_attempt_timestamp_seconds", seconds("snapshotAttempt"));
    series.set("prombackup_server_snapshot_last_size_bytes", newest?.sizeBytes);
    series.set("prombackup_server_snapshot_last_blocks", newest?.blocks);
    series.set("prombackup_server_snapshots_stored", snapshots.length);
    const exclusive = snapshots.reduce((sum, { exclusiveBytes }) => sum + exclusiveBytes, 0);
    series.set("prombackup_server_snapshots_stored_exclusive_bytes", exclusive);
    const oldest = snapshots[0];
    series.set("prombackup_server_snapshot_oldest_timestamp_seconds", oldest && oldest.timeMs / 1000);
    series.set("prombackup_server_snapshots_incomplete", snapshots.filter(({ isComplete }) => !isComplete).length);
    series.set("prombackup_server_downloads_in_progress", server.downloads.running());
    const tracked = server.downloads.all().length;
    series.set("prombackup_server_downloads_tracked", tracked);
    series.set("prombackup_server_download_tracked_count", tracked);
    series.set("prombackup_server_verification_last_success_timestamp_seconds", seconds("verificationSuccess"));
    for (const { name: target, known } of targets) {
      const uploaded = seconds(`uploadSuccess:${target}`);
      series.set("prombackup_server_upload_last_success_timestamp_seconds", uploaded, { target });
      const tried = seconds(`uploadAttempt:${target}`);
      series.set("prombackup_server_upload_last_attempt_timestamp_seconds", tried, { target });
      series.set("prombackup_server_target_backups", known?.backups.length, { target });
      series.set("prombackup_server_target_bytes", known?.sizeBytes, { target });
    }
    series.set("prombackup_server_prometheus_up", flags ? 1 : 0);
    series.set("prombackup_server_prometheus_admin_api_enabled", flags && (flags.adminApiEnabled ? 1 : 0));
    series.set("prombackup_server_build_info", 1, { version });

    const isUsed = ({ name }: Target) => seconds(`uploadSuccess:${name}`) !== undefined;
    const isUnread = targets.some((target) => isUsed(target) && !target.known && !target.isUnreadable);
    const copies = {
      snapshots: snapshots.map((info) => ({ info, verification: server.verifications.of(info) })),
      backups: targets.flatMap((target) => target.ownBackups()),
      hasUnreadable: targets.some((target) => isUsed(target) && target.isUnreadable),
    };
    notices.counted(isUnread ? undefined : copies);
  };
}
