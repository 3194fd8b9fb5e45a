/**
 * Deletes WAL from the archive that was stored long ago and that nobody needs. It only ever takes from the beginning: what
 * is left has no hole that was not there before. Histories and labels stay for ever.
 */
import type { Log } from "holdfast";
import { messageOf } from "../../common/storage/errors.ts";
import type { ArchivedFile, WalArchive } from "../../common/wal-archive/archive.ts";
import { failureReason } from "../../common/wal-archive/errors.ts";
import { configuredNeeds, type Need, type Needs, storedBackups } from "./base-backups.ts";
import type { RetentionSettings } from "./settings.ts";

/** What became of a run; `doubt`: something could not be made sense of, and so everything stayed. */
export type RetentionOutcome = "done" | "dry_run" | "doubt" | "failed";
export const retentionOutcomes: readonly RetentionOutcome[] = ["done", "dry_run", "doubt", "failed"];

export interface RetentionReport {
  /** Unix milliseconds. */
  readonly startedAt: number;
  readonly endedAt: number;
  readonly outcome: RetentionOutcome;
  /** WAL from this segment on stays, on whatever timeline; undefined: all of it does. */
  readonly keptFrom?: string | undefined;
  /** Who needs that segment. */
  readonly heldBy?: string | undefined;
  /** Why nothing was deleted. */
  readonly doubts: readonly string[];
  /** Files of WAL in the archive, before. */
  readonly files: number;
  /** Deleted, or, in a dry run, to be deleted. */
  readonly deletedFiles: number;
  readonly deletedBytes: number;
  readonly firstDeleted?: string | undefined;
  readonly lastDeleted?: string | undefined;
}

export interface RetentionOptions {
  readonly archive: WalArchive;
  readonly settings: RetentionSettings;
  readonly password: string | undefined;
  readonly log: Log;
  /** Unix milliseconds. */
  readonly now: () => number;
  /** Undefined while the server has not told it. */
  readonly segmentSizeBytes: () => number | undefined;
  /** The oldest segment in the receive folder: what is there is not taken from the archive. */
  readonly oldestLocal: () => string | undefined;
  readonly onReport: (report: RetentionReport) => void;
}

/** What an archive holds, in one pass over its list. */
interface Looked {
  readonly files: number;
  /** Unix milliseconds, by the storage's clock. */
  readonly lastStoredAt: number;
  /** The first segment in the order of positions that was stored within the time. */
  readonly young: ArchivedFile | undefined;
  readonly newest: ArchivedFile | undefined;
  readonly labels: readonly Need[];
}

/** Without anything stored for so long, time is counted back from what was stored last. */
const stillMs = 3_600_000;
/** Objects that are deleted by one request. */
const deletedAtOnce = 500;

/** A position in the WAL as the names of segments have it, without the timeline: the order of these texts is that of the WAL. */
const positionOf = (segment: string) => segment.slice(8);

export class Retention {
  readonly #options: RetentionOptions;

  constructor(options: RetentionOptions) {
    this.#options = options;
  }

  /** Runs once, and reports. Never throws. */
  async run(signal: AbortSignal): Promise<RetentionReport | undefined> {
    const { log, now, onReport, settings } = this.#options;
    const startedAt = now();
    let report: RetentionReport;
    try {
      report = { startedAt, ...(await this.#run(signal)), endedAt: now() };
    } catch (error) {
      if (signal.aborted) return undefined;
      log.warn("Retention failed; what is left is whole", { reason: failureReason(error), error: messageOf(error) });
      const nothing = { doubts: [], files: 0, deletedFiles: 0, deletedBytes: 0 };
      report = { startedAt, endedAt: now(), outcome: "failed", ...nothing };
      onReport(report);
      return report;
    }
    onReport(report);
    const { doubts, files, deletedFiles, deletedBytes, keptFrom, heldBy, firstDeleted, lastDeleted } = report;
    for (const doubt of doubts) log.warn("Retention deletes nothing", { doubt });
    const level = deletedFiles > 0 ? "info" : "debug";
    log[level](settings.dry_run ? "Retention would delete" : "Retention deleted", {
      files: deletedFiles,
      of_files: files,
      bytes: deletedBytes,
      first: firstDeleted,
      last: lastDeleted,
      kept_from: keptFrom,
      held_by: heldBy,
    });
    return report;
  }

  async #run(signal: AbortSignal): Promise<Omit<RetentionReport, "startedAt" | "endedAt">> {
    const { settings, now } = this.#options;
    const { needs, doubts } = await this.#needs(signal);
    let youngest = now() - settings.keep * 1000;
    let looked = await this.#look(youngest, signal);
    // A clock here that is ahead of the storage's, or a server that has long written nothing: neither makes WAL older than it is.
    if (looked.lastStoredAt < now() - stillMs) {
      youngest = looked.lastStoredAt - settings.keep * 1000;
      looked = await this.#look(youngest, signal);
    }
    const { files, young, newest, labels } = looked;
    const nothing = { files, deletedFiles: 0, deletedBytes: 0, doubts };
    if (doubts.length > 0) return { ...nothing, outcome: "doubt" };
    const local = this.#options.oldestLocal();
    const all: Need[] = [
      ...needs,
      ...labels,
      ...(young ? [{ who: "keep", segment: young.base }] : []),
      ...(newest ? [{ who: "the newest segment", segment: newest.base }] : []),
      ...(local === undefined ? [] : [{ who: "the receive directory", segment: local }]),
    ];
    const first = all.sort((one, other) => (positionOf(one.segment) < positionOf(other.segment) ? -1 : 1))[0];
    if (newest === undefined || first === undefined)
      return { ...nothing, outcome: settings.dry_run ? "dry_run" : "done" };
    return { ...nothing, ...(await this.#delete(first, youngest, signal)) };
  }

  async #look(youngest: number, signal: AbortSignal): Promise<Looked> {
    let [files, lastStoredAt] = [0, 0];
    let [young, newest]: (ArchivedFile | undefined)[] = [];
    const labels: Need[] = [];
    for await (const file of this.#options.archive.list({ signal })) {
      files++;
      if (file.kind === "label") labels.push({ who: `the label ${file.name} in the archive`, segment: file.base });
      if (file.kind !== "segment" && file.kind !== "partial") continue;
      const storedAt = file.modified.getTime();
      lastStoredAt = Math.max(lastStoredAt, storedAt);
      if (storedAt >= youngest && (young === undefined || positionOf(file.base) < positionOf(young.base))) young = file;
      if (file.kind === "segment" && (newest === undefined || positionOf(file.base) > positionOf(newest.base)))
        newest = file;
    }
    return { files, lastStoredAt, young, newest, labels };
  }

  async #needs(signal: AbortSignal): Promise<Needs> {
    const { archive, settings, password } = this.#options;
    const segmentSizeBytes = this.#options.segmentSizeBytes();
    const configured = await configuredNeeds(settings.keep_from);
    if (segmentSizeBytes === undefined)
      return { needs: [], doubts: ["the size of a segment is not known before the first connection to the server"] };
    const stored = await storedBackups(archive.storage, { password, segmentSizeBytes, signal });
    return { needs: [...configured.needs, ...stored.needs], doubts: [...configured.doubts, ...stored.doubts] };
  }

  /** The oldest first: whatever interrupts it, no hole comes to be. */
  async #delete({ who, segment }: Need, youngest: number, signal: AbortSignal) {
    const { archive, settings } = this.#options;
    let [deletedFiles, deletedBytes] = [0, 0];
    let [firstDeleted, lastDeleted]: (string | undefined)[] = [];
    let batch: ArchivedFile[] = [];
    const flush = async () => {
      if (!settings.dry_run && batch.length > 0) await archive.delete(batch, { signal });
      deletedFiles += batch.length;
      for (const { name, sizeBytes } of batch) {
        deletedBytes += sizeBytes;
        firstDeleted ??= name;
        lastDeleted = name;
      }
      batch = [];
    };
    for await (const file of archive.list({ signal })) {
      const isWal = file.kind === "segment" || file.kind === "partial";
      // Looked at again: it may have been stored anew meanwhile.
      if (!isWal || positionOf(file.base) >= positionOf(segment) || file.modified.getTime() >= youngest) continue;
      batch.push(file);
      if (batch.length === deletedAtOnce) await flush();
    }
    await flush();
    const outcome: RetentionOutcome = settings.dry_run ? "dry_run" : "done";
    return { outcome, keptFrom: segment, heldBy: who, deletedFiles, deletedBytes, firstDeleted, lastDeleted };
  }
}
