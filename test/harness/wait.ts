/** Waits for a condition instead of a time. */

const pollMs = 20;

/**
 * The first value of `condition` that is neither undefined, null nor false; a throw counts as "not yet".
 * @param what Completes "Waited N s for …" when the deadline passes.
 */
export async function waitFor<Value>(
  what: string,
  condition: () => Value | Promise<Value>,
  deadlineMs = 30_000,
): Promise<Exclude<Value, undefined | null | false>> {
  const end = performance.now() + deadlineMs;
  let cause: unknown;
  for (;;) {
    try {
      const value = await condition();
      if (value !== undefined && value !== null && value !== false) {
        return value as Exclude<Value, undefined | null | false>;
      }
      cause = undefined;
    } catch (error) {
      cause = error;
    }
    if (performance.now() >= end) throw new Error(`Waited ${deadlineMs / 1000} s for ${what}`, { cause });
    await Bun.sleep(pollMs);
  }
}
