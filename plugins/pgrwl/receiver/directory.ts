/** What the receive folder holds: where reception ended, and whose WAL it is. */
import { closeSync, constants, fstatSync, openSync, readdirSync, readSync } from "node:fs";
import { join } from "node:path";
import { gunzipSync, constants as zlib } from "node:zlib";
import { parseSegmentHeader, type SegmentHeader, segmentHeaderBytes } from "../../common/postgres/segment-header.ts";
import { parseSegmentName, segmentStart, type WalSegment } from "../../common/postgres/wal-segments.ts";

/** A segment of which there is a file. */
export interface HeldSegment extends WalSegment {
  /** The file's name, without a folder. */
  readonly file: string;
  readonly isComplete: boolean;
  /** Nothing was received into it: it was made, and proves nothing. */
  readonly isEmpty: boolean;
  /** Undefined when the file tells nothing: it is compressed, or nothing was received yet. */
  readonly header: SegmentHeader | undefined;
  /** Unix milliseconds of the last write. */
  readonly modifiedAt: number;
}

export interface Holdings {
  /** Segments that reception can go on from, the newest first; others are left out. */
  readonly segments: Iterable<HeldSegment>;
  /** Files with a segment's name that are none, as far as they were looked at. */
  readonly ignored: readonly { readonly file: string; readonly reason: string }[];
  /** The history of the highest timeline that has one. */
  readonly newestHistory: { readonly file: string; readonly timeline: number } | undefined;
}

/** Below the receive folder. */
export const archiveFolder = "wal-archive";

/** What archivers put behind a segment's name; a compressed `.partial` is one of pg_receivewal. */
const fileName = /^([0-9A-F]{24})((?:\.(?:gz|zst|lz4))?(?:\.aes)?)(\.partial)?$/;

const historyName = /^([0-9A-F]{8})\.history(?:\.(?:gz|zst|lz4))?(?:\.aes)?$/;

interface Named extends WalSegment {
  readonly folder: string;
  readonly file: string;
  readonly isComplete: boolean;
  readonly ending: string;
}

/**
 * Looks at the receive folder and at `wal-archive/` in it, where pgrwl with local storage moves ended segments.
 * Newest means: highest segment, then highest timeline, then complete before partial.
 * @throws {Error} The folder cannot be read.
 */
export function readHoldings(directory: string, segmentSizeBytes: number): Holdings {
  const folders = [directory, join(directory, archiveFolder)].map((folder) => ({ folder, names: listNames(folder) }));
  const named = folders.flatMap(({ folder, names }) => segmentsAmong(names, folder, segmentSizeBytes));
  named.sort((a, b) => b.number - a.number || b.timeline - a.timeline || Number(b.isComplete) - Number(a.isComplete));
  const ignored: { file: string; reason: string }[] = [];
  const newestHistory = newestAmong(folders.flatMap(({ names }) => names));
  return { segments: examine(named, segmentSizeBytes, ignored), ignored, newestHistory };
}

function listNames(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch (error) {
    if (["ENOENT", "ENOTDIR"].includes((error as NodeJS.ErrnoException).code ?? "")) return [];
    throw error;
  }
}

function newestAmong(names: readonly string[]): Holdings["newestHistory"] {
  let newest: Holdings["newestHistory"];
  for (const file of names) {
    const [, digits] = historyName.exec(file) ?? [];
    const timeline = Number.parseInt(digits ?? "", 16);
    if (timeline > (newest?.timeline ?? 0)) newest = { file, timeline };
  }
  return newest;
}

function segmentsAmong(names: readonly string[], folder: string, segmentSizeBytes: number): Named[] {
  return names.flatMap((file) => {
    const [, name = "", ending = "", partial] = fileName.exec(file) ?? [];
    const segment = parseSegmentName(name, segmentSizeBytes);
    return segment ? [{ ...segment, folder, file, ending, isComplete: partial === undefined }] : [];
  });
}

/** Lazily, for only the newest few matter. A partial file without content comes last: it proves nothing. */
function* examine(
  named: readonly Named[],
  segmentSizeBytes: number,
  ignored: { file: string; reason: string }[],
): Generator<HeldSegment> {
  const empty: HeldSegment[] = [];
  for (const candidate of named) {
    const { reason, header, modifiedAt } = examineFile(candidate, segmentSizeBytes);
    if (reason !== undefined) {
      ignored.push({ file: candidate.file, reason });
      continue;
    }
    const { timeline, number, file, isComplete, ending } = candidate;
    const isEmpty = !isComplete && header === undefined && ending === "";
    const held = { timeline, number, file, isComplete, isEmpty, header, modifiedAt };
    if (isEmpty) empty.push(held);
    else yield held;
  }
  yield* empty;
}

/** Of pgrwl's encryption: magic and salt before the first chunk, nonce and tag around it. */
const encryptionBytes = 6 + 16 + 12 + 16;

interface Findings {
  readonly reason?: string;
  readonly header?: SegmentHeader | undefined;
  readonly modifiedAt: number;
}

function examineFile(candidate: Named, segmentSizeBytes: number): Findings {
  const { folder, file, ending, isComplete } = candidate;
  let fd: number;
  try {
    // A pipe without a writer must not hold us up.
    fd = openSync(join(folder, file), constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (error) {
    // Meanwhile it may have been completed or archived.
    return { reason: `it cannot be opened: ${(error as NodeJS.ErrnoException).code}`, modifiedAt: 0 };
  }
  try {
    const about = fstatSync(fd);
    const modifiedAt = about.mtimeMs;
    if (!about.isFile()) return { reason: "it is no regular file", modifiedAt };
    if (ending.endsWith(".aes"))
      return about.size > encryptionBytes ? { modifiedAt } : { reason: "it is cut off", modifiedAt };
    const found = ending === "" ? readPlain(fd) : readCompressed(fd, about.size, ending);
    if (isComplete && ending === "" && about.size !== segmentSizeBytes)
      return { reason: `its size is ${about.size}, not ${segmentSizeBytes}`, modifiedAt };
    if (isComplete && ending === ".gz" && found.sizeBytes !== segmentSizeBytes)
      return { reason: `its content has not ${segmentSizeBytes} bytes`, modifiedAt };
    const header = found.start && parseSegmentHeader(found.start);
    if (header === undefined && found.start?.some((byte) => byte !== 0))
      return { reason: "its content is no WAL", modifiedAt };
    if (header === undefined && isComplete && found.start) return { reason: "it is empty", modifiedAt };
    if (header !== undefined && !belongs(header, candidate, segmentSizeBytes))
      return { reason: "its content belongs to another segment", modifiedAt };
    return { header, modifiedAt };
  } catch (error) {
    return { reason: `it cannot be read: ${error instanceof Error ? error.message : error}`, modifiedAt: 0 };
  } finally {
    closeSync(fd);
  }
}

/** Whether a header is that of this segment; its timeline may be an older one, where the timeline changed within. */
export function belongs(header: SegmentHeader, segment: WalSegment, segmentSizeBytes: number): boolean {
  return (
    header.segmentSizeBytes === segmentSizeBytes &&
    header.startLsn === segmentStart(segment.number, segmentSizeBytes) &&
    header.timeline <= segment.timeline
  );
}

interface Content {
  /** The first bytes of the segment; undefined when only decoding the whole file would tell. */
  readonly start?: Uint8Array;
  readonly sizeBytes?: number;
}

function readPlain(fd: number): Content {
  const start = Buffer.alloc(segmentHeaderBytes);
  return { start: start.subarray(0, readSync(fd, start, 0, start.length, 0)) };
}

/** A gzip file ends with the size of its content; lz4 and zstd files are known by their first bytes. */
function readCompressed(fd: number, sizeBytes: number, ending: string): Content {
  const head = Buffer.alloc(65_536);
  const start = head.subarray(0, readSync(fd, head, 0, head.length, 0));
  const magic: Readonly<Record<string, number>> = { ".gz": 0x1f8b0800, ".zst": 0x28b52ffd, ".lz4": 0x04224d18 };
  const wanted = magic[ending] ?? 0;
  const mask = ending === ".gz" ? 0xffffff00 : 0xffffffff;
  if (start.length < 8 || (start.readUInt32BE(0) & mask) >>> 0 !== wanted) throw new Error("it is cut off or damaged");
  if (ending !== ".gz") return {};
  const trailer = Buffer.alloc(4);
  readSync(fd, trailer, 0, 4, sizeBytes - 4);
  const content = gunzipSync(start, { finishFlush: zlib.Z_SYNC_FLUSH });
  return { start: content.subarray(0, segmentHeaderBytes), sizeBytes: trailer.readUInt32LE(0) };
}
