/** What is asked of an archive when a file goes there or comes back, and what it answers. */
import type { OperationOptions } from "../storage/storage.ts";

export interface PutOptions extends OperationOptions {
  /** Where it is known, what a segment must have. */
  readonly segmentSizeBytes?: number | undefined;
}

export interface Stored {
  readonly objectName: string;
  /** `present`: an equal file was there, in whatever format. */
  readonly outcome: "stored" | "present";
  /** Of the object. */
  readonly storedBytes: number;
}

/** `mostBytes`: less than what a file of its kind may have. */
export type ReadOptions = PutOptions & { readonly mostBytes?: number | undefined };

export interface Fetched {
  readonly objectName: string;
  /** Of the object. */
  readonly storedBytes: number;
  /** Of the file, decoded. */
  readonly sizeBytes: number;
  /** Hexadecimal, of the file. */
  readonly sha256: string;
  /** Its first bytes, as {@link parseSegmentHeader} wants them. */
  readonly head: Uint8Array;
}
