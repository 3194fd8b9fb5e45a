/** Reloads one after the other; requests that come while one runs are answered by one more. */

export interface ReloadResult {
  readonly successful: boolean;
  readonly message: string;
}

export class Reloader {
  readonly #reload: () => Promise<ReloadResult>;
  #running: Promise<ReloadResult> | undefined;
  #next: Promise<ReloadResult> | undefined;

  constructor(reload: () => Promise<ReloadResult>) {
    this.#reload = reload;
  }

  /** @returns The result of a reload that began after this call. */
  request(): Promise<ReloadResult> {
    if (!this.#running) {
      this.#running = this.#reload().finally(() => {
        this.#running = undefined;
      });
      return this.#running;
    }
    this.#next ??= this.#running
      .catch(() => {})
      .then(() => {
        this.#next = undefined;
        return this.request();
      });
    return this.#next;
  }
}
