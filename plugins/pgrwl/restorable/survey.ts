/** Looks every so often from where to where WAL goes on without a gap, here and in the archive, and for base backups. */
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Log } from "holdfast";
import { type Ancestor, parseTimelineHistory } from "../../common/postgres/timeline-history.ts";
import { formatSegmentName, segmentAt } from "../../common/postgres/wal-segments.ts";
import { codeOf, messageOf } from "../../common/storage/errors.ts";
import { pause } from "../../common/storage/retry.ts";
import type { WalArchive } from "../../common/wal-archive/archive.ts";
import { checkContinuity } from "../../common/wal-archive/continuity.ts";
import { configuredNeeds, type Needs, storedBackups } from "../archive/base-backups.ts";
import { listCompleteSegments } from "../complete-segments.ts";

/** The last run of WAL without a gap, on the server's timeline. Moments are Unix seconds. */
export interface WalRun {
  readonly oldestLsn: bigint;
  readonly newestLsn: bigint;
  /** When its first and its last segment were completed or stored. */
  readonly since: number | undefined;
  readonly until: number | undefined;
  /** The timeline at its end, and that timeline's history. */
  readonly timeline: number;
  readonly ancestors: readonly Ancestor[];
}

export interface Surveyed {
  /** When it began, Unix seconds. */
  readonly at: number;
  readonly segmentSizeBytes: number;
  /** Undefined without segments. */
  readonly run: WalRun | undefined;
  /** Those that `keep_from` names and those that pgrwl has stored, and what could not be made sense of. */
  readonly backups: Needs;
  /** Whether a base backup was found, now or before: then none is a loss, and no "WAL alone". */
  readonly hadBackups?: boolean;
}

export interface SurveyOptions {
  readonly directory: string;
  /** Undefined: none is configured. @throws {Error} It cannot be opened. */
  readonly archive?: (() => WalArchive) | undefined;
  readonly password: string | undefined;
  /** Of the archive's retention. */
  readonly keepFrom: readonly string[];
  readonly log: Log;
  /** Undefined while the server has not told it. */
  segmentSizeBytes(): number | undefined;
  /** That the server is on; undefined while it has not told it. */
  timeline(): number | undefined;
  /** Unix milliseconds. */
  now(): number;
  onEnd(): void;
}

/** An archive is listed whole: often enough for people, seldom enough for the bill. */
const archiveIntervalMs = 600_000;
const localIntervalMs = 60_000;
const afterFailureMs = 10_000;
/** As long as the receiver has not got so far that there is something to look at. */
const soonMs = 1_000;

export class Survey {
  readonly #options: SurveyOptions;
  #last: Surveyed | undefined;
  #hadBackups = false;
  #failure: string | undefined;

  constructor(options: SurveyOptions) {
    this.#options = options;
  }

  /** The last one that could be made. */
  get last(): Surveyed | undefined {
    return this.#last;
  }
  /** Why the newest one could not be made. */
  get failure(): string | undefined {
    return this.#failure;
  }

  /** Until the signal is aborted. Never throws. */
  async run(signal: AbortSignal): Promise<void> {
    const { archive, log, onEnd } = this.#options;
    while (!signal.aborted) {
      let waitMs = afterFailureMs;
      const told = this.#options.timeline();
      try {
        const found = await this.#look(signal);
        this.#hadBackups ||= found?.backups.needs.some(({ endedAt }) => endedAt !== undefined) ?? false;
        if (found) this.#last = { ...found, hadBackups: this.#hadBackups };
        this.#failure = undefined;
        if (found === undefined) waitMs = soonMs;
        else waitMs = archive && found.run ? archiveIntervalMs : localIntervalMs;
      } catch (error) {
        if (signal.aborted) return;
        this.#failure = messageOf(error);
        log.debug("It is not known what can be restored", { error: this.#failure });
      }
      onEnd();
      await this.#wait(waitMs, told, signal).catch(() => {});
    }
  }

  /** Not as long where the server goes on with another timeline than the one that was looked at. @param told What it said then. */
  async #wait(waitMs: number, told: number | undefined, signal: AbortSignal): Promise<void> {
    for (let left = waitMs; left > 0; left -= soonMs) {
      await pause(Math.min(left, soonMs), signal);
      const timeline = this.#options.timeline();
      if (timeline !== undefined && timeline !== told && timeline !== this.#last?.run?.timeline) return;
    }
  }

  /** Undefined: the size of a segment is not known yet, or the receiver has not made its folder. */
  async #look(signal: AbortSignal): Promise<Surveyed | undefined> {
    const { directory, archive: opened, password, keepFrom, now } = this.#options;
    const at = now() / 1000;
    // Before the archive: what is uploaded and removed meanwhile must not be missing from both.
    const local = await listCompleteSegments(directory, this.#options.segmentSizeBytes()).catch((error: unknown) => {
      if (codeOf(error) === "ENOENT") return undefined;
      throw error;
    });
    if (local === undefined) return undefined;
    const segmentSizeBytes = this.#options.segmentSizeBytes() ?? local[0]?.sizeBytes;
    if (segmentSizeBytes === undefined) return undefined;
    const times = new Map(local.map(({ name, modifiedAt }) => [name, modifiedAt / 1000]));
    const histories = await localHistories(directory);
    const configured = await configuredNeeds(keepFrom);
    if (opened === undefined)
      return { at, segmentSizeBytes, run: this.#runOf(times, histories, segmentSizeBytes), backups: configured };
    const archive = opened();
    for await (const { kind, base, name, modified } of archive.list({ signal })) {
      if (kind === "segment" && !times.has(name)) times.set(name, modified.getTime() / 1000);
      const timeline = Number.parseInt(base.slice(0, 8), 16);
      if (kind !== "history" || histories.has(timeline)) continue;
      const { content } = await archive.read(name, { signal });
      readHistory(histories, timeline, Buffer.from(content).toString("latin1"));
    }
    // And behind: uploads overtake each other, and one of what came meanwhile may be under way still. Only up to the end that was found.
    const end = [...times.keys()].reduce((last, name) => (name.slice(8) > last ? name.slice(8) : last), "");
    for (const { name, modifiedAt } of await listCompleteSegments(directory, segmentSizeBytes))
      if (name.slice(8) <= end && !times.has(name)) times.set(name, modifiedAt / 1000);
    const stored = await storedBackups(archive.storage, { password, segmentSizeBytes, signal });
    return {
      at,
      segmentSizeBytes,
      run: this.#runOf(times, histories, segmentSizeBytes),
      backups: {
        needs: [...configured.needs, ...stored.needs],
        doubts: [...configured.doubts, ...stored.doubts],
      },
    };
  }

  #runOf(times: ReadonlyMap<string, number>, histories: Histories, segmentSizeBytes: number): WalRun | undefined {
    const input = { segments: times.keys(), histories, segmentSizeBytes, timeline: this.#options.timeline() };
    const { restorable, leading, timelines } = checkContinuity(input);
    if (restorable === undefined || leading === undefined) return undefined;
    const { oldestLsn, newestLsn } = restorable;
    const timeOf = (number: number) => {
      const names = timelines.map(({ timeline }) => formatSegmentName({ timeline, number }, segmentSizeBytes));
      return names.map((name) => times.get(name)).find((at) => at !== undefined);
    };
    const [first, last] = [segmentAt(oldestLsn, segmentSizeBytes), segmentAt(newestLsn, segmentSizeBytes) - 1];
    const ancestors = histories.get(leading) ?? [];
    return { oldestLsn, newestLsn, since: timeOf(first), until: timeOf(last), timeline: leading, ancestors };
  }
}

type Histories = Map<number, readonly Ancestor[]>;

async function localHistories(directory: string): Promise<Histories> {
  const histories: Histories = new Map();
  for (const name of await readdir(directory)) {
    if (!/^[0-9A-F]{8}\.history$/.test(name)) continue;
    const text = await readFile(join(directory, name), "latin1").catch(() => undefined);
    if (text !== undefined) readHistory(histories, Number.parseInt(name, 16), text);
  }
  return histories;
}

/** One that cannot be read is as one that is missing: a timeline begins with its own first segment then. */
function readHistory(histories: Histories, timeline: number, text: string): void {
  try {
    histories.set(timeline, parseTimelineHistory(text));
  } catch {
    histories.delete(timeline);
  }
}
