/** Ctrl-C and its like. Only noted: whatever is being started then is started whole, and can be cleaned up. */
export class Interruption {
  readonly #asked = Promise.withResolvers<void>();
  isAsked = false;

  /** @param heard Called at the first signal. */
  constructor(heard: () => void) {
    for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
      process.on(signal, () => {
        if (!this.isAsked) heard();
        this.ask();
      });
    }
  }

  ask(): void {
    this.isAsked = true;
    this.#asked.resolve();
  }

  asked(): Promise<void> {
    return this.#asked.promise;
  }

  /** The end of the work or the interruption, whichever comes first. @throws What the work throws, unless interrupted. */
  async during(work: Promise<void>): Promise<void> {
    try {
      await Promise.race([work, this.#asked.promise]);
    } catch (error) {
      if (!this.isAsked) throw error;
    } finally {
      // What interrupted work complains about later is no news.
      work.catch(() => {});
    }
  }
}
