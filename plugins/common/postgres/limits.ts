/** How long a wait may last. */
export interface Limits {
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
}

/** More than this, `setTimeout()` takes for nothing. */
const longestTimeoutMs = 2 ** 31 - 1;

/**
 * What `work` becomes, unless the time is over or the signal aborts first; `work` then goes on for itself.
 * @param late Makes the error of a wait that lasted too long. An abort is thrown as the signal's reason.
 */
export async function within<Value>(
  work: Promise<Value>,
  { timeoutMs, signal }: Limits,
  late: () => Error,
): Promise<Value> {
  const over = Promise.withResolvers<never>();
  const timer = setTimeout(() => over.reject(late()), Math.min(Math.max(timeoutMs, 0), longestTimeoutMs));
  const abort = () => over.reject(signal.reason);
  signal.addEventListener("abort", abort, { once: true });
  if (signal.aborted) abort();
  try {
    return await Promise.race([work, over.promise]);
  } finally {
    clearTimeout(timer);
    signal.removeEventListener("abort", abort);
  }
}
