/** How fast WAL came in the last minutes. */

const windowSeconds = 300;

export class ReceiveRate {
  readonly #seen: { readonly at: number; readonly bytes: number }[] = [];

  /**
   * @param at Seconds of a clock that may jump: where it steps back the past is forgotten.
   * @param bytes All that came so far.
   */
  add(at: number, bytes: number): void {
    const last = this.#seen.at(-1);
    if (last !== undefined && (at <= last.at || bytes < last.bytes)) this.#seen.length = 0;
    this.#seen.push({ at, bytes });
    // The oldest that is kept is the last one before the window, so that the window is always covered.
    while ((this.#seen[1]?.at ?? at) <= at - windowSeconds) this.#seen.shift();
  }

  /** Bytes a second; undefined before there are two moments to tell from. */
  get bytesPerSecond(): number | undefined {
    const [first] = this.#seen;
    const last = this.#seen.at(-1);
    return first === undefined || last === undefined || first === last
      ? undefined
      : (last.bytes - first.bytes) / (last.at - first.at);
  }
}

/** Seconds until nothing is free; undefined where nothing comes. */
export function secondsUntilFull(freeBytes: number, bytesPerSecond: number | undefined): number | undefined {
  return bytesPerSecond === undefined || bytesPerSecond <= 0 ? undefined : freeBytes / bytesPerSecond;
}
