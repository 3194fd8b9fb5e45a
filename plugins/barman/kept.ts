/** The last good data of each server, with its age: a command that fails erases nothing that is known. */
export class Kept<T> {
  readonly #entries = new Map<string, { readonly value: T; readonly at: number }>();

  /** @param at Unix milliseconds at which the value was true. */
  put(server: string, value: T, at: number): void {
    this.#entries.set(server, { value, at });
  }
  get(server: string): T | undefined {
    return this.#entries.get(server)?.value;
  }
  delete(server: string): void {
    this.#entries.delete(server);
  }
  servers(): string[] {
    return [...this.#entries.keys()].sort();
  }
  /** Forgets servers that are gone. @param before Spares what is known since this moment (Unix milliseconds). */
  keepOnly(servers: ReadonlySet<string>, before = Number.POSITIVE_INFINITY): void {
    for (const [server, { at }] of this.#entries) {
      if (at < before && !servers.has(server)) this.#entries.delete(server);
    }
  }
  /** Forgets what is older than this. @param now Unix milliseconds. */
  expire(now: number, mostMs: number): void {
    for (const [server, { value, at }] of this.#entries) {
      if (now - at > mostMs) this.#entries.delete(server);
      // The clock was set back: from now on it ages again, instead of lasting until that moment comes anew.
      else if (at > now) this.put(server, value, now);
    }
  }
}
