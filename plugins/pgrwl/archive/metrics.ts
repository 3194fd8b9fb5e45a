/** What the page tells of an instance's archive. */
import type { Metrics } from "holdfast";
import { failureReasons } from "../../common/wal-archive/errors.ts";
import { type ArchiveCounterName, type ArchiveGaugeName, archiveMetricTable } from "../metric-table.ts";
import { RegisteredMetrics } from "../registered-metrics.ts";
import type { Archiver } from "./archiver.ts";
import { retentionOutcomes } from "./retention.ts";
import { UploadTelemetry, uploadBuckets } from "./upload-telemetry.ts";

/** Of one that has not begun. */
const nothingYet = new UploadTelemetry();

/** Counters that the receiver's page has in any case. */
type Shared = Pick<
  RegisteredMetrics<never, "pgrwl_wal_files_uploaded_total" | "pgrwl_wal_files_deleted_total">,
  "countUpTo"
>;

export class ArchiveMetrics {
  readonly #registered: RegisteredMetrics<ArchiveGaugeName, ArchiveCounterName>;
  readonly #shared: Shared;

  constructor(metrics: Metrics, shared: Shared) {
    this.#registered = new RegisteredMetrics(metrics, archiveMetricTable, uploadBuckets);
    this.#shared = shared;
  }

  show(archiver: Archiver): void {
    this.#showUploads(archiver);
    this.#registered.set("pgrwl_start_missing_segments", archiver.missingAtStart);
    this.#showRetention(archiver);
  }
  clearGauges(): void {
    this.#registered.clearGauges();
  }

  #showUploads({ uploader, files, problems }: Archiver): void {
    const page = this.#registered;
    const telemetry = uploader?.telemetry ?? nothingYet;
    const backlog = uploader?.backlog();
    page.set("pgrwl_upload_backlog_files", backlog?.files);
    page.set("pgrwl_upload_backlog_bytes", backlog?.bytes);
    page.set("pgrwl_upload_backlog_oldest_timestamp_seconds", seconds(backlog?.oldestAt));
    page.set("pgrwl_uploads_running", uploader?.running ?? 0);
    page.set("pgrwl_local_segments", uploader && files.segments().length);
    page.set("pgrwl_last_upload_timestamp_seconds", seconds(telemetry.lastUploadAt));
    page.set("pgrwl_last_partial_timestamp_seconds", seconds(telemetry.lastPartialAt));
    page.set("pgrwl_archive_next_attempt_timestamp_seconds", seconds(uploader?.nextAttemptAt));
    page.observe("pgrwl_upload_duration_seconds", { counts: telemetry.durationCounts, sum: telemetry.durationSum });
    let failed = 0;
    for (const reason of failureReasons) {
      const failures = telemetry.failures.get(reason) ?? 0;
      failed += failures;
      page.countUpTo("pgrwl_upload_failures_total", failures, { reason });
      page.set("pgrwl_archive_problem", problems.some((problem) => problem.reason === reason) ? 1 : 0, { reason });
    }
    const results = { stored: telemetry.stored, present: telemetry.present, failed };
    for (const [result, total] of Object.entries(results)) page.countUpTo("pgrwl_uploads_total", total, { result });
    page.countUpTo("pgrwl_uploaded_wal_bytes_total", telemetry.sourceBytes);
    page.countUpTo("pgrwl_uploaded_stored_bytes_total", telemetry.storedBytes);
    page.countUpTo("pgrwl_local_segments_deleted_total", telemetry.localDeleted);
    page.countUpTo("pgrwl_partials_shipped_total", telemetry.partials);
    this.#shared.countUpTo("pgrwl_wal_files_uploaded_total", telemetry.stored);
  }

  #showRetention({ report, retentionTotals }: Archiver): void {
    const page = this.#registered;
    for (const result of retentionOutcomes)
      page.countUpTo("pgrwl_retention_runs_total", retentionTotals.runs.get(result) ?? 0, { result });
    page.countUpTo("pgrwl_retention_deleted_bytes_total", retentionTotals.bytes);
    this.#shared.countUpTo("pgrwl_wal_files_deleted_total", retentionTotals.files);
    page.set("pgrwl_last_retention_timestamp_seconds", seconds(report?.endedAt));
    page.set("pgrwl_retention_doubts", report?.doubts.length);
    if (report?.outcome !== "dry_run") return;
    page.set("pgrwl_retention_removable_files", report.deletedFiles);
    page.set("pgrwl_retention_removable_bytes", report.deletedBytes);
  }
}

const seconds = (unixMs: number | undefined) => (unixMs === undefined ? undefined : unixMs / 1000);
