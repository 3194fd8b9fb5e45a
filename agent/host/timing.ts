/** Waiting and pacing. Moments are milliseconds of a monotonic clock unless they say Unix. */

/** setTimeout takes 31 bits and fires at once beyond. */
const longestTimerMs = 2 ** 31 - 1;

/** Calls `action` once after `delayMs`, which may be longer than any timer; the returned function calls it off. */
export function after(delayMs: number, action: () => void): () => void {
  let timer: ReturnType<typeof setTimeout>;
  const arm = (left: number) => {
    timer =
      left > longestTimerMs ? setTimeout(() => arm(left - longestTimerMs), longestTimerMs) : setTimeout(action, left);
  };
  arm(Math.max(0, delayMs));
  return () => clearTimeout(timer);
}

/** Waits as long as given, or until the signal is aborted. */
export function waited(delayMs: number, signal: AbortSignal): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const callOff = after(delayMs, resolve);
  const abort = () => {
    callOff();
    resolve();
  };
  signal.addEventListener("abort", abort, { once: true });
  if (signal.aborted) abort();
  return promise.finally(() => signal.removeEventListener("abort", abort));
}

/**
 * The age at which an instance's series are dropped where nothing else is said: five intervals, or as long as it takes from one
 * good collection to the end of the next where that may take longer. All in seconds.
 */
export function defaultStaleAfter(interval: number, timeout: number): number {
  return Math.max(5 * interval, interval + timeout);
}

/** The first moment of the series `first, first + interval, …` that is later than `now`: what was missed is not made up for. */
export function nextTick(first: number, interval: number, now: number): number {
  if (now < first) return first;
  return first + (Math.floor((now - first) / interval) + 1) * interval;
}

/** Delays that double from `firstMs` to `mostMs`, until `reset()`. */
export class Backoff {
  readonly #firstMs: number;
  readonly #mostMs: number;
  #failures = 0;

  constructor(firstMs: number, mostMs: number) {
    this.#firstMs = firstMs;
    this.#mostMs = mostMs;
  }
  next(): number {
    return Math.min(this.#firstMs * 2 ** Math.min(this.#failures++, 30), this.#mostMs);
  }
  reset(): void {
    this.#failures = 0;
  }
}
