/** The WAL that there is, here and in the archive: items of the original's `/api/v1/wals`, and what is missing between them. */
import { defaultSegmentSizeBytes } from "../common/postgres/wal-segments.ts";
import type { WalArchive } from "../common/wal-archive/archive.ts";
import { checkContinuity, type MissingSegments } from "../common/wal-archive/continuity.ts";
import { listCompleteSegments } from "./complete-segments.ts";

/** The first six members are the original's. */
export interface WalItem {
  readonly name: string;
  readonly ext: string;
  readonly filename: string;
  /** As it is stored. */
  readonly size_mb: number;
  /** RFC 3339, in UTC; of what is only here, when it was completed. */
  readonly uploaded_at: string;
  readonly encrypted: boolean;
  readonly local: boolean;
  readonly archived: boolean;
  /** Segments of the same timeline that are missing right before this one. */
  readonly gap_before?: Omit<MissingSegments, "timeline">;
}

export interface WalListingOptions {
  readonly directory: string;
  /** @throws {Error} The archive that is configured cannot be opened. */
  readonly archive?: (() => WalArchive) | undefined;
  readonly signal: AbortSignal;
  segmentSizeBytes(): number | undefined;
}

export class WalListing {
  readonly #options: WalListingOptions;

  constructor(options: WalListingOptions) {
    this.#options = options;
  }

  /** Segments, the newest name first. @throws {StorageError} The archive could not be asked. @throws {Error} The folder cannot be read. */
  async items(): Promise<WalItem[]> {
    const { directory, archive, signal, segmentSizeBytes } = this.#options;
    const items = new Map<string, WalItem>();
    for (const { name, sizeBytes, modifiedAt } of await listCompleteSegments(directory, segmentSizeBytes())) {
      const common = { name, ext: "", filename: name, size_mb: sizeBytes / 2 ** 20, encrypted: false };
      items.set(name, { ...common, uploaded_at: new Date(modifiedAt).toISOString(), local: true, archived: false });
    }
    if (archive) {
      for await (const { name, kind, extension, sizeBytes, modified } of archive().list({ signal })) {
        if (kind !== "segment") continue;
        items.set(name, {
          name,
          ext: extension,
          filename: name + extension,
          size_mb: sizeBytes / 2 ** 20,
          uploaded_at: modified.toISOString(),
          encrypted: extension.endsWith(".aes"),
          local: items.get(name)?.local ?? false,
          archived: true,
        });
      }
    }
    const names = [...items.keys()].sort();
    const gaps = checkContinuity({
      segments: names,
      histories: new Map(),
      segmentSizeBytes: segmentSizeBytes() ?? defaultSegmentSizeBytes,
    }).gaps;
    for (const { first, last, count } of gaps) {
      const next = names.find((name) => name > last);
      const item = next === undefined ? undefined : items.get(next);
      if (item) items.set(item.name, { ...item, gap_before: { first, last, count } });
    }
    return names.reverse().flatMap((name) => items.get(name) ?? []);
  }
}
