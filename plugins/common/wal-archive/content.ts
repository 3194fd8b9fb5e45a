/** Whether the bytes of a WAL file are what its name says. */
import { parseSegmentHeader, segmentHeaderBytes } from "../postgres/segment-header.ts";
import { isSegmentSize, parseSegmentName, segmentStart } from "../postgres/wal-segments.ts";
import type { WalFileName } from "./object-names.ts";

/** The first bytes that {@link contentFlaw} wants to see. */
export const headBytes = segmentHeaderBytes;

/** A segment may have 1 GiB; the others are small. */
export function mostBytes({ kind }: WalFileName): number {
  return kind === "segment" || kind === "partial" ? 2 ** 30 : 2 ** 24;
}

export interface WalContent {
  readonly sizeBytes: number;
  /** The first {@link headBytes}, or all where there are fewer. */
  readonly head: Uint8Array;
}

/**
 * Why content is not that of a file of this name; undefined when it is, as far as its size and first page tell.
 * @param segmentSizeBytes Where it is known; else the size that the segment itself names counts.
 */
export function contentFlaw(
  file: WalFileName,
  { sizeBytes, head }: WalContent,
  segmentSizeBytes?: number,
): string | undefined {
  if (file.kind === "history" || file.kind === "label") return sizeBytes === 0 ? "it is empty" : undefined;
  if (segmentSizeBytes !== undefined && sizeBytes !== segmentSizeBytes)
    return `it has ${sizeBytes} bytes, a segment has ${segmentSizeBytes}`;
  if (!isSegmentSize(sizeBytes)) return `it has ${sizeBytes} bytes, which no segment has`;
  if (file.kind === "partial" && head.every((byte) => byte === 0)) return undefined;
  const header = parseSegmentHeader(head);
  if (header === undefined) return "its content is no WAL";
  const segment = parseSegmentName(file.base, sizeBytes);
  const isThis =
    segment !== undefined &&
    header.segmentSizeBytes === sizeBytes &&
    header.startLsn === segmentStart(segment.number, sizeBytes) &&
    // Of a segment in which the timeline changed, the first page is an older one's.
    header.timeline <= segment.timeline;
  return isThis ? undefined : "its content belongs to another segment";
}

/** Keeps the first bytes of a stream. */
export class Head {
  readonly #bytes = Buffer.alloc(headBytes);
  #filled = 0;

  add(chunk: Uint8Array): void {
    if (this.#filled === headBytes) return;
    const taken = chunk.subarray(0, headBytes - this.#filled);
    this.#bytes.set(taken, this.#filled);
    this.#filled += taken.byteLength;
  }
  get bytes(): Uint8Array {
    return this.#bytes.subarray(0, this.#filled);
  }
}
