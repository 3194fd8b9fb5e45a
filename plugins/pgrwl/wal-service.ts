/** What an instance does with WAL for others: lists it, serves it, and verifies its archive. */

import type { SetupContext } from "holdfast";
import type { Hono } from "hono";
import type { WalArchive } from "../common/wal-archive/archive.ts";
import { WalLookup } from "../common/wal-archive/lookup.ts";
import { WalSourceError } from "../common/wal-archive/wal-source.ts";
import type { Archiver } from "./archive/archiver.ts";
import { ScheduledVerification, verificationResults } from "./archive/scheduled-verification.ts";
import { systemIdentifierIn } from "./local-system.ts";
import {
  type ServeCounterName,
  serveMetricTable,
  type VerifyCounterName,
  type VerifyGaugeName,
  verifyMetricTable,
} from "./metric-table.ts";
import { gapReasons, type Telemetry } from "./receiver/telemetry.ts";
import { RegisteredMetrics } from "./registered-metrics.ts";
import { addServeRoutes, ServeTelemetry, serveResults } from "./serve-routes.ts";
import type { Settings } from "./settings.ts";
import { WalListing } from "./wal-listing.ts";

export interface WalServiceOptions {
  readonly context: SetupContext<Settings>;
  readonly telemetry: Telemetry;
  readonly archiver: Archiver | undefined;
  /** Of the server; undefined before the first connection. */
  systemIdentifier(): string | undefined;
  onChange(): void;
}

export class WalService {
  readonly listing: WalListing;
  readonly #options: WalServiceOptions;
  readonly #served = new ServeTelemetry();
  readonly #servePage: RegisteredMetrics<never, ServeCounterName> | undefined;
  readonly #verification: ScheduledVerification | undefined;
  readonly #verifyPage: RegisteredMetrics<VerifyGaugeName, VerifyCounterName> | undefined;

  constructor(options: WalServiceOptions) {
    const { context, archiver, onChange } = options;
    const { config, metrics, log, now, signal } = context;
    this.#options = options;
    const { directory } = config;
    const segmentSizeBytes = () => this.#segmentSizeBytes();
    this.listing = new WalListing({ directory, archive: this.#archive, signal, segmentSizeBytes });
    if (config.serve?.enabled) this.#servePage = new RegisteredMetrics(metrics, serveMetricTable, []);
    const verify = config.archive?.verify;
    if (!verify || !archiver) return;
    this.#verifyPage = new RegisteredMetrics(metrics, verifyMetricTable, []);
    this.#verification = new ScheduledVerification({
      depth: verify.depth,
      intervalMs: verify.interval * 1000,
      log,
      now,
      archive: () => openArchive(archiver),
      segmentSizeBytes,
      systemIdentifier: () => this.#systemIdentifier,
      timeline: () => this.#options.telemetry.number("timeline") || undefined,
      expectsWal: () => archiver.files.lastArchived() !== undefined,
      waiting: () => archiver.files.segments().map(({ name }) => name),
      onEnd: onChange,
    });
  }

  /** Why somebody should look. */
  get problem(): string | undefined {
    return this.#verification?.problem;
  }

  /** Objects of the archive that the last verification could not read. */
  get damaged(): readonly string[] {
    return this.#verification?.last?.damaged.map(({ objectName }) => objectName) ?? [];
  }

  addRoutes(app: Hono): void {
    const { context, telemetry, archiver } = this.#options;
    const { config, log } = context;
    if (!config.serve?.enabled) return;
    const { token, partial } = config.serve;
    if (token === undefined)
      log.warn("WAL is served to whoever can reach this instance, as far as the agent's web config lets them", {
        remedy: "set serve.token",
      });
    const lookup = new WalLookup({
      directory: config.directory,
      needsDirectory: true,
      archive: this.#archive,
      expectsWal: () => archiver?.files.lastArchived() !== undefined,
      description: archiver ? `${config.directory} and the archive` : config.directory,
      servesPartial: () => partial || telemetry.state !== "streaming",
    });
    addServeRoutes(app, {
      lookup,
      token,
      telemetry: this.#served,
      log,
      segmentSizeBytes: () => this.#segmentSizeBytes(),
      systemIdentifier: async () =>
        this.#systemIdentifier ?? (await systemIdentifierIn(config.directory).catch(() => undefined)),
    });
  }

  /** Of the server whose WAL is here. One that is refused, for it is another cluster's, says nothing of it. */
  get #systemIdentifier(): string | undefined {
    const { telemetry } = this.#options;
    const isRefused = telemetry.list("gapOpen")[gapReasons.indexOf("system_identifier")] === 1;
    return isRefused ? undefined : this.#options.systemIdentifier();
  }

  /** Until the signal is aborted. Never throws. */
  async run(signal: AbortSignal): Promise<void> {
    await this.#verification?.run(signal);
  }

  show(): void {
    for (const result of serveResults) {
      const total = this.#served.requests.get(result) ?? 0;
      this.#servePage?.countUpTo("pgrwl_serve_requests_total", total, { result });
    }
    this.#servePage?.countUpTo("pgrwl_serve_bytes_total", this.#served.bytes);
    this.#showVerification();
  }
  clearGauges(): void {
    this.#verifyPage?.clearGauges();
  }

  #showVerification(): void {
    const [page, verification] = [this.#verifyPage, this.#verification];
    if (!page || !verification) return;
    for (const result of verificationResults)
      page.countUpTo("pgrwl_verifications_total", verification.totals.get(result) ?? 0, { result });
    const { last } = verification;
    if (last === undefined) return;
    page.set("pgrwl_archive_whole", last.isWhole ? 1 : 0);
    page.set("pgrwl_archive_gaps", last.gaps.length);
    const missing = last.gaps.reduce((sum, { count }) => sum + count, 0);
    page.set("pgrwl_archive_missing_segments", missing);
    page.set("pgrwl_archive_damaged_objects", last.damaged.length);
    page.set("pgrwl_archive_segments", last.segments);
    page.set("pgrwl_archive_stored_bytes", last.storedBytes);
    if (last.restorable) {
      page.set("pgrwl_archive_oldest_restorable_lsn", Number(last.restorable.oldestLsn));
      page.set("pgrwl_archive_newest_restorable_lsn", Number(last.restorable.newestLsn));
    }
    page.set("pgrwl_last_verification_timestamp_seconds", last.endedAt / 1000);
    page.set("pgrwl_last_verification_duration_seconds", last.seconds);
    page.set("pgrwl_last_verification_read_objects", last.readObjects);
  }

  /** Undefined where none is configured; one that is, and is not open, is an outage. */
  get #archive(): (() => WalArchive) | undefined {
    const { archiver } = this.#options;
    return archiver && (() => openArchive(archiver));
  }

  #segmentSizeBytes(): number | undefined {
    return this.#options.telemetry.number("segmentSizeBytes") || undefined;
  }
}

/** @throws {WalSourceError} It is not open, and why. */
export function openArchive({ archive, problems }: Archiver): WalArchive {
  if (archive) return archive;
  throw new WalSourceError("outage", `The archive is not open${problems[0] ? `: ${problems[0].message}` : " yet"}`);
}
