/** How far something is: one line on a terminal, nothing elsewhere. */

const everyMs = 200;

export class Progress {
  readonly #what: string;
  readonly #isShown: boolean;
  readonly #startedAt = performance.now();
  #shownAt = 0;
  #bytes = 0;
  /** Undefined: nobody knows. */
  totalBytes: number | undefined;

  constructor(what: string, isWanted: boolean) {
    this.#what = what;
    this.#isShown = isWanted && process.stderr.isTTY === true;
  }

  add(bytes: number): void {
    this.#bytes += bytes;
    const now = performance.now();
    if (!this.#isShown || now - this.#shownAt < everyMs) return;
    this.#shownAt = now;
    process.stderr.write(`\r\x1b[K${this.#what} ${this.#line((now - this.#startedAt) / 1000)}`);
  }

  /** Takes the line away. */
  end(): void {
    if (this.#isShown && this.#shownAt > 0) process.stderr.write("\r\x1b[K");
  }

  #line(seconds: number): string {
    const rate = this.#bytes / Math.max(seconds, 0.001);
    const total = this.totalBytes;
    if (total === undefined) return `${sizeText(this.#bytes)}, ${sizeText(rate)}/s`;
    const left = Math.max(0, total - this.#bytes) / Math.max(rate, 1);
    const percent = ((100 * this.#bytes) / Math.max(total, 1)).toFixed(1);
    return `${percent} % of ${sizeText(total)}, ${sizeText(rate)}/s, ${Math.ceil(left)} s left`;
  }
}

/** `1.5 GiB`. */
export function sizeText(bytes: number): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit++;
  }
  return `${unit === 0 ? Math.round(value) : value.toFixed(1)} ${units[unit]}`;
}
