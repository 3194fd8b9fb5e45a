/** Downloads that run, and the outcomes of those that ended a while ago. */
import type { FormatName } from "./formats.ts";
import type { State } from "./state.ts";

/** How long an outcome can be asked for. The original's clients ask at once, and once. */
export const rememberMs = 15 * 60_000;

export interface Outcome {
  readonly success: boolean;
  readonly errorText: string | null;
  /** Of the body as it was sent; empty on failure. */
  readonly sha256Hex: string;
}

export interface Download {
  readonly id: string;
  readonly snapshotName: string;
  readonly format: string;
  /** Unix milliseconds. */
  readonly startedAt: number;
  /** Undefined where nobody can know before the end. */
  readonly totalBytes?: number | undefined;
  sentBytes: number;
  endedAt?: number | undefined;
  finished?: Outcome | undefined;
  /** Whether it was the client who ended it. */
  aborted?: boolean;
}

export class Downloads {
  readonly #state: State;
  readonly #now: () => number;
  readonly #holdMs: number;
  readonly #downloads = new Map<string, Download>();
  #counter = 0;

  /** @param holdMs How long a snapshot is in use after a download of it failed: the client may go on with it. */
  constructor(state: State, now: () => number, holdMs: number) {
    this.#state = state;
    this.#now = now;
    this.#holdMs = holdMs;
    for (const saved of state.value.downloads) {
      // What ran when the state was written ended with the process.
      const finished = saved.finished ?? { success: false, errorText: "the server was stopped", sha256Hex: "" };
      const endedAt = saved.endedAt ?? now();
      this.#downloads.set(saved.id, { ...saved, sentBytes: 0, finished, endedAt });
    }
    this.#forget();
  }

  begin(snapshotName: string, format: FormatName, totalBytes: number | undefined): Download {
    this.#forget();
    const startedAt = this.#now();
    const download: Download = {
      id: this.#newId(startedAt),
      snapshotName,
      format,
      startedAt,
      totalBytes,
      sentBytes: 0,
    };
    this.#downloads.set(download.id, download);
    this.#save();
    return download;
  }

  end(download: Download, finished: Outcome, aborted = false): void {
    if (download.finished) return;
    download.finished = finished;
    download.aborted = aborted;
    download.endedAt = this.#now();
    this.#save();
  }

  find(id: string): Download | undefined {
    this.#forget();
    return this.#downloads.get(id);
  }

  /** The newest first. */
  all(): Download[] {
    this.#forget();
    return [...this.#downloads.values()].reverse();
  }

  running(): number {
    return [...this.#downloads.values()].filter(({ finished }) => !finished).length;
  }

  isInUse(snapshotName: string): boolean {
    const now = this.#now();
    return [...this.#downloads.values()].some(
      ({ snapshotName: name, finished, endedAt = now }) =>
        name === snapshotName && (!finished || (!finished.success && apart(now, endedAt) < this.#holdMs)),
    );
  }

  /** Opaque to clients. The counter has leading zeros, so that the order of the texts is that of the downloads. */
  #newId(startedAt: number): string {
    const stamp = new Date(startedAt).toISOString().replace(/\D/g, "").slice(0, 14);
    const counter = String(++this.#counter).padStart(6, "0");
    return `${stamp}_${counter}${Buffer.from(crypto.getRandomValues(new Uint8Array(4))).toString("hex")}`;
  }

  #forget(): void {
    const now = this.#now();
    for (const [id, { endedAt }] of this.#downloads) {
      if (endedAt !== undefined && apart(now, endedAt) >= rememberMs) this.#downloads.delete(id);
    }
  }

  #save(): void {
    this.#state.value.downloads = [...this.#downloads.values()].map(
      ({ id, snapshotName, format, startedAt, endedAt, finished }) => ({
        id,
        snapshotName,
        format,
        startedAt,
        ...(endedAt === undefined ? {} : { endedAt }),
        ...(finished === undefined ? {} : { finished }),
      }),
    );
    this.#state.save();
  }
}

/** Either way: a clock that is set back must not keep for years what is kept for minutes. */
const apart = (one: number, other: number): number => Math.abs(one - other);
