/** One block: its files, their checksums, and whether they hold what `meta.json` says. */
import type { SnapshotFiles } from "./block-files.ts";
import { type Bytes, readWhole } from "./bytes.ts";
import { ChunkSegment } from "./chunks.ts";
import { IndexFile } from "./index-file.ts";
import { Damage } from "./index-layout.ts";
import { type BlockMeta, parseMeta } from "./meta.ts";
import { tombstonesProblem } from "./tombstones.ts";
import type { Problem } from "./verify.ts";

export interface BlockReport {
  readonly ulid: string;
  /** Undefined where `meta.json` cannot be read. */
  readonly meta: BlockMeta | undefined;
  readonly problems: readonly Problem[];
}

/** One damaged chunk is told; a disk that lost many would fill the report. */
const mostProblems = 20;
const mostMetaBytes = 1 << 24;
const mostTombstonesBytes = 1 << 30;

/** @throws Whatever `signal` was aborted with. */
export async function verifyBlock(snapshot: SnapshotFiles, ulid: string, signal?: AbortSignal): Promise<BlockReport> {
  const problems: Problem[] = [];
  const tell = (file: string, check: string, found: string): void => {
    if (problems.length < mostProblems) problems.push({ file: `${ulid}/${file}`, check, found });
  };
  const block = new Block(snapshot, ulid, tell);
  const meta = await block.meta();
  await block.tombstones();
  const counts = await block.content(signal);
  if (meta && counts) compare(meta, counts, tell);
  block.strangers();
  return { ulid, meta, problems };
}

type Tell = (file: string, check: string, found: string) => void;

interface Counts {
  readonly series: number;
  readonly chunks: number;
  /** Undefined where a chunk has an encoding that is not known. */
  readonly samples: number | undefined;
  /** Of all chunks, Unix milliseconds; infinite where there are none. */
  readonly minTime: number;
  readonly maxTime: number;
}

function compare({ stats, minTime, maxTime }: BlockMeta, counts: Counts, tell: Tell): void {
  // Nothing else guards these two: by them Prometheus finds what is asked for, and deletes what is too old.
  if (counts.minTime < minTime) tell("meta.json", "minTime", `${minTime}, the block has chunks from ${counts.minTime}`);
  if (counts.maxTime >= maxTime) tell("meta.json", "maxTime", `${maxTime}, the block has chunks to ${counts.maxTime}`);
  const pairs = [
    ["series", stats.numSeries, counts.series],
    ["chunks", stats.numChunks, counts.chunks],
    ["samples", stats.numSamples, counts.samples],
  ] as const;
  for (const [what, said, found] of pairs) {
    if (found !== undefined && said !== found)
      tell("meta.json", `number of ${what}`, `${said}, the block has ${found}`);
  }
}

class Block {
  readonly #snapshot: SnapshotFiles;
  readonly #ulid: string;
  readonly #tell: Tell;

  constructor(snapshot: SnapshotFiles, ulid: string, tell: Tell) {
    this.#snapshot = snapshot;
    this.#ulid = ulid;
    this.#tell = tell;
  }

  async meta(): Promise<BlockMeta | undefined> {
    return await this.#reading("meta.json", async (bytes) => {
      const meta = parseMeta((await readWhole(bytes, mostMetaBytes)).toString("utf8"));
      if (meta.ulid !== this.#ulid) this.#tell("meta.json", "ulid", `${meta.ulid}, the folder is ${this.#ulid}`);
      if (meta.minTime >= meta.maxTime) {
        this.#tell("meta.json", "times", `minTime ${meta.minTime} is not before maxTime ${meta.maxTime}`);
      }
      return meta;
    });
  }

  async tombstones(): Promise<void> {
    await this.#reading("tombstones", async (bytes) => {
      const problem = tombstonesProblem(await readWhole(bytes, mostTombstonesBytes));
      if (problem) this.#tell("tombstones", problem.check, problem.found);
    });
  }

  /** @returns What is in the index and the chunks; undefined where something kept it from being counted. */
  async content(signal: AbortSignal | undefined): Promise<Counts | undefined> {
    return await this.#reading("index", async (bytes) => {
      const index = await IndexFile.open(bytes);
      await index.checkTables(signal);
      await using segments = new Segments(this.#snapshot, this.#ulid, this.#tell);
      let series = 0;
      let chunks = 0;
      let samples: number | undefined = 0;
      let [minTime, maxTime] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
      for await (const references of index.series()) {
        series++;
        if (series % 1024 === 0) signal?.throwIfAborted();
        for (const reference of references) {
          chunks++;
          if (reference.minTime < minTime) minTime = reference.minTime;
          if (reference.maxTime > maxTime) maxTime = reference.maxTime;
          if (reference.minTime > reference.maxTime) {
            this.#tell("index", "series", `a chunk from ${reference.minTime} to ${reference.maxTime}`);
          }
          const checked = segments.check(reference.segment, reference.offset);
          const found = checked instanceof Promise ? await checked : checked;
          samples = samples === undefined || found === undefined ? undefined : samples + found;
        }
      }
      return segments.isWhole ? { series, chunks, samples, minTime, maxTime } : undefined;
    });
  }

  /** Files that no block has: a snapshot with more in it is not what Prometheus wrote. */
  strangers(): void {
    const own = /^(?:meta\.json|index|tombstones|chunks\/\d{6,})$/;
    for (const path of this.#snapshot.files.keys()) {
      const below = path.startsWith(`${this.#ulid}/`) ? path.slice(this.#ulid.length + 1) : undefined;
      if (below !== undefined && !own.test(below)) this.#tell(below, "name", "no file of a block is called so");
    }
  }

  /** Opens a file and reads it; what is wrong is told. @returns Undefined when something is. */
  async #reading<T>(file: string, read: (bytes: Bytes) => Promise<T>): Promise<T | undefined> {
    const path = `${this.#ulid}/${file}`;
    if (!this.#snapshot.files.has(path)) {
      this.#tell(file, "presence", "it is missing");
      return undefined;
    }
    try {
      await using bytes = await this.#snapshot.open(path);
      return await read(bytes);
    } catch (error) {
      this.#tell(file, ...wordsOf(error));
      return undefined;
    }
  }
}

/** The segments of a block, each opened when the first chunk in it is asked for. */
class Segments implements AsyncDisposable {
  readonly #snapshot: SnapshotFiles;
  readonly #ulid: string;
  readonly #tell: Tell;
  readonly #open = new Map<number, ChunkSegment | undefined>();
  readonly #bytes: Bytes[] = [];
  isWhole = true;

  constructor(snapshot: SnapshotFiles, ulid: string, tell: Tell) {
    this.#snapshot = snapshot;
    this.#ulid = ulid;
    this.#tell = tell;
  }

  /** @returns The samples of the chunk; undefined where they cannot be counted. */
  check(number: number, offset: number): number | undefined | Promise<number | undefined> {
    const segment = this.#open.get(number);
    if (segment === undefined) return this.#open.has(number) ? undefined : this.#checkFirst(number, offset);
    try {
      const samples = segment.check(offset);
      return samples instanceof Promise ? samples.catch((error: unknown) => this.#damaged(number, error)) : samples;
    } catch (error) {
      return this.#damaged(number, error);
    }
  }

  async #checkFirst(number: number, offset: number): Promise<number | undefined> {
    const file = nameOf(number);
    this.#open.set(number, undefined);
    if (!this.#snapshot.files.has(`${this.#ulid}/${file}`)) {
      this.isWhole = false;
      this.#tell(file, "presence", "it is missing, the index has chunks in it");
      return undefined;
    }
    try {
      const bytes = await this.#snapshot.open(`${this.#ulid}/${file}`);
      this.#bytes.push(bytes);
      this.#open.set(number, await ChunkSegment.open(bytes));
    } catch (error) {
      return this.#damaged(number, error);
    }
    return await this.check(number, offset);
  }

  #damaged(number: number, error: unknown): undefined {
    this.isWhole = false;
    this.#tell(nameOf(number), ...wordsOf(error));
    return undefined;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const bytes of this.#bytes) await bytes[Symbol.asyncDispose]();
  }
}

const nameOf = (segment: number): string => `chunks/${String(segment).padStart(6, "0")}`;

/** @throws The error, where it is an abortion: nothing was found wrong then. */
function wordsOf(error: unknown): [check: string, found: string] {
  if (error instanceof Damage) return [error.check, error.message];
  if (error instanceof SyntaxError || error instanceof RangeError) return ["content", error.message];
  const { code, name } = error as { code?: string; name?: string };
  if (name === "AbortError" || name === "TimeoutError") throw error;
  return ["reading", code ?? (error instanceof Error ? error.message : String(error))];
}
