/** What the agent remembers of an instance. */
import type { FailureReason } from "./protocol.ts";
import { KnownWindows } from "./restorable.ts";

/** What outlives a reload of the instance: its counts since the agent's start, its last collection, what it could restore. */
export class History {
  readonly collects = { success: 0, failure: 0 };
  readonly failures = new Map<FailureReason, number>();
  restarts = 0;
  /** Unix milliseconds. */
  lastSuccessAt: number | undefined;
  lastDurationSeconds: number | undefined;
  /** Undefined before the first collection has ended. */
  lastSucceeded: boolean | undefined;
  readonly windows = new KnownWindows();

  /** Of an instance with nothing to collect, which a predecessor may have had. */
  forgetCollections(): void {
    this.lastSuccessAt = undefined;
    this.lastDurationSeconds = undefined;
    this.lastSucceeded = undefined;
  }
}
