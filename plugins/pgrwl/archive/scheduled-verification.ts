/** Verifies the archive every so often, in the background of the instance's worker. No failure of it ends anything. */
import type { Log } from "holdfast";
import { messageOf } from "../../common/storage/errors.ts";
import { pause } from "../../common/storage/retry.ts";
import type { WalArchive } from "../../common/wal-archive/archive.ts";
import { failureReason } from "../../common/wal-archive/errors.ts";
import { type Verification, type VerifyDepth, verifyArchive } from "../../common/wal-archive/verify.ts";

/** A closed list, for a label. */
export const verificationResults = ["whole", "flawed", "failed"] as const;
export type VerificationResult = (typeof verificationResults)[number];

export interface ScheduledVerificationOptions {
  readonly depth: VerifyDepth;
  readonly intervalMs: number;
  readonly log: Log;
  now(): number;
  /** @throws {Error} It is not open yet. */
  archive(): WalArchive;
  segmentSizeBytes(): number | undefined;
  /** Of the server; undefined while it has not told it. */
  systemIdentifier?(): string | undefined;
  timeline?(): number | undefined;
  /** Whether WAL was stored there. */
  expectsWal(): boolean;
  /** Names of whole segments that may still have to be archived. */
  waiting(): Iterable<string>;
  onEnd(): void;
}

/** The first one, so that a restart every hour does not mean that none is ever made; and after one that failed. */
const soonMs = 60_000;
const mostNamed = 5;

export class ScheduledVerification {
  readonly totals = new Map<VerificationResult, number>();
  readonly #options: ScheduledVerificationOptions;
  #last: (Verification & { readonly endedAt: number; readonly seconds: number }) | undefined;

  constructor(options: ScheduledVerificationOptions) {
    this.#options = options;
  }

  /** The last one that could be made; `endedAt` in Unix milliseconds. */
  get last(): (Verification & { readonly endedAt: number; readonly seconds: number }) | undefined {
    return this.#last;
  }

  /** Why somebody should look; undefined when the last one found nothing. */
  get problem(): string | undefined {
    const { last } = this;
    if (last === undefined || last.isWhole) return undefined;
    const { gaps, damaged, missingHistories } = last;
    const missing = gaps.map((gap) => (gap.count === 1 ? gap.first : `${gap.first} to ${gap.last}`));
    const parts = [
      missing.length > 0 ? `missing: ${shortened([...missing, ...missingHistories])}` : "",
      damaged.length > 0 ? `damaged: ${shortened(damaged.map(({ objectName }) => objectName))}` : "",
      last.segments === 0 ? "it holds no WAL at all, although some was stored there; is its disk mounted?" : "",
      missing.length === 0 && missingHistories.length > 0 ? `missing: ${shortened(missingHistories)}` : "",
    ].filter(Boolean);
    return `The archive is not whole; ${parts.join("; ")}`;
  }

  /** Until the signal is aborted. Never throws. */
  async run(signal: AbortSignal): Promise<void> {
    const { intervalMs } = this.#options;
    let waitMs = Math.min(intervalMs, soonMs);
    while (!signal.aborted) {
      await pause(waitMs, signal).catch(() => {});
      if (signal.aborted) return;
      const result = await this.#once(signal);
      if (result === undefined) return;
      this.totals.set(result, (this.totals.get(result) ?? 0) + 1);
      this.#options.onEnd();
      waitMs = result === "failed" ? Math.min(intervalMs, soonMs) : intervalMs;
    }
  }

  async #once(signal: AbortSignal): Promise<VerificationResult | undefined> {
    const { depth, log, now, archive, segmentSizeBytes, expectsWal, waiting } = this.#options;
    const startedAt = now();
    try {
      const verification = await verifyArchive(archive(), {
        depth,
        segmentSizeBytes: segmentSizeBytes(),
        systemIdentifier: this.#options.systemIdentifier?.(),
        timeline: this.#options.timeline?.(),
        waiting,
        expectsWal: expectsWal(),
        signal,
      });
      const endedAt = now();
      this.#last = { ...verification, endedAt, seconds: (endedAt - startedAt) / 1000 };
      const { isWhole, segments, readObjects: read_objects } = verification;
      if (isWhole) log.info("The archive is whole", { segments, read_objects, depth });
      else log.error("The archive is not whole", { problem: this.problem, segments, read_objects, depth });
      return isWhole ? "whole" : "flawed";
    } catch (error) {
      if (signal.aborted) return undefined;
      log.warn("Cannot verify the archive; it is tried again", {
        reason: failureReason(error),
        error: messageOf(error),
      });
      return "failed";
    }
  }
}

function shortened(names: readonly string[]): string {
  const rest = names.length - mostNamed;
  return `${names.slice(0, mostNamed).join(", ")}${rest > 0 ? ` and ${rest} more` : ""}`;
}
