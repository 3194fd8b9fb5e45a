/** What an archive of WAL says when it cannot, beside the StorageErrors that pass through. */
import { CodecError } from "../codec/errors.ts";
import { codeOf, StorageError } from "../storage/errors.ts";

/**
 * - `absent`: the storage was reached, and truly has no such file.
 * - `conflict`: an object of that name is there, with other content; neither is touched.
 * - `damaged`: the object is there and cannot be decoded, or what it holds is not what its name says.
 * - `password`: it is encrypted, and the passphrase is missing or another one.
 * - `unverified`: the storage does not have what it said it had taken.
 * - `source`: the file that was to be stored is not what its name says.
 */
export type WalArchiveErrorKind = "absent" | "conflict" | "damaged" | "password" | "unverified" | "source";

export class WalArchiveError extends Error {
  override readonly name = "WalArchiveError";
  readonly kind: WalArchiveErrorKind;

  constructor(kind: WalArchiveErrorKind, message: string, options?: ErrorOptions) {
    super(message, options);
    this.kind = kind;
  }
}

/** Why an archive cannot do what it is to do, as one of a closed list; `local`: a file of this machine. */
export const failureReasons = [
  "unavailable",
  "access_denied",
  "misconfigured",
  "conflict",
  "damaged",
  "password",
  "unverified",
  "source",
  "absent",
  "local",
  "internal",
] as const;
export type FailureReason = (typeof failureReasons)[number];

/** The reason of anything that an archive throws. Only `absent` says that a file is not there. */
export function failureReason(error: unknown): FailureReason {
  if (error instanceof WalArchiveError) return error.kind;
  if (error instanceof CodecError) return error.kind === "password" ? "password" : "damaged";
  if (error instanceof StorageError) {
    switch (error.kind) {
      case "access-denied":
        return "access_denied";
      // An archive turns these into its own errors; where one remains, somebody changes the storage meanwhile.
      case "not-found":
      case "exists":
        return "unavailable";
      default:
        return error.kind;
    }
  }
  // The reason of a signal that ended a wait; it has a code of its own.
  if (error instanceof DOMException) return "unavailable";
  return codeOf(error) === undefined ? "internal" : "local";
}

/** Whether the reason lies with one file: others may well succeed meanwhile. */
export function isOfOneFile(reason: FailureReason): boolean {
  return ["conflict", "damaged", "password", "unverified", "source", "absent"].includes(reason);
}
