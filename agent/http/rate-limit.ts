/**
 * A bucket of `burst` tokens that gets one more each interval; a request takes one. It holds for all clients together.
 * Source: golang.org/x/time/rate, as exporter-toolkit uses it.
 */
export class RateLimit {
  readonly #now: () => number;
  #tokens = Number.POSITIVE_INFINITY;
  #at = 0;

  /** @param now A clock in milliseconds that never goes back. */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  allow({ intervalSeconds, burst }: { readonly intervalSeconds: number; readonly burst: number }): boolean {
    const now = this.#now();
    const gained = (now - this.#at) / (intervalSeconds * 1000);
    this.#tokens = Math.min(burst, this.#tokens + gained);
    this.#at = now;
    if (this.#tokens < 1) return false;
    this.#tokens--;
    return true;
  }
}
