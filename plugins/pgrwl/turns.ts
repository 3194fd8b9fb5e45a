/** So many at once, and so many that wait for their turn. */

export class TurnsError extends Error {
  override readonly name = "TurnsError";
}

export class Turns {
  readonly #mostWaiting: number;
  readonly #waiting: (() => void)[] = [];
  #left: number;

  constructor(mostAtOnce: number, mostWaiting: number) {
    this.#left = mostAtOnce;
    this.#mostWaiting = mostWaiting;
  }

  /** To be disposed when the turn is over. @throws {TurnsError} Too many wait. @throws The signal's reason. */
  async take(signal: AbortSignal): Promise<Disposable> {
    signal.throwIfAborted();
    if (this.#left > 0) this.#left--;
    else await this.#wait(signal);
    return { [Symbol.dispose]: () => this.#next() };
  }

  #next(): void {
    const next = this.#waiting.shift();
    if (next === undefined) this.#left++;
    else next();
  }

  #wait(signal: AbortSignal): Promise<void> {
    if (this.#waiting.length >= this.#mostWaiting)
      throw new TurnsError(`${this.#mostWaiting} others wait already, try again`);
    return new Promise((resolve, reject) => {
      const abort = () => {
        const at = this.#waiting.indexOf(turn);
        if (at >= 0) this.#waiting.splice(at, 1);
        reject(signal.reason);
      };
      const turn = () => {
        signal.removeEventListener("abort", abort);
        resolve();
      };
      this.#waiting.push(turn);
      signal.addEventListener("abort", abort, { once: true });
    });
  }
}
