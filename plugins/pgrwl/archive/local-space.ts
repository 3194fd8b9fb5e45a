/** Deletes from the receive folder what the archive has for certain, as far as `keep_local` lets it, or the disk demands it. */
import type { Log } from "holdfast";
import { messageOf } from "../../common/storage/errors.ts";
import type { WalArchive } from "../../common/wal-archive/archive.ts";
import type { Space } from "../directory-space.ts";
import type { ArchivePlace } from "./archive-place.ts";
import type { LocalFile, LocalFiles } from "./local-files.ts";
import type { KeepLocal } from "./settings.ts";

export interface LocalSpaceOptions {
  readonly archive: WalArchive;
  readonly files: LocalFiles;
  readonly place: ArchivePlace;
  readonly keep: KeepLocal;
  readonly log: Log;
  /** Unix milliseconds. */
  readonly now: () => number;
  /** Undefined: nobody knows. */
  readonly space: (signal: AbortSignal) => Promise<Space | undefined>;
  readonly onDeleted: (files: number) => void;
  /** Default 5000. */
  readonly retryMs?: number;
  /** The archive does not have what it had. */
  readonly onMissing: (file: LocalFile) => void;
}

/** Room for so many segments is kept free, at the expense of `keep_local`. */
const freeSegments = 3;
/** After a failure: WAL that comes slowly would be no occasion to look again for long. */
const defaultRetryMs = 5000;
/** The archive is asked about so many objects at once. */
const looksAtOnce = 8;

export class LocalSpace {
  readonly #options: LocalSpaceOptions;
  #isTidying = false;
  #isWanted = false;
  #retry: Timer | undefined;
  #hasFailed = false;

  constructor(options: LocalSpaceOptions) {
    this.#options = options;
  }

  /** Deletes what may go; what cannot go now is tried again. One at a time: a call during another makes that one look once more. */
  async tidy(signal: AbortSignal): Promise<void> {
    this.#isWanted = true;
    if (this.#isTidying) return;
    this.#isTidying = true;
    clearTimeout(this.#retry);
    try {
      while (this.#isWanted && !signal.aborted) {
        this.#isWanted = false;
        await this.#tidyOnce(signal);
      }
      this.#hasFailed = false;
    } catch (error) {
      if (!signal.aborted) this.#tryAgain(error, signal);
    } finally {
      this.#options.files.writeRecord();
      this.#isTidying = false;
    }
  }

  #tryAgain(error: unknown, signal: AbortSignal): void {
    const level = this.#hasFailed ? "debug" : "warn";
    this.#options.log[level]("Archived segments cannot be deleted here", { error: messageOf(error) });
    this.#hasFailed = true;
    const again = () => void (signal.aborted || this.tidy(signal));
    this.#retry = setTimeout(again, this.#options.retryMs ?? defaultRetryMs).unref();
  }

  async #tidyOnce(signal: AbortSignal): Promise<void> {
    const { files, place, keep, now, onDeleted } = this.#options;
    const removable = files.removable(keep, now(), await this.#missingBytes(signal));
    if (removable.length > 0) await place.requireOwn(signal);
    for (let at = 0; at < removable.length; at += looksAtOnce) {
      const batch = removable.slice(at, at + looksAtOnce);
      const isThere = await Promise.all(batch.map((file) => this.#isThere(file, signal)));
      const deleted = batch.filter((file, index) => isThere[index] === true && files.remove(file)).length;
      if (deleted === 0) continue;
      files.sync();
      onDeleted(deleted);
    }
  }

  async #missingBytes(signal: AbortSignal): Promise<number> {
    const segmentBytes = this.#options.files.segments()[0]?.sizeBytes ?? 0;
    const space = await this.#options.space(signal);
    return space === undefined ? 0 : Math.max(0, freeSegments * segmentBytes - space.freeBytes);
  }

  /** It may have been archived long ago: somebody may have deleted the object since. */
  async #isThere(file: LocalFile, signal: AbortSignal): Promise<boolean> {
    const { archive, onMissing, log } = this.#options;
    if (file.archived === undefined) return false;
    if (await archive.has(file.archived, { signal })) return true;
    log.warn("The archive has lost a file that is still here; it is stored again", {
      file: file.name,
      object: file.archived.objectName,
    });
    onMissing(file);
    return false;
  }
}
