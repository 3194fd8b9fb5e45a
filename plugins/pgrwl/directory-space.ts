/** How much room the directory's file system has. */
import { statfs } from "node:fs/promises";

export interface Space {
  /** What an ordinary user may still write. */
  readonly freeBytes: number;
  readonly sizeBytes: number;
}

const patienceMs = 2_000;

type Ask = (directory: string) => Promise<{ bavail: number; blocks: number; bsize: number }>;

export class DirectorySpace {
  readonly #directory: string;
  readonly #ask: Ask;
  /** A disk that hangs keeps the question, and one of the few threads that ask: there is never a second one. */
  #asking: Promise<Space | undefined> | undefined;

  constructor(directory: string, ask: Ask = statfs) {
    this.#directory = directory;
    this.#ask = ask;
  }

  /** Undefined when there is no answer: the directory is gone, or the disk hangs. Waits two seconds at most. */
  async read(signal: AbortSignal): Promise<Space | undefined> {
    this.#asking ??= this.#read();
    const over = Promise.withResolvers<undefined>();
    const giveUp = () => over.resolve(undefined);
    const timer = setTimeout(giveUp, patienceMs);
    signal.addEventListener("abort", giveUp, { once: true });
    if (signal.aborted) giveUp();
    try {
      return await Promise.race([this.#asking, over.promise]);
    } finally {
      clearTimeout(timer);
      signal.removeEventListener("abort", giveUp);
    }
  }

  async #read(): Promise<Space | undefined> {
    try {
      const { bavail, blocks, bsize } = await this.#ask(this.#directory);
      return { freeBytes: bavail * bsize, sizeBytes: blocks * bsize };
    } catch {
      return undefined;
    } finally {
      this.#asking = undefined;
    }
  }
}
