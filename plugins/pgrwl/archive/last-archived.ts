/** Where the archive ends, for a receiver whose folder does not tell. */
import { parseSegmentHeader } from "../../common/postgres/segment-header.ts";
import { historyFileName } from "../../common/postgres/timeline-history.ts";
import { formatSegmentName, parseSegmentName, type WalSegment } from "../../common/postgres/wal-segments.ts";
import type { WalArchive } from "../../common/wal-archive/archive.ts";
import type { LastArchived } from "../receiver/protocol.ts";
import type { LocalFile, LocalFiles } from "./local-files.ts";

/** Uploads overtake each other: within so many segments of the end, one that is missing was still under way. */
const searchedSegments = 64;

/**
 * The last segment of the newest timeline up to which nothing is missing; undefined: the storage was reached, and has none.
 * @throws {StorageError} @throws {WalArchiveError} The archive cannot tell.
 */
export async function lastArchived(archive: WalArchive, signal: AbortSignal): Promise<LastArchived | undefined> {
  /** The ends of timelines, in one pass over what may be a very long list. */
  const ends = new Map<string, Set<string>>();
  for await (const { kind, name } of archive.list({ signal })) {
    if (kind !== "segment") continue;
    const timeline = name.slice(0, 8);
    const end = ends.get(timeline) ?? new Set();
    ends.set(timeline, end);
    end.add(name);
    if (end.size > 2 * searchedSegments) ends.set(timeline, newest(end));
  }
  const timeline = [...ends.keys()].sort().at(-1);
  const end = ends.get(timeline ?? "");
  const last = end && [...end].sort().at(-1);
  if (end === undefined || last === undefined) return undefined;
  const { content, sizeBytes } = await archive.read(last, { signal });
  const segment = parseSegmentName(last, sizeBytes);
  const header = parseSegmentHeader(content);
  if (segment === undefined || header === undefined) return undefined;
  const name = formatSegmentName(contiguous(segment, newest(end), sizeBytes), sizeBytes);
  return { name, systemIdentifier: header.systemIdentifier };
}

/** How many segments behind the newest one here are looked for: some may have been under way when it was stored. */
const probedSegments = 4;

/**
 * Whether an archive has WAL that a folder has lost: something behind the newest segment in it, or the next timeline.
 * A few requests, however much there is; the newest segment never leaves the folder, so normally there is nothing.
 * @throws {StorageError} The archive cannot tell.
 */
export async function reachesFurther(
  archive: WalArchive,
  newest: LocalFile,
  files: LocalFiles,
  signal: AbortSignal,
): Promise<boolean> {
  const segment = parseSegmentName(newest.name, newest.sizeBytes);
  if (segment === undefined) return false;
  const { timeline, number } = segment;
  const names = Array.from({ length: probedSegments }, (_, ahead) =>
    formatSegmentName({ timeline, number: number + 1 + ahead }, newest.sizeBytes),
  );
  const wanted = [...names, historyFileName(timeline + 1)].filter((name) => files.get(name) === undefined);
  const found = await Promise.all(wanted.map((name) => archive.find(name, { signal })));
  return found.flat().some(({ kind }) => kind !== "partial");
}

/** By name: one timeline's are in the order of their positions. */
const newest = (names: ReadonlySet<string>): Set<string> => new Set([...names].sort().slice(-searchedSegments));

/** The segment before the lowest hole near the end. */
function contiguous(last: WalSegment, names: ReadonlySet<string>, segmentSizeBytes: number): WalSegment {
  const numbers = [...names].flatMap((name) => parseSegmentName(name, segmentSizeBytes)?.number ?? []);
  const held = new Set(numbers);
  const first = Math.max(Math.min(...numbers), last.number - searchedSegments);
  for (let number = first; number < last.number; number++)
    if (held.has(number) && !held.has(number + 1)) return { ...last, number };
  return last;
}
