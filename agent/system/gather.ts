/** Many calls in a row as one: scripts and impatient people send a signal more than once. */

/** Quiet time that ends a row, and the longest time that a row may keep its first call waiting. */
const quietMs = 20;
const mostMs = 250;

/** A function that calls `action` once for each row of its own calls, soon after the last of them. */
export function gather(action: () => void): () => void {
  let timer: ReturnType<typeof setTimeout> | undefined;
  let firstAt = 0;
  return () => {
    const now = performance.now();
    if (timer === undefined) firstAt = now;
    clearTimeout(timer);
    const waitMs = Math.max(0, Math.min(quietMs, firstAt + mostMs - now));
    timer = setTimeout(() => {
      timer = undefined;
      action();
    }, waitMs);
  };
}
