/** The metrics that are looked up when a collection runs: the folder, and Prometheus. */
import type { CollectContext } from "holdfast";
import type { Backups } from "./backups.ts";
import type { Server } from "./server.ts";
import { type Moment, messageOf } from "./state.ts";

export function collector(
  server: Server,
  backups: Backups | undefined,
  version: string,
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
    const stored = await backups?.content().catch((error: unknown) => {
      log.warn("Cannot read the target", { target: backups.kind, error: messageOf(error) });
      return undefined;
    });
    if (stored) server.verifiedElsewhere = () => stored.backups.some(({ verified }) => verified);
    server.verifications.keepOnly(snapshots.map(({ name }) => name));

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
    if (backups) {
      const target = { target: backups.kind };
      series.set("prombackup_server_upload_last_success_timestamp_seconds", seconds("uploadSuccess"), target);
      series.set("prombackup_server_upload_last_attempt_timestamp_seconds", seconds("uploadAttempt"), target);
      series.set("prombackup_server_target_backups", stored?.backups.length, target);
      series.set("prombackup_server_target_bytes", stored?.sizeBytes, target);
    }
    series.set("prombackup_server_prometheus_up", flags ? 1 : 0);
    series.set("prombackup_server_prometheus_admin_api_enabled", flags && (flags.adminApiEnabled ? 1 : 0));
    series.set("prombackup_server_build_info", 1, { version });
  };
}
