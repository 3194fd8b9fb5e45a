/** Where reception begins: after what the folder holds, else where the slot is, else where the server is. */
import { formatLsn } from "../../common/postgres/lsn.ts";
import type { Ancestor } from "../../common/postgres/timeline-history.ts";
import { formatSegmentName, segmentAt, segmentStart } from "../../common/postgres/wal-segments.ts";
import type { HeldSegment } from "./directory.ts";
import { GapError } from "./gaps.ts";

export interface ServerState {
  readonly systemIdentifier: string;
  readonly timeline: number;
  /** How far its WAL is flushed. */
  readonly lsn: bigint;
  readonly isStandby: boolean;
  /** Of its timeline, oldest first. */
  readonly history: readonly Ancestor[];
  /** Where the slot keeps WAL from; undefined when it keeps none. */
  readonly slotLsn: bigint | undefined;
}

export interface StartPosition {
  readonly timeline: number;
  /** A segment's first byte. */
  readonly lsn: bigint;
  readonly source: "directory" | "slot" | "server";
  /** The file in the folder that decided. */
  readonly file?: string;
  /** What was received beyond the position at which the server's timeline left ours: those transactions are not on the server. */
  readonly forkBehind?: { readonly timeline: number; readonly endLsn: bigint };
}

/** Where reception stood when this process last completed a segment; the file itself may be archived meanwhile. */
export interface LastSegment {
  readonly timeline: number;
  readonly number: number;
}

/**
 * @param held Newest first.
 * @throws {GapError} What the folder holds is not of this server: another cluster, a timeline that it does not know,
 *   a position that it has not reached.
 */
export function chooseStart(
  held: Iterable<HeldSegment>,
  last: LastSegment | undefined,
  server: ServerState,
  segmentSizeBytes: number,
): StartPosition {
  let behindFork: StartPosition | undefined;
  for (const { timeline, lsn, file, isEmpty } of resumable(held, last, server, segmentSizeBytes)) {
    if (behindFork && isEmpty) break;
    const start = following(timeline, lsn, file, server, segmentSizeBytes);
    // Files from beyond a fork come first; those of the timelines behind it may have lower numbers and still reach further.
    if (start.forkBehind === undefined) return behindFork && behindFork.timeline > timeline ? behindFork : start;
    if (behindFork === undefined || behindFork.timeline < start.timeline) behindFork = start;
  }
  return behindFork ?? withoutFiles(server, segmentSizeBytes);
}

interface Resumption {
  readonly timeline: number;
  readonly lsn: bigint;
  readonly file: string;
  readonly isEmpty: boolean;
}

/** Where each file, or the last segment where no file is newer, would let reception go on; the newest first. */
function* resumable(
  held: Iterable<HeldSegment>,
  last: LastSegment | undefined,
  server: ServerState,
  segmentSizeBytes: number,
): Generator<Resumption> {
  const after = (timeline: number, number: number, file: string, isEmpty = false): Resumption => ({
    timeline,
    lsn: segmentStart(number, segmentSizeBytes),
    file,
    isEmpty,
  });
  let memory = last;
  for (const segment of held) {
    if (segment.header && segment.header.systemIdentifier !== server.systemIdentifier)
      throw new GapError(
        "system_identifier",
        `Cannot go on: ${segment.file} is WAL of the system ${segment.header.systemIdentifier}, the server is ${server.systemIdentifier}`,
      );
    const number = segment.isComplete ? segment.number + 1 : segment.number;
    if (memory && memory.number + 1 > number) {
      yield after(memory.timeline, memory.number + 1, formatSegmentName(memory, segmentSizeBytes));
      memory = undefined;
    }
    yield after(segment.timeline, number, segment.file, segment.isEmpty);
  }
  if (memory) yield after(memory.timeline, memory.number + 1, formatSegmentName(memory, segmentSizeBytes));
}

/** Where to begin when the folder says nothing, or nothing that counts. */
export function withoutFiles({ slotLsn, lsn, ...server }: ServerState, segmentSizeBytes: number): StartPosition {
  const from = slotLsn ?? lsn;
  const start = segmentStart(segmentAt(from, segmentSizeBytes), segmentSizeBytes);
  return { timeline: timelineAt(from, server), lsn: start, source: slotLsn === undefined ? "server" : "slot" };
}

/** The timeline of the server's history that a position lies on. */
export function timelineAt(lsn: bigint, { timeline, history }: Pick<ServerState, "timeline" | "history">): number {
  return history.find(({ endLsn }) => lsn < endLsn)?.timeline ?? timeline;
}

function following(
  timeline: number,
  lsn: bigint,
  file: string,
  server: ServerState,
  segmentSizeBytes: number,
): StartPosition {
  const found = { timeline, lsn, source: "directory", file } as const;
  if (timeline === server.timeline) {
    // A standby may get there yet; what a primary has lost it will write anew, and otherwise.
    if (lsn > server.lsn && !server.isStandby)
      throw new GapError(
        "server_behind",
        `Cannot go on: ${file} ends the WAL received at ${formatLsn(lsn)} of timeline ${timeline}, the server is at ${formatLsn(server.lsn)}`,
      );
    return found;
  }
  const ancestor = server.history.findIndex((one) => one.timeline === timeline);
  const fork = server.history[ancestor];
  if (fork === undefined)
    throw new GapError(
      "timeline",
      `Cannot go on: ${file} is on timeline ${timeline}, which is no part of the history of the server's timeline ${server.timeline}`,
    );
  if (lsn <= fork.endLsn) return found;
  const next = server.history[ancestor + 1]?.timeline ?? server.timeline;
  const start = segmentStart(segmentAt(fork.endLsn, segmentSizeBytes), segmentSizeBytes);
  return { timeline: next, lsn: start, source: "directory", file, forkBehind: fork };
}
