/** A collection that still waits for one command shows already what the others have told. */
export class EarlyPublication {
  readonly #show: () => void;
  readonly #publish: () => Promise<void>;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #published: Promise<void> = Promise.resolve();

  constructor(show: () => void, publish: () => Promise<void>) {
    this.#show = show;
    this.#publish = publish;
  }
  /** Something new is known. It is shown soon, unless the collection ends before. */
  news(): void {
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      this.#published = this.#published
        .then(async () => {
          this.#show();
          await this.#publish();
          // What cannot be shown now cannot at the end of the collection, which then reports why.
        })
        .catch(() => {});
    }, waitMs);
  }
  async end(): Promise<void> {
    clearTimeout(this.#timer);
    await this.#published;
  }
}

const waitMs = 1_000;
