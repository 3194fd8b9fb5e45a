/** Whether WAL is missing between an archive that could not be asked at the start and where reception began then. */
import { readFile } from "node:fs/promises";
import { type Ancestor, historyFileName, parseTimelineHistory } from "../../common/postgres/timeline-history.ts";
import { formatSegmentName, segmentAt } from "../../common/postgres/wal-segments.ts";
import { codeOf } from "../../common/storage/errors.ts";
import type { WalArchive } from "../../common/wal-archive/archive.ts";
import type { ArchivedFile } from "../../common/wal-archive/archived-file.ts";
import { checkContinuity, type MissingSegments } from "../../common/wal-archive/continuity.ts";
import { WalArchiveError } from "../../common/wal-archive/errors.ts";
import { systemIdentifierOf } from "../../common/wal-archive/foreign.ts";
import type { LocalFiles } from "./local-files.ts";

/** Where reception began, and of what. */
export interface Beginning {
  readonly timeline: number;
  readonly lsn: bigint;
  readonly segmentSizeBytes: number;
  readonly systemIdentifier: string;
}

export interface StartGap {
  /** Segments that are in neither place right before the beginning. */
  readonly missing: MissingSegments | undefined;
  /** The system identifier of what the archive has before it, where that is another one. */
  readonly foreign: string | undefined;
}

/** The order of positions, whatever the timeline. */
const positionOf = (segment: string) => segment.slice(8);

/** @throws {StorageError} @throws {WalArchiveError} The archive cannot tell. */
export async function findStartGap(
  archive: WalArchive,
  files: LocalFiles,
  beginning: Beginning,
  signal: AbortSignal,
): Promise<StartGap> {
  const { timeline, lsn, segmentSizeBytes, systemIdentifier } = beginning;
  const number = segmentAt(lsn, segmentSizeBytes);
  const start = formatSegmentName({ timeline, number }, segmentSizeBytes);
  // Those that are here first: what is archived and deleted meanwhile must not be missing from both.
  const segments = new Set([start, ...files.segments().map(({ name }) => name)]);
  let last: ArchivedFile | undefined;
  for await (const file of archive.list({ signal })) {
    const { kind, name } = file;
    if (kind !== "segment") continue;
    segments.add(name);
    const isBefore = positionOf(name) < positionOf(start);
    if (isBefore && (last === undefined || positionOf(name) > positionOf(last.name))) last = file;
  }
  if (last === undefined || number === 0) return { missing: undefined, foreign: undefined };
  const histories = new Map([[timeline, await historyOf(timeline, archive, files, signal)]]);
  const previous = positionOf(formatSegmentName({ timeline, number: number - 1 }, segmentSizeBytes));
  const missing = checkContinuity({ segments, histories, segmentSizeBytes }).gaps.find(
    (gap) => positionOf(gap.first) <= previous && previous <= positionOf(gap.last),
  );
  const found = await systemIdentifierOf(archive, last, { signal });
  return { missing, foreign: found === systemIdentifier ? undefined : found };
}

/** None for the first timeline, or where the history is in neither place. */
async function historyOf(
  timeline: number,
  archive: WalArchive,
  files: LocalFiles,
  signal: AbortSignal,
): Promise<readonly Ancestor[]> {
  if (timeline === 1) return [];
  const name = historyFileName(timeline);
  const here = await readFile(files.pathOf(name), "latin1").catch((error: unknown) => {
    if (codeOf(error) === "ENOENT") return undefined;
    throw error;
  });
  if (here !== undefined) return parseTimelineHistory(here);
  try {
    return parseTimelineHistory(Buffer.from((await archive.read(name, { signal })).content).toString("latin1"));
  } catch (error) {
    if (error instanceof WalArchiveError && error.kind === "absent") return [];
    throw error;
  }
}
