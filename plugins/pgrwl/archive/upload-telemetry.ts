/** What archiving has done so far, and how it stands; for the page. */
import type { FailureReason } from "../../common/wal-archive/errors.ts";

/** Upper bounds of the buckets of upload durations, in seconds. */
export const uploadBuckets = [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300] as const;

export interface UploadProblem {
  readonly reason: FailureReason;
  readonly message: string;
}

export class UploadTelemetry {
  stored = 0;
  present = 0;
  /** Of the files, and of the objects that they became. */
  sourceBytes = 0;
  storedBytes = 0;
  localDeleted = 0;
  partials = 0;
  readonly failures = new Map<FailureReason, number>();
  readonly durationCounts: number[] = Array.from({ length: uploadBuckets.length + 1 }, () => 0);
  durationSum = 0;
  /** Unix milliseconds. */
  lastUploadAt: number | undefined;
  lastPartialAt: number | undefined;

  observe(seconds: number): void {
    const index = uploadBuckets.findIndex((bound) => seconds <= bound);
    const bucket = index === -1 ? uploadBuckets.length : index;
    this.durationCounts[bucket] = (this.durationCounts[bucket] ?? 0) + 1;
    this.durationSum += seconds;
  }
  fail(reason: FailureReason): void {
    this.failures.set(reason, (this.failures.get(reason) ?? 0) + 1);
  }
}
