/**
 * Brings ended segments and histories into the archive, and makes room for new ones. Whatever fails is tried again, for
 * ever: the storage's failures hold up everything, a file's own only that file.
 */
import type { Log } from "holdfast";
import { messageOf } from "../../common/storage/errors.ts";
import { yieldPoolThreads } from "../../common/system/pool-threads.ts";
import type { WalArchive } from "../../common/wal-archive/archive.ts";
import { failureReason, isOfOneFile } from "../../common/wal-archive/errors.ts";
import { BackOff } from "../receiver/back-off.ts";
import type { ArchivePlace } from "./archive-place.ts";
import type { LocalFile, LocalFiles } from "./local-files.ts";
import { type UploadProblem, UploadTelemetry } from "./upload-telemetry.ts";

export interface UploaderOptions {
  readonly archive: WalArchive;
  readonly files: LocalFiles;
  readonly place: ArchivePlace;
  readonly concurrency: number;
  /** Bytes of files. Undefined: as fast as the archive takes them. */
  readonly mostBytesPerSecond?: number | undefined;
  readonly firstBackOffMs: number;
  readonly longestBackOffMs: number;
  readonly log: Log;
  /** Unix milliseconds. */
  readonly now: () => number;
  /** Called for each file that the archive has now. */
  readonly onArchived?: (file: LocalFile) => void;
  /** Called when something has changed that people want to see. */
  readonly onChange?: () => void;
  /** How often the folder is looked at, for files that nobody told of. Default: a minute. */
  readonly scanIntervalMs?: number;
}

/** What has failed, and when it is tried again. */
interface Trouble extends UploadProblem {
  readonly backOff: BackOff;
  /** Unix milliseconds. */
  readonly nextAttemptAt: number;
  /** The same moment of the monotonic clock, which nobody sets. */
  readonly dueAt: number;
}

/** Unix milliseconds for moments. */
export interface Backlog {
  readonly files: number;
  readonly bytes: number;
  readonly oldestAt: number | undefined;
}

export class Uploader {
  readonly telemetry = new UploadTelemetry();
  readonly #options: UploaderOptions;
  readonly #running = new Map<LocalFile, Promise<void>>();
  readonly #ownTroubles = new Map<string, Trouble>();
  /** Of the storage as a whole. While it lasts, one file at a time tries. */
  #trouble: Trouble | undefined;
  /** Of the monotonic clock, in milliseconds: before, an upload would exceed the rate. */
  #nextStartAt = 0;
  #wake: Timer | undefined;
  #signal: AbortSignal | undefined;

  constructor(options: UploaderOptions) {
    this.#options = options;
  }

  /** Until the signal is aborted and everything under way has ended. The folder was loaded. */
  async run(signal: AbortSignal): Promise<void> {
    this.#signal = signal;
    const ended = Promise.withResolvers<void>();
    signal.addEventListener("abort", () => ended.resolve(), { once: true });
    if (signal.aborted) return;
    const { scanIntervalMs = 60_000 } = this.#options;
    const scans = setInterval(() => void this.#rescan(), scanIntervalMs);
    this.#fill();
    await ended.promise;
    clearInterval(scans);
    clearTimeout(this.#wake);
    await Promise.all(this.#running.values());
  }

  /** A file got its final name. */
  async notice(name: string): Promise<void> {
    await this.#options.files.notice(name);
    this.#fill();
  }

  /** The archive has lost a file that is still here. */
  uploadAgain(file: LocalFile): void {
    this.#options.files.setMissing(file);
    this.#fill();
  }

  get running(): number {
    return this.#running.size;
  }
  /** What keeps files out of the archive now; of the storage first. */
  get problems(): readonly UploadProblem[] {
    return [...(this.#trouble ? [this.#trouble] : []), ...this.#ownTroubles.values()];
  }
  /** Unix milliseconds; undefined while uploads go on. */
  get nextAttemptAt(): number | undefined {
    return this.#trouble?.nextAttemptAt;
  }
  backlog(): Backlog {
    let [files, bytes] = [0, 0];
    let oldestAt: number | undefined;
    for (const { sizeBytes, modifiedMs } of this.#options.files.waiting()) {
      files++;
      bytes += sizeBytes;
      oldestAt = Math.min(oldestAt ?? modifiedMs, modifiedMs);
    }
    return { files, bytes, oldestAt };
  }

  async #rescan(): Promise<void> {
    const { files, log } = this.#options;
    try {
      await files.scan();
      for (const name of this.#ownTroubles.keys()) if (!files.get(name)) this.#ownTroubles.delete(name);
      this.#fill();
    } catch (error) {
      log.warn("The folder cannot be looked at", { error: messageOf(error) });
    }
  }

  /** Starts what may run now, and sets the clock for what may run later. */
  #fill(): void {
    const signal = this.#signal;
    if (signal === undefined || signal.aborted) return;
    clearTimeout(this.#wake);
    // Once: what is not due yet in the loop must be waited for behind it.
    const at = performance.now();
    const limit = this.#trouble === undefined ? this.#options.concurrency : this.#trouble.dueAt > at ? 0 : 1;
    while (this.#running.size < limit && at >= this.#nextStartAt) {
      const file = this.#next(at);
      if (file === undefined) break;
      this.#pace(file);
      const upload = this.#upload(file, signal).finally(() => {
        this.#running.delete(file);
        this.#fill();
      });
      this.#running.set(file, upload);
    }
    const moments = [this.#trouble, ...this.#ownTroubles.values()].map((one) => one?.dueAt ?? 0);
    const waits = [...moments, this.#nextStartAt].map((moment) => moment - at);
    const next = Math.min(...waits.filter((wait) => wait > 0));
    if (Number.isFinite(next)) this.#wake = setTimeout(() => this.#fill(), next);
  }

  /** Each file goes at full speed; what is too much is waited for before the next. */
  #pace({ sizeBytes }: LocalFile): void {
    const { mostBytesPerSecond } = this.#options;
    if (mostBytesPerSecond === undefined) return;
    this.#nextStartAt = Math.max(this.#nextStartAt, performance.now()) + (sizeBytes / mostBytesPerSecond) * 1000;
  }

  /** The first by name of those that wait: a history comes before its timeline's WAL. */
  #next(at: number): LocalFile | undefined {
    let first: LocalFile | undefined;
    for (const file of this.#options.files.waiting()) {
      if (first !== undefined && first.name < file.name) continue;
      if (this.#running.has(file) || (this.#ownTroubles.get(file.name)?.dueAt ?? 0) > at) continue;
      first = file;
    }
    return first;
  }

  async #upload(file: LocalFile, signal: AbortSignal): Promise<void> {
    const { archive, files, place, log, now, onArchived, onChange } = this.#options;
    const beganAt = performance.now();
    yieldPoolThreads();
    let isPlaceFine = false;
    try {
      await place.require(signal);
      isPlaceFine = true;
      const stored = await archive.put(file.name, files.pathOf(file.name), { signal });
      this.#storageWorks();
      this.#ownTroubles.delete(file.name);
      if (!(await files.setArchived(file, stored))) return;
      onArchived?.(file);
      const seconds = (performance.now() - beganAt) / 1000;
      this.telemetry.lastUploadAt = now();
      this.telemetry.observe(seconds);
      if (stored.outcome === "present") this.telemetry.present++;
      else {
        this.telemetry.stored++;
        this.telemetry.sourceBytes += file.sizeBytes;
        this.telemetry.storedBytes += stored.storedBytes;
      }
      const { objectName: object, outcome, storedBytes: stored_bytes } = stored;
      log.debug("Archived", { file: file.name, object, outcome, stored_bytes, duration_seconds: seconds });
    } catch (error) {
      if (signal.aborted) return;
      // It was moved or deleted meanwhile: nothing to be stored.
      if ((await files.notice(file.name)) !== file) return;
      this.#fail(file, error, isPlaceFine);
    } finally {
      onChange?.();
    }
  }

  #fail(file: LocalFile, error: unknown, isPlaceFine: boolean): void {
    const reason = failureReason(error);
    const message = messageOf(error);
    this.telemetry.fail(reason);
    // Of this machine nothing is needed but the file itself, where the place was found to be fine.
    const isOwn = isOfOneFile(reason) || (reason === "local" && isPlaceFine);
    const before = isOwn ? this.#ownTroubles.get(file.name) : this.#trouble;
    const { firstBackOffMs, longestBackOffMs, now, log } = this.#options;
    const backOff = before?.backOff ?? new BackOff(firstBackOffMs, longestBackOffMs);
    const waitMs = backOff.next();
    const trouble = { reason, message, backOff, nextAttemptAt: now() + waitMs, dueAt: performance.now() + waitMs };
    if (isOwn) this.#ownTroubles.set(file.name, trouble);
    else this.#trouble = trouble;
    const level = before?.reason === reason ? "debug" : isOwn ? "error" : "warn";
    const fields = { file: file.name, reason, error: message, next_attempt_seconds: waitMs / 1000 };
    log[level]("A file cannot be archived; it stays, and is tried again", fields);
  }

  #storageWorks(): void {
    if (this.#trouble === undefined) return;
    const { files, bytes } = this.backlog();
    this.#options.log.info("The archive takes files again", { waiting_files: files, waiting_bytes: bytes });
    this.#trouble = undefined;
  }
}
