/** What a storage says when it cannot. */

/**
 * - `not-found`: the object is not there; the storage itself answered so.
 * - `exists`: `ifAbsent` was asked for, and an object of that name is there.
 * - `access-denied`: the storage knows us and refuses this operation.
 * - `unavailable`: the same call may succeed later: no connection, a cut one, a time-out, an overload, a full disk.
 * - `misconfigured`: no repetition helps: wrong bucket, folder, key, host key, certificate, or a clock that is off.
 */
export type StorageErrorKind = "not-found" | "exists" | "access-denied" | "unavailable" | "misconfigured";

/** The message names operation, object and storage, says what was found and what would do; it holds no secret. */
export class StorageError extends Error {
  override readonly name = "StorageError";
  readonly kind: StorageErrorKind;

  constructor(kind: StorageErrorKind, message: string, options?: ErrorOptions) {
    super(message, options);
    this.kind = kind;
  }

  /** Whether the same call may succeed later. */
  get isRetryable(): boolean {
    return this.kind === "unavailable";
  }
}

/** The message of whatever was thrown, on one line. */
export function messageOf(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).replaceAll(/\s*\n\s*/g, " ");
}

/** The `code` of a system error such as `ENOENT`; undefined where there is none. */
export function codeOf(error: unknown): string | number | undefined {
  if (typeof error !== "object" || error === null || !("code" in error)) return undefined;
  const { code } = error;
  return typeof code === "string" || typeof code === "number" ? code : undefined;
}
