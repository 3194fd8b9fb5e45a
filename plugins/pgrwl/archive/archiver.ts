/** Everything that an instance does with its archive, in the background of its worker. No failure of it ends reception. */
import { createHash } from "node:crypto";
import type { Log } from "holdfast";
import { messageOf } from "../../common/storage/errors.ts";
import { pause } from "../../common/storage/retry.ts";
import type { StorageSettings } from "../../common/storage/settings.ts";
import type { WalArchive } from "../../common/wal-archive/archive.ts";
import { failureReason } from "../../common/wal-archive/errors.ts";
import { archiveFolder } from "../../common/wal-archive/object-names.ts";
import { openWalArchive } from "../../common/wal-archive/open.ts";
import type { Space } from "../directory-space.ts";
import { BackOff } from "../receiver/back-off.ts";
import type { LastArchived } from "../receiver/protocol.ts";
import { ArchivePlace } from "./archive-place.ts";
import { lastArchived, reachesFurther } from "./last-archived.ts";
import { LocalFiles } from "./local-files.ts";
import { LocalSpace } from "./local-space.ts";
import { PartialShipping, type Position } from "./partial-shipping.ts";
import { Retention, type RetentionReport } from "./retention.ts";
import type { ArchiveSection } from "./settings.ts";
import { type Beginning, findStartGap } from "./start-gap.ts";
import type { UploadProblem } from "./upload-telemetry.ts";
import { Uploader } from "./uploader.ts";

export interface ArchiverOptions {
  readonly section: ArchiveSection;
  /** The receive folder. */
  readonly directory: string;
  readonly firstBackOffMs: number;
  readonly longestBackOffMs: number;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly log: Log;
  /** Unix milliseconds. */
  readonly now: () => number;
  /** How far the receiver has got; undefined before it has begun. */
  readonly position: () => Position | undefined;
  /** Where reception began first; undefined before. */
  readonly beginning: () => Beginning | undefined;
  /** Of the receive folder. */
  readonly space: (signal: AbortSignal) => Promise<Space | undefined>;
  readonly onChange: () => void;
}

/** How long reception waits for an archive to say where it ends. */
const endWithinMs = 20_000;
/** The same where the folder has segments, and the archive is most likely behind it. */
const probeWithinMs = 3_000;
/** The longest pause between questions to an archive that could not be asked then. */
const longestLookMs = 60_000;
const tidyIntervalMs = 60_000;
/** Retention that failed is tried again so much later. */
const afterFailureMs = 300_000;
/** What a crashed writer has left is removed so much later; other writers may be at work. */
const unfinishedAgeMs = 86_400_000;

export class Archiver {
  readonly files: LocalFiles;
  readonly #options: ArchiverOptions;
  readonly #stopping = new AbortController();
  #archive: WalArchive | undefined;
  #uploader: Uploader | undefined;
  #localSpace: LocalSpace | undefined;
  #openProblem: UploadProblem | undefined;
  #report: RetentionReport | undefined;
  #running: Promise<void> | undefined;
  #missingAtStart: number | undefined;
  #startProblem: string | undefined;
  /** Of all runs, for counters. */
  readonly retentionTotals = { files: 0, bytes: 0, runs: new Map<RetentionReport["outcome"], number>() };

  constructor(options: ArchiverOptions) {
    this.#options = options;
    this.files = new LocalFiles(options.directory, identityOf(options.section.storage));
  }

  /** Undefined while its settings cannot be used: a certificate's file is missing, say. */
  get archive(): WalArchive | undefined {
    return this.#archive;
  }
  get uploader(): Uploader | undefined {
    return this.#uploader;
  }
  /** Of the last run of retention. */
  get report(): RetentionReport | undefined {
    return this.#report;
  }
  get problems(): readonly UploadProblem[] {
    return [...(this.#openProblem ? [this.#openProblem] : []), ...(this.#uploader?.problems ?? [])];
  }

  /** Segments that are missing between the archive and where reception began; undefined while nobody knows. */
  get missingAtStart(): number | undefined {
    return this.#missingAtStart;
  }
  /** Why somebody should look; undefined: nothing is missing, or nobody knows. */
  get startProblem(): string | undefined {
    return this.#startProblem;
  }

  /** Where the archive ends, if it reaches further than the folder. Never throws; an outage means that nobody knows. */
  async findEnd(signal: AbortSignal): Promise<LastArchived | undefined> {
    const { log } = this.#options;
    try {
      await this.files.load();
      const [newest] = this.files.segments();
      const withinMs = newest === undefined ? endWithinMs : probeWithinMs;
      const archive = await this.#open();
      const probing = AbortSignal.any([signal, this.#stopping.signal, AbortSignal.timeout(withinMs)]);
      if (newest && !(await reachesFurther(archive, newest, this.files, probing))) return undefined;
      const limited = AbortSignal.any([signal, this.#stopping.signal, AbortSignal.timeout(endWithinMs)]);
      const last = await lastArchived(archive, limited);
      if (last)
        log.info("The archive reaches further than the directory", { newest: newest?.name, archived: last.name });
      return last;
    } catch (error) {
      if (signal.aborted || this.#stopping.signal.aborted) return undefined;
      log.warn("It is not known where the archive ends: WAL that is missing behind it is noticed only later", {
        reason: failureReason(error),
        error: messageOf(error),
      });
      return undefined;
    }
  }

  /** A segment or a history got its final name. */
  notice(name: string): void {
    if (this.#uploader) void this.#uploader.notice(name);
    else void this.files.notice(name);
  }

  /** The disk is full: what is archived makes way now. */
  makeRoom(): void {
    void this.#localSpace?.tidy(this.#stopping.signal);
  }

  /** Until the signal is aborted, or {@link stop}. Never throws. */
  run(signal: AbortSignal): Promise<void> {
    signal.addEventListener("abort", () => this.#stopping.abort(), { once: true });
    if (signal.aborted) this.#stopping.abort();
    this.#running ??= this.#run(this.#stopping.signal);
    return this.#running;
  }

  /** Gives up what is under way; it is begun anew at the next start. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#running;
    await this.#archive?.close().catch(() => {});
  }

  async #run(signal: AbortSignal): Promise<void> {
    const { log, firstBackOffMs, longestBackOffMs } = this.#options;
    const backOff = new BackOff(firstBackOffMs, longestBackOffMs);
    while (!signal.aborted) {
      try {
        await this.#work(await this.#open(), signal);
      } catch (error) {
        if (signal.aborted) return;
        const reason = failureReason(error);
        const level = this.#openProblem?.reason === reason ? "debug" : "error";
        this.#openProblem = { reason, message: messageOf(error) };
        log[level]("Nothing can be archived; it is tried again", { reason, error: messageOf(error) });
        this.#options.onChange();
        await pause(backOff.next(), signal).catch(() => {});
      }
    }
  }

  async #open(): Promise<WalArchive> {
    const { section, environment } = this.#options;
    this.#archive ??= await openWalArchive(section, { environment });
    this.#openProblem = undefined;
    return this.#archive;
  }

  async #work(archive: WalArchive, signal: AbortSignal): Promise<void> {
    const { section, log, now, onChange, space, firstBackOffMs, longestBackOffMs, position } = this.#options;
    const { files } = this;
    await files.load();
    const place = new ArchivePlace({ archive, files, isMounted: section.storage.type !== "s3" });
    const localSpace = new LocalSpace({
      archive,
      files,
      place,
      keep: section.keep_local,
      log,
      now,
      space,
      onDeleted: (count) => {
        uploader.telemetry.localDeleted += count;
      },
      onMissing: (file) => uploader.uploadAgain(file),
    });
    const uploader: Uploader = new Uploader({
      archive,
      files,
      place,
      concurrency: section.concurrency,
      mostBytesPerSecond: section.max_rate,
      firstBackOffMs,
      longestBackOffMs,
      log,
      now,
      onChange,
      onArchived: ({ name, kind }) => {
        void localSpace.tidy(signal);
        if (section.ship_partial > 0 && kind === "segment") void shipping.whole(name, signal);
      },
    });
    this.#uploader = uploader;
    this.#localSpace = localSpace;
    const { telemetry } = uploader;
    const intervalMs = section.ship_partial * 1000;
    const shipping = new PartialShipping({ archive, files, place, intervalMs, telemetry, log, now, position });
    await Promise.all([
      uploader.run(signal),
      every(tidyIntervalMs, signal, () => localSpace.tidy(signal)),
      every(unfinishedAgeMs, signal, () => this.#removeUnfinished(archive, signal)),
      section.ship_partial > 0 ? shipping.run(signal) : undefined,
      section.retention && this.#retain(archive, section.retention, signal),
      this.#lookBehindStart(archive, signal),
    ]);
    files.writeRecord();
  }

  async #retain(archive: WalArchive, settings: NonNullable<ArchiveSection["retention"]>, signal: AbortSignal) {
    const { section, log, now, position, onChange } = this.#options;
    const retention = new Retention({
      archive,
      settings,
      password: section.encryption?.passphrase,
      log,
      now,
      segmentSizeBytes: () => position()?.segmentSizeBytes,
      oldestLocal: () => this.files.segments().at(-1)?.name,
      onReport: (report) => {
        this.#report = report;
        const { runs } = this.retentionTotals;
        runs.set(report.outcome, (runs.get(report.outcome) ?? 0) + 1);
        if (report.outcome === "done") {
          this.retentionTotals.files += report.deletedFiles;
          this.retentionTotals.bytes += report.deletedBytes;
        }
        onChange();
      },
    });
    await until(() => position() !== undefined, signal);
    while (!signal.aborted) {
      const report = await retention.run(signal);
      const waitMs = settings.interval * 1000;
      await pause(report?.outcome === "failed" ? Math.min(waitMs, afterFailureMs) : waitMs, signal).catch(() => {});
    }
  }

  /**
   * Once the archive can be asked: at the start it may have been away, and nobody has looked whose WAL it holds where the directory
   * tells where to go on. What has begun goes on, whatever is found.
   */
  async #lookBehindStart(archive: WalArchive, signal: AbortSignal): Promise<void> {
    const { beginning, log, onChange } = this.#options;
    await until(() => beginning() !== undefined, signal);
    // Sessions that follow begin elsewhere.
    const began = beginning();
    const backOff = new BackOff(this.#options.firstBackOffMs, longestLookMs);
    while (began && !signal.aborted) {
      try {
        const { missing, foreign } = await findStartGap(archive, this.files, began, signal);
        this.#missingAtStart = missing?.count ?? 0;
        const remedy = "take a new base backup";
        if (missing) {
          const { first, last, count: segments } = missing;
          this.#startProblem = `WAL is missing between the archive and where reception began: ${first} to ${last}; ${remedy}`;
          log.warn("WAL is missing between the archive and where reception began", { first, last, segments, remedy });
        }
        if (foreign !== undefined) {
          const place = "give each cluster an archive of its own";
          this.#startProblem = `The archive holds WAL of another cluster, with the system identifier ${foreign}; ${place}`;
          log.warn("The archive holds WAL of another cluster", { system_identifier: foreign, remedy: place });
        }
        if (!missing && foreign === undefined)
          log.info("Nothing is missing between the archive and where reception began");
        onChange();
        return;
      } catch (error) {
        log.debug("It is still not known where the archive ended", { error: messageOf(error) });
        await pause(backOff.next(), signal).catch(() => {});
      }
    }
  }

  async #removeUnfinished(archive: WalArchive, signal: AbortSignal): Promise<void> {
    const { log, now } = this.#options;
    try {
      const before = new Date(now() - unfinishedAgeMs);
      const removed = await archive.storage.removeUnfinished(before, { folder: archiveFolder, signal });
      if (removed > 0) log.info("Removed what crashed writers had left in the archive", { objects: removed });
    } catch (error) {
      log.debug("What crashed writers left in the archive cannot be removed", { error: messageOf(error) });
    }
  }
}

/** At once, and then so often after the end of each time, until the signal is aborted. */
async function every(intervalMs: number, signal: AbortSignal, work: () => Promise<unknown>): Promise<void> {
  while (!signal.aborted) {
    await work();
    await pause(intervalMs, signal).catch(() => {});
  }
}

/** Until a condition holds, looked at often, or the signal is aborted. */
async function until(condition: () => boolean, signal: AbortSignal): Promise<void> {
  while (!condition() && !signal.aborted) await pause(200, signal).catch(() => {});
}

/** Which archive it is, without its secrets and without what may change while it stays the same. */
function identityOf(storage: StorageSettings): string {
  const place =
    storage.type === "s3"
      ? [storage.endpoint, storage.region, storage.bucket, storage.prefix]
      : storage.type === "sftp"
        ? [storage.host, storage.port, storage.user, storage.directory]
        : [storage.directory];
  return createHash("sha256")
    .update(JSON.stringify([storage.type, ...place]))
    .digest("hex")
    .slice(0, 32);
}
