/** Whether an archive of WAL is whole: continuous over all timelines, and each object what its name says. */
import { readdir } from "node:fs/promises";
import { parseSegmentHeader } from "../postgres/segment-header.ts";
import { type Ancestor, parseTimelineHistory } from "../postgres/timeline-history.ts";
import { isSegmentName, isSegmentSize, parseSegmentName, segmentEnd } from "../postgres/wal-segments.ts";
import { codeOf, messageOf, StorageError } from "../storage/errors.ts";
import type { WalArchive } from "./archive.ts";
import type { ArchivedFile } from "./archived-file.ts";
import { type Continuity, checkContinuity, leadsThrough } from "./continuity.ts";
import { WalArchiveError } from "./errors.ts";

/** `names`: nothing but the histories is read. `sampled`: both ends of each timeline and some between. `all`: every object. */
export const verifyDepths = ["names", "sampled", "all"] as const;
export type VerifyDepth = (typeof verifyDepths)[number];

export interface VerifyOptions {
  readonly depth: VerifyDepth;
  /** Where it is known; else the archive is asked. */
  readonly segmentSizeBytes?: number | undefined;
  /** Whose WAL it must be, where that is known; else it is that of the newest segment. */
  readonly systemIdentifier?: string | undefined;
  /** The timeline that the server is on, where that is known. */
  readonly timeline?: number | undefined;
  /** Names of whole segments that are on this machine: they may still have to be archived, and are no gaps. */
  readonly waiting?: () => Iterable<string> | Promise<Iterable<string>>;
  /** Whether WAL was stored there: then an archive without any is not whole. */
  readonly expectsWal?: boolean;
  readonly signal: AbortSignal;
  /** Told of each object that was read. */
  onRead?(read: number, of: number): void;
}

export interface DamagedObject {
  readonly objectName: string;
  readonly message: string;
}

export interface Verification extends Continuity {
  readonly depth: VerifyDepth;
  readonly isWhole: boolean;
  /** Undefined without segments. */
  readonly segmentSizeBytes: number | undefined;
  readonly systemIdentifier: string | undefined;
  readonly segments: number;
  readonly storedBytes: number;
  /** Objects that were read to their end, histories among them. */
  readonly readObjects: number;
  readonly damaged: readonly DamagedObject[];
  /** Segments of which only the beginning is there, behind the last whole one. */
  readonly partials: readonly string[];
}

const sampledAtRandom = 16;
const readAtOnce = 2;
/** A key that is given out nothing is not tried on a million objects. */
const mostRefused = 16;

/** @throws {StorageError} The archive could not be asked, or gives out nothing of what was to be read. Damage and gaps are no errors. */
export async function verifyArchive(archive: WalArchive, options: VerifyOptions): Promise<Verification> {
  const { depth, signal, waiting = () => [], onRead } = options;
  // Before the archive is listed: what is uploaded and removed meanwhile must not be missing from both.
  const before = [...(await waiting())];
  const files = await Array.fromAsync(archive.list({ signal }));
  const segments = files
    .filter(({ kind }) => kind === "segment")
    .sort((one, other) => (one.name < other.name ? -1 : 1));
  // And behind: uploads overtake each other, and one of what came meanwhile may be under way still.
  const end = [...segments.map(({ name }) => name), ...before].reduce(furthest, "");
  const since = Array.from(await waiting()).filter((name) => furthest(name, end) === end);
  const damaged: DamagedObject[] = [];
  const read = new Set<string>();
  /** What the storage did not give out: S3 refuses so what was moved to Glacier. */
  const refused: { readonly objectName: string; readonly error: StorageError }[] = [];
  let isAnySound = false;
  let systemIdentifier = options.systemIdentifier;
  let segmentSizeBytes = options.segmentSizeBytes;
  let newest: string | undefined;
  let isAnyHeaderRead = false;

  const histories = new Map<number, readonly Ancestor[]>();
  for (const file of files.filter(({ kind }) => kind === "history")) {
    await noting(file, async () => {
      const { content } = await archive.read(file.name, { signal });
      try {
        histories.set(Number.parseInt(file.base, 16), parseTimelineHistory(Buffer.from(content).toString("latin1")));
      } catch (error) {
        throw new WalArchiveError("damaged", messageOf(error), { cause: error });
      }
    });
  }
  const chosen = depth === "all" ? files.filter(({ kind }) => kind !== "history") : sample(segments, depth);
  if (segmentSizeBytes === undefined || depth !== "names") {
    // Whose WAL it is, and its segments' size, are those of the newest segment that can be read.
    for (const file of newestFirst(segments)) {
      if (read.has(file.objectName)) continue;
      newest = file.name;
      // One of another cluster than the server's ends it too: all may be, and an archive has many.
      if ((await noting(file, () => readSegment(file))) || isAnyHeaderRead) break;
    }
  }
  const queue = chosen.filter(({ objectName }) => !read.has(objectName)).values();
  const worker = async () => {
    for (const file of queue) {
      await noting(file, () => readSegment(file));
      onRead?.(read.size, chosen.length);
    }
  };
  await Promise.all(Array.from({ length: readAtOnce }, worker));

  // Who may read nothing at all knows nothing of the objects.
  if (refused[0] !== undefined && !isAnySound) throw refused[0].error;
  for (const { objectName, error } of refused) damaged.push({ objectName, message: error.message });
  const unusable = new Set(damaged.map(({ objectName }) => objectName));
  const sound = segments.filter(({ objectName }) => !unusable.has(objectName)).map(({ name }) => name);
  const names = new Set([...sound, ...before, ...since]);
  const timeline = options.timeline ?? goingOn(newest, histories, segmentSizeBytes ?? 2 ** 24);
  const continuity = checkContinuity({
    segments: names,
    histories,
    segmentSizeBytes: segmentSizeBytes ?? 2 ** 24,
    timeline,
  });
  const { gaps, missingHistories } = continuity;
  return {
    ...continuity,
    depth,
    isWhole:
      !(options.expectsWal && segments.length === 0) &&
      gaps.length === 0 &&
      missingHistories.length === 0 &&
      damaged.length === 0,
    segmentSizeBytes: segments.length > 0 ? segmentSizeBytes : undefined,
    systemIdentifier,
    segments: new Set(segments.map(({ name }) => name)).size,
    storedBytes: files.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0),
    readObjects: read.size,
    damaged: damaged.sort((one, other) => (one.objectName < other.objectName ? -1 : 1)),
    partials: files.filter(({ kind, base }) => kind === "partial" && !names.has(base)).map(({ name }) => name),
  };

  async function readSegment(file: ArchivedFile): Promise<void> {
    const { head, sizeBytes } = await archive.verify(file, { signal, segmentSizeBytes });
    if (file.kind !== "segment" && file.kind !== "partial") return;
    const header = parseSegmentHeader(head);
    if (file.kind === "segment" && isSegmentSize(sizeBytes)) segmentSizeBytes ??= sizeBytes;
    if (header === undefined) return;
    isAnyHeaderRead = true;
    systemIdentifier ??= header.systemIdentifier;
    if (header.systemIdentifier === systemIdentifier) return;
    const whose = `the cluster with the system identifier ${header.systemIdentifier}`;
    const ours = options.systemIdentifier === undefined ? "the newest" : "the server";
    throw new WalArchiveError("damaged", `it is WAL of ${whose}, ${ours} is of ${systemIdentifier}`);
  }

  /** @returns Whether it was sound. */
  async function noting(file: ArchivedFile, work: () => Promise<void>): Promise<boolean> {
    read.add(file.objectName);
    try {
      await work();
      isAnySound = true;
      return true;
    } catch (error) {
      signal.throwIfAborted();
      if (error instanceof StorageError && error.kind === "access-denied") {
        refused.push({ objectName: file.objectName, error });
        if (!isAnySound && refused.length >= mostRefused) throw error;
        return false;
      }
      if (!(error instanceof WalArchiveError)) throw error;
      // Retention, or the upload of the whole segment, has just removed it.
      if (error.kind !== "absent") damaged.push({ objectName: file.objectName, message: error.message });
      return false;
    }
  }
}

/** The timeline of the newest segment, where it is behind all points at which others have left that timeline. */
function goingOn(
  name: string | undefined,
  histories: ReadonlyMap<number, readonly Ancestor[]>,
  segmentSizeBytes: number,
): number | undefined {
  const segment = parseSegmentName(name ?? "", segmentSizeBytes);
  if (segment === undefined) return undefined;
  const position = { timeline: segment.timeline, lsn: segmentEnd(segment.number, segmentSizeBytes) };
  const others = [...histories].filter(([timeline]) => timeline !== segment.timeline);
  const isLeft = others.some(([timeline, ancestors]) => leadsThrough(ancestors, timeline, position));
  return isLeft ? undefined : segment.timeline;
}

/** Of two names of segments, the one at the higher position; the second where they are at the same. */
const furthest = (one: string, other: string) => (one.slice(8) > other.slice(8) ? one : other);

/** Before all others the last one of each timeline, by when it was stored: after pg_upgrade the highest timeline may be the old cluster's. */
function newestFirst(segments: readonly ArchivedFile[]): ArchivedFile[] {
  const byName = segments.toReversed();
  const ends = [...Map.groupBy(byName, ({ base }) => base.slice(0, 8)).values()].flatMap(([last]) => last ?? []);
  return [...ends.sort((one, other) => Number(other.modified) - Number(one.modified)), ...byName];
}

/** Both ends of each timeline, and some at random: what went wrong for long is found sooner or later. */
function sample(segments: readonly ArchivedFile[], depth: VerifyDepth): ArchivedFile[] {
  if (depth !== "sampled") return [];
  const chosen = new Set<ArchivedFile>();
  const timelines = Map.groupBy(segments, ({ base }) => base.slice(0, 8)).values();
  for (const ofTimeline of timelines) {
    for (const file of [ofTimeline[0], ofTimeline.at(-1)]) if (file !== undefined) chosen.add(file);
  }
  for (let left = sampledAtRandom; left > 0; left--) {
    const file = segments[Math.floor(Math.random() * segments.length)];
    if (file !== undefined) chosen.add(file);
  }
  return [...chosen];
}

/** Names of the whole segments in a receiver's folder; none where there is no such folder on this machine. */
export async function completeSegments(directory: string): Promise<string[]> {
  try {
    return (await readdir(directory)).filter(isSegmentName);
  } catch (error) {
    if (codeOf(error) === "ENOENT") return [];
    throw error;
  }
}
