/** Where a recovery gets WAL from: an archive, or an agent that serves one. */

/** `partial`: the beginning of a segment that is not complete yet, with zeros behind it. */
export type Found = "whole" | "partial";

export interface FetchOptions {
  readonly signal?: AbortSignal | undefined;
  /** Leaves out the `.partial` of a segment: it grows, so no copy of it may be kept. */
  readonly wholeOnly?: boolean;
}

export interface WalSource extends AsyncDisposable {
  /** For messages; without secrets. */
  readonly description: string;
  /**
   * Writes the file of this name to `path`, which is made or replaced; neither durable nor checked by its name yet.
   * After an error something may be at `path`.
   * @returns Undefined only where the source was reached and truly has no such file.
   */
  fetch(name: string, path: string, options?: FetchOptions): Promise<Found | undefined>;
}

/** `outage`: the same may succeed later. `misconfigured`: somebody has to act. `damaged`: what came is not what was sent. */
export type WalSourceErrorKind = "outage" | "misconfigured" | "damaged";

export class WalSourceError extends Error {
  override readonly name = "WalSourceError";
  readonly kind: WalSourceErrorKind;

  constructor(kind: WalSourceErrorKind, message: string, options?: ErrorOptions) {
    super(message, options);
    this.kind = kind;
  }
}
