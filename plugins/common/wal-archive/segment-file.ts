/** Whether a file is the segment that its name says: what PostgreSQL would only find out by ending the recovery. */
import { closeSync, constants, fstatSync, openSync, readSync } from "node:fs";
import { endianness } from "node:os";
import { parseSegmentHeader } from "../postgres/segment-header.ts";
import { contentFlaw, headBytes } from "./content.ts";

export interface SegmentFile {
  readonly sizeBytes: number;
  /** Nothing was received into it yet. */
  readonly isEmpty: boolean;
  /** Whose WAL it is; undefined where it is empty. */
  readonly systemIdentifier: string | undefined;
}

/**
 * Checks size and first page of a segment.
 * @param name Of the segment, or of its `.partial`.
 * @param systemIdentifier Whose WAL it must be, where that is known.
 * @throws {SegmentError} It is not that segment.
 * @throws {Error} It cannot be read.
 */
export function checkSegmentFile(path: string, name: string, systemIdentifier?: string): SegmentFile {
  // A pipe without a writer must not hold us up.
  const fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    const about = fstatSync(fd);
    if (!about.isFile()) throw new SegmentError("damaged", `${name}: ${path} is no file`);
    const head = new Uint8Array(headBytes);
    const length = readSync(fd, head, 0, head.length, 0);
    const content = { sizeBytes: about.size, head: head.subarray(0, length) };
    const kind = name.endsWith(".partial") ? "partial" : "segment";
    const flaw = contentFlaw({ name, kind, base: name.slice(0, 24) }, content);
    if (flaw !== undefined) throw new SegmentError("damaged", `${name} is no whole segment: ${flaw}`);
    const header = parseSegmentHeader(content.head);
    if (header && systemIdentifier !== undefined && header.systemIdentifier !== systemIdentifier) {
      const whose = `the cluster with the system identifier ${header.systemIdentifier}`;
      throw new SegmentError("foreign", `${name} is WAL of ${whose}, not of ${systemIdentifier}, which is recovered`);
    }
    return { sizeBytes: about.size, isEmpty: header === undefined, systemIdentifier: header?.systemIdentifier };
  } finally {
    closeSync(fd);
  }
}

/**
 * Whether nothing was received into a `.partial` yet, whatever its size: a receiver that crashed as it made it has left it without one,
 * or with a part. @throws {Error} It cannot be read.
 */
export function isUnbegun(path: string): boolean {
  const fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    const head = new Uint8Array(headBytes);
    readSync(fd, head, 0, head.length, 0);
    return head.every((byte) => byte === 0);
  } finally {
    closeSync(fd);
  }
}

/** `foreign`: it is sound, but another cluster's. */
export class SegmentError extends Error {
  override readonly name = "SegmentError";
  readonly kind: "damaged" | "foreign";

  constructor(kind: "damaged" | "foreign", message: string) {
    super(message);
    this.kind = kind;
  }
}

/**
 * The system identifier of the cluster in a data folder: the first field of `global/pg_control`, in this machine's byte order.
 * @returns Undefined where there is no such file, as outside of a data folder.
 */
export function systemIdentifierOf(dataFolder: string): string | undefined {
  let fd: number;
  try {
    fd = openSync(`${dataFolder}/global/pg_control`, "r");
  } catch {
    return undefined;
  }
  try {
    const bytes = Buffer.alloc(8);
    if (readSync(fd, bytes, 0, bytes.length, 0) < bytes.length) return undefined;
    return String(endianness() === "LE" ? bytes.readBigUInt64LE(0) : bytes.readBigUInt64BE(0));
  } finally {
    closeSync(fd);
  }
}
