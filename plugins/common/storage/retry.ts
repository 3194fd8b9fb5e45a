/** Repeats what may succeed later, with growing pauses. */
import { StorageError } from "./errors.ts";

export interface RetryOptions {
  /** How often at most, the first time included. */
  readonly attempts: number;
  readonly signal?: AbortSignal;
  /** Pause before the second attempt; it doubles each time up to {@link maxPauseMs}. Default 200. */
  readonly firstPauseMs?: number;
}

const maxPauseMs = 10_000;

/** @throws The last error; at once where a repetition cannot help, or the signal's reason. */
export async function retry<Value>(options: RetryOptions, attempt: () => Promise<Value>): Promise<Value> {
  for (let made = 1; ; made++) {
    options.signal?.throwIfAborted();
    try {
      return await attempt();
    } catch (error) {
      options.signal?.throwIfAborted();
      if (!(error instanceof StorageError && error.isRetryable) || made >= options.attempts) throw error;
      await pause(pauseMs(made, options.firstPauseMs), options.signal);
    }
  }
}

/** Between half of the doubled pause and all of it, so that many clients of one server do not come back together. */
function pauseMs(made: number, firstPauseMs = 200): number {
  return Math.min(firstPauseMs * 2 ** (made - 1), maxPauseMs) * (0.5 + Math.random() / 2);
}

/** @throws The signal's reason, as soon as it is aborted. */
export function pause(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason);
    const abort = () => {
      clearTimeout(timer);
      reject(signal?.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", abort);
      resolve();
    }, ms);
    signal?.addEventListener("abort", abort, { once: true });
  });
}
