/** The archive formats: how each is called, and how a snapshot becomes one. */

import { gzipMember, zstdFrame } from "../common/archive/compress.ts";
import { layOut, type TarLayout } from "../common/archive/tar-layout.ts";
import { type TarPiece, tarPieces, tarStream } from "../common/archive/tar-stream.ts";
import { zipBound, zipStream } from "../common/archive/zip-stream.ts";
import { openContent, type SnapshotEntry } from "./snapshot-entries.ts";

export const formatNames = ["tar", "tgz", "tzst", "zip"] as const;
export type FormatName = (typeof formatNames)[number];

export interface Format {
  readonly mediaType: string;
  readonly extension: string;
  readonly label: string;
}

export const formats: Readonly<Record<FormatName, Format>> = {
  tar: { mediaType: "application/x-tar", extension: ".tar", label: "tar" },
  tgz: { mediaType: "application/gzip", extension: ".tar.gz", label: "tar, gzip" },
  tzst: { mediaType: "application/zstd", extension: ".tar.zst", label: "tar, zstd" },
  zip: { mediaType: "application/zip", extension: ".zip", label: "zip" },
};

export function isFormat(name: string): name is FormatName {
  return Object.hasOwn(formats, name);
}

/** Larger files begin at a place where the compressor was flushed, for the sake of rsync and deduplication. */
const flushBeforeBytes = 1_048_576;
/** What the fields of a ZIP archive without ZIP64 hold. */
const mostZipBytes = 2 ** 32 - 1;

/** Why a snapshot cannot be had in a format; undefined when it can. */
export function formatProblem(format: FormatName, entries: readonly SnapshotEntry[]): string | undefined {
  if (format !== "zip" || zipBound(entries) <= mostZipBytes) return undefined;
  return "Cannot make a zip archive of more than 4 GiB: choose tar, tgz or tzst";
}

export interface ArchiveRequest {
  readonly name: string;
  readonly format: FormatName;
  readonly entries: readonly SnapshotEntry[];
  /** Unix seconds for what needs a moment: that of the snapshot, so that equal snapshots are equal archives. */
  readonly moment: number;
  /** Bytes `[from, to)` of a tar. */
  readonly from?: number | undefined;
  readonly to?: number | undefined;
}

export function tarLayout(entries: readonly SnapshotEntry[]): TarLayout<SnapshotEntry> {
  return layOut(entries);
}

/** What reads these is done with a chunk when it asks for the next but one. */
const buffers = 4;

const tarOptions = ({ from, to }: Pick<ArchiveRequest, "from" | "to">) => ({
  open: openContent,
  buffers,
  ...(from === undefined ? {} : { from }),
  ...(to === undefined ? {} : { to }),
});

/** A tar whose files are read by whoever sends it. @throws {EntryError} As {@link archiveStream}. */
export function tarInPieces(request: Pick<ArchiveRequest, "entries" | "from" | "to">): AsyncGenerator<TarPiece> {
  // One that is sent while the next is filled.
  return tarPieces(layOut(request.entries), { ...tarOptions(request), buffers: 2 });
}

/** The bytes of an archive. @throws {EntryError} A file is not what it was when the entries were listed. */
export function archiveStream(request: ArchiveRequest): AsyncGenerator<Uint8Array> {
  const { name, format, entries, moment } = request;
  const open = openContent;
  const tar = () => tarStream(layOut(entries), { open, buffers, markFilesAbove: flushBeforeBytes });
  switch (format) {
    case "tar":
      return tarStream(layOut(entries), tarOptions(request));
    case "tgz":
      return gzipMember(tar(), { name: `${name}.tar`, comment: `Prometheus snapshot ${name}`, mtimeSeconds: moment });
    case "tzst":
      return zstdFrame(tar());
    case "zip":
      return zipStream(entries, open);
  }
}
