/** A bound on the lines that one plugin logs: a loop that prints must not fill the disk, nor the agent's memory. */

/** Lines at once, and then each second. */
const burst = 1_000;
const linesPerSecond = 100;

/** A bucket of lines. Lines beyond it are counted, and told of with the next one that passes. */
export class LogLimit {
  readonly #now: () => number;
  #left = burst;
  #at: number;
  #lost = 0;

  /** @param now A clock in milliseconds that never goes back. */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
    this.#at = now();
  }

  /** Whether a line may pass; then with the number of those before it that could not. */
  pass(): { readonly lost: number } | undefined {
    const now = this.#now();
    this.#left = Math.min(burst, this.#left + ((now - this.#at) / 1000) * linesPerSecond);
    this.#at = now;
    if (this.#left < 1) {
      this.#lost++;
      return undefined;
    }
    this.#left--;
    const lost = this.#lost;
    this.#lost = 0;
    return { lost };
  }
}
