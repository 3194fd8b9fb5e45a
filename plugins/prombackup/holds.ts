/** Snapshots that something reads now, and that must stay where they are meanwhile. */
export class Holds {
  readonly #counts = new Map<string, number>();

  /** Held until the returned object is disposed of; once is enough. */
  hold(name: string): Disposable {
    this.#counts.set(name, (this.#counts.get(name) ?? 0) + 1);
    let isOver = false;
    return {
      [Symbol.dispose]: () => {
        if (isOver) return;
        isOver = true;
        const left = (this.#counts.get(name) ?? 1) - 1;
        if (left === 0) this.#counts.delete(name);
        else this.#counts.set(name, left);
      },
    };
  }
  isHeld(name: string): boolean {
    return this.#counts.has(name);
  }
}
