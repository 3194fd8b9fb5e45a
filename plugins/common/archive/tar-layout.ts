/** A tar archive before it exists: what stands where, and so how long it will be. */
import type { ArchiveEntry } from "./entry.ts";
import { blockBytes, paddingOf, tarHeader } from "./tar-header.ts";

/** Two empty blocks; Go fills up no further. */
const endBytes = 2 * blockBytes;

/** An entry and its place. */
export interface PlacedEntry<Entry extends ArchiveEntry> {
  readonly entry: Entry;
  readonly header: Buffer;
  /** Where in the archive the header begins. */
  readonly start: number;
  /** Where the content begins. */
  readonly contentStart: number;
  /** Where the next entry begins: behind the content and its padding. */
  readonly end: number;
}

export interface TarLayout<Entry extends ArchiveEntry> {
  readonly entries: readonly PlacedEntry<Entry>[];
  readonly sizeBytes: number;
}

export function layOut<Entry extends ArchiveEntry>(entries: readonly Entry[]): TarLayout<Entry> {
  let at = 0;
  const placed = entries.map((entry) => {
    const header = tarHeader(entry);
    const start = at;
    const contentStart = start + header.length;
    at = contentStart + entry.sizeBytes + paddingOf(entry.sizeBytes);
    return { entry, header, start, contentStart, end: at };
  });
  return { entries: placed, sizeBytes: at + endBytes };
}
