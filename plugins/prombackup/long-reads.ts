/** Reading whole snapshots for who asks: bounded, shared, and ended when nobody waits any more. */
import { textError } from "./answers.ts";

interface Running {
  readonly key: string;
  readonly result: Promise<Response>;
  readonly stop: AbortController;
  waiting: number;
}

/** Seconds after which a client that was turned away may ask again. */
const retryAfterSeconds = "5";

/** One at a time: two would only take the disk from each other, and anybody may ask. */
export class LongReads {
  #running: Running | undefined;

  /**
   * Reads, or waits for the reading of the same that runs. Each who waits gets an answer of its own.
   * @param key What is read; equal keys have equal answers.
   * @param client Aborted when the client leaves; the reading ends with the last one.
   * @param read Gets a signal that it must heed.
   * @returns 503 where something else is being read.
   */
  async run(key: string, client: AbortSignal, read: (signal: AbortSignal) => Promise<Response>): Promise<Response> {
    if (this.#running && (this.#running.key !== key || this.#running.stop.signal.aborted)) {
      return textError(503, "Another snapshot is being read, try again", { "Retry-After": retryAfterSeconds });
    }
    this.#running ??= this.#begin(key, read);
    const running = this.#running;
    running.waiting++;
    const leave = () => {
      if (--running.waiting === 0) running.stop.abort();
    };
    client.addEventListener("abort", leave, { once: true });
    if (client.aborted) leave();
    try {
      return (await running.result).clone() as Response;
    } catch (error) {
      if (running.stop.signal.aborted) return textError(503, "The reading was stopped, try again");
      throw error;
    } finally {
      client.removeEventListener("abort", leave);
    }
  }

  #begin(key: string, read: (signal: AbortSignal) => Promise<Response>): Running {
    const stop = new AbortController();
    const result = read(stop.signal).finally(() => {
      this.#running = undefined;
    });
    // Everybody may have left.
    result.catch(() => {});
    return { key, result, stop, waiting: 0 };
  }
}
