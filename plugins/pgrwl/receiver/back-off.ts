/** How long to wait before the next attempt. */

/** Doubles from the first wait to the longest, each shortened at random by up to half, so that many never come at once. */
export class BackOff {
  readonly #firstMs: number;
  readonly #longestMs: number;
  readonly #random: () => number;
  #attempts = 0;

  constructor(firstMs: number, longestMs: number, random: () => number = Math.random) {
    this.#firstMs = firstMs;
    this.#longestMs = longestMs;
    this.#random = random;
  }

  /** In milliseconds. */
  next(): number {
    const wait = Math.min(this.#firstMs * 2 ** this.#attempts, this.#longestMs);
    if (wait < this.#longestMs) this.#attempts += 1;
    return wait * (1 - this.#random() / 2);
  }
  /** After success. */
  reset(): void {
    this.#attempts = 0;
  }
}
