/**
 * Stores the beginning of the segment that is being received, every so often, as `NAME.partial`: what is flushed of it,
 * and zeros behind, as the file itself looks. Once the whole segment is in the archive, its beginning leaves it.
 */
import { open } from "node:fs/promises";
import type { Log } from "holdfast";
import { formatLsn } from "../../common/postgres/lsn.ts";
import { formatSegmentName, segmentAt } from "../../common/postgres/wal-segments.ts";
import { messageOf } from "../../common/storage/errors.ts";
import type { WalArchive } from "../../common/wal-archive/archive.ts";
import { failureReason, WalArchiveError } from "../../common/wal-archive/errors.ts";
import type { ArchivePlace } from "./archive-place.ts";
import type { LocalFiles } from "./local-files.ts";
import type { UploadTelemetry } from "./upload-telemetry.ts";

/** How far the receiver has got. */
export interface Position {
  readonly timeline: number;
  readonly flushed: bigint;
  readonly segmentSizeBytes: number;
}

export interface PartialShippingOptions {
  readonly archive: WalArchive;
  readonly files: LocalFiles;
  readonly place: ArchivePlace;
  readonly intervalMs: number;
  readonly telemetry: UploadTelemetry;
  readonly log: Log;
  /** Unix milliseconds. */
  readonly now: () => number;
  /** Undefined: it has not begun. */
  readonly position: () => Position | undefined;
}

const chunkBytes = 2 ** 20;

export class PartialShipping {
  readonly #options: PartialShippingOptions;
  /** One after the other: what is deleted is not stored again behind it. */
  #last: Promise<void> = Promise.resolve();
  /** Segments that are in the archive, whose beginnings are to be deleted there. */
  readonly #toDelete = new Set<string>();
  /** The segment whose beginning was stored last, and how far that reaches. */
  #shipped = { name: "", offset: 0 };
  #isFailing = false;

  constructor(options: PartialShippingOptions) {
    this.#options = options;
  }

  async run(signal: AbortSignal): Promise<void> {
    if (signal.aborted) return;
    const ended = Promise.withResolvers<void>();
    signal.addEventListener("abort", () => ended.resolve(), { once: true });
    // A storage may hang for longer than that: what is due meanwhile would pile up behind it.
    let isUnderWay = false;
    const timer = setInterval(async () => {
      if (isUnderWay) return;
      isUnderWay = true;
      await this.ship(signal);
      isUnderWay = false;
    }, this.#options.intervalMs);
    await ended.promise;
    clearInterval(timer);
    await this.#last;
  }

  /** The archive has the whole segment. */
  whole(name: string, signal: AbortSignal): Promise<void> {
    this.#toDelete.add(name);
    return this.#next(signal);
  }

  /** Stores what is flushed, unless it is stored already. Never throws. */
  ship(signal: AbortSignal): Promise<void> {
    return this.#next(signal, async () => {
      const position = this.#options.position();
      if (position) await this.#ship(position, signal);
    });
  }

  #next(signal: AbortSignal, work?: () => Promise<void>): Promise<void> {
    this.#last = this.#last.then(async () => {
      try {
        if (signal.aborted) return;
        await this.#clean(signal);
        await work?.();
        this.#isFailing = false;
      } catch (error) {
        if (signal.aborted) return;
        const reason = failureReason(error);
        this.#options.telemetry.fail(reason);
        const level = this.#isFailing ? "debug" : "warn";
        this.#isFailing = true;
        this.#options.log[level]("The current segment's beginning cannot be archived", {
          reason,
          error: messageOf(error),
        });
      }
    });
    return this.#last;
  }

  async #clean(signal: AbortSignal): Promise<void> {
    const { archive } = this.#options;
    for (const name of this.#toDelete) {
      await archive.delete(await archive.find(`${name}.partial`, { signal }), { signal });
      this.#toDelete.delete(name);
    }
  }

  /** How far what an earlier process stored of a segment reaches; one that cannot be read is replaced. */
  async #reach(name: string, signal: AbortSignal): Promise<number> {
    try {
      return reachOf((await this.#options.archive.read(`${name}.partial`, { signal })).content);
    } catch (error) {
      // Nothing there, nothing of use, or no folder yet: the first object makes it.
      if (error instanceof WalArchiveError || failureReason(error) === "misconfigured") return 0;
      throw error;
    }
  }

  async #ship({ timeline, flushed, segmentSizeBytes }: Position, signal: AbortSignal): Promise<void> {
    const { archive, files, place, telemetry, now, log } = this.#options;
    const offset = Number(flushed % BigInt(segmentSizeBytes));
    const name = formatSegmentName({ timeline, number: segmentAt(flushed, segmentSizeBytes) }, segmentSizeBytes);
    if (offset === 0) return;
    await place.require(signal);
    if (this.#shipped.name !== name) this.#shipped = { name, offset: await this.#reach(name, signal) };
    // After a break the segment is received again from its start: what is archived of it reaches further for a while.
    if (offset <= this.#shipped.offset) return;
    try {
      await archive.putPartial(
        `${name}.partial`,
        beginning(files.pathOf(`${name}.partial`), offset, segmentSizeBytes),
        {
          signal,
        },
      );
    } catch (error) {
      // It was completed meanwhile.
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return;
      throw error;
    }
    this.#shipped = { name, offset };
    telemetry.partials++;
    telemetry.lastPartialAt = now();
    log.debug("Archived the current segment's beginning", { file: `${name}.partial`, position: formatLsn(flushed) });
    // The whole may have been faster.
    if (files.get(name)?.archived) this.#toDelete.add(name);
  }
}

/** How far a beginning reaches. */
const reachOf = (content: Uint8Array): number => content.findLastIndex((byte) => byte !== 0) + 1;

/** The flushed bytes of a partial file, with zeros up to the segment's size: what is behind may change while it is read. */
async function* beginning(path: string, flushedBytes: number, segmentSizeBytes: number): AsyncGenerator<Uint8Array> {
  await using file = await open(path, "r");
  for (let at = 0; at < flushedBytes; ) {
    const length = Math.min(chunkBytes, flushedBytes - at);
    const { bytesRead, buffer } = await file.read(new Uint8Array(length), 0, length, at);
    if (bytesRead === 0) throw new Error(`Cannot read ${path}: it ends at ${at} of the ${flushedBytes} bytes flushed`);
    yield buffer.subarray(0, bytesRead);
    at += bytesRead;
  }
  const zeros = new Uint8Array(Math.min(chunkBytes, segmentSizeBytes));
  for (let at = flushedBytes; at < segmentSizeBytes; at += zeros.length)
    yield zeros.subarray(0, Math.min(zeros.length, segmentSizeBytes - at));
}
