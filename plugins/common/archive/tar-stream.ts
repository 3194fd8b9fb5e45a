/** The bytes of a tar archive, or of a stretch of it, made while they are read. */
import type { ArchiveEntry } from "./entry.ts";
import type { PlacedEntry, TarLayout } from "./tar-layout.ts";

/** The content of one file; opened when its turn comes. */
export interface Content extends AsyncDisposable {
  /** Where it can be read by whoever sends it. */
  readonly fd?: number;
  /** Fills `buffer` from `position` of the file. @throws {Error} There are fewer bytes than were announced. */
  fill(buffer: Uint8Array, position: number): void | Promise<void>;
  /** Called when all was read. @throws {Error} It has changed meanwhile. */
  settle(): Promise<void>;
}

export interface TarStreamOptions<Entry extends ArchiveEntry> {
  open(entry: Entry): Promise<Content>;
  /** Bytes `[from, to)` of the archive. Default: all. */
  readonly from?: number;
  readonly to?: number;
  /** Chunks come from so many buffers in turn: each holds good until as many more have been asked for. Default: each its own. */
  readonly buffers?: number;
  /** An empty chunk stands before files larger than this: a good place for a compressor to flush. */
  readonly markFilesAbove?: number;
}

/** A stretch of an open file, which is read by whoever sends it before the next piece is asked for. */
export interface FileStretch {
  readonly fd: number;
  /** Where in the file it begins. */
  readonly position: number;
  readonly sizeBytes: number;
  /** Of the entry, in the archive. */
  readonly path: string;
}

export type TarPiece = Uint8Array | FileStretch;

/** Measured: larger chunks are no faster from here to a client, and twenty downloads hold more of them. */
const chunkBytes = 64 * 1024;

/** Smaller stretches of files are read into a chunk; the end of each file is. */
const fewestStretchBytes = 4 * chunkBytes;

/** @throws Whatever `open`, `fill` or `settle` throws; what was given before stands. */
export function tarStream<Entry extends ArchiveEntry>(
  layout: TarLayout<Entry>,
  options: TarStreamOptions<Entry>,
): AsyncGenerator<Uint8Array> {
  const withoutStretches = async (entry: Entry): Promise<Content> => {
    const content = await options.open(entry);
    return {
      fill: (buffer, position) => content.fill(buffer, position),
      settle: () => content.settle(),
      [Symbol.asyncDispose]: () => content[Symbol.asyncDispose](),
    };
  };
  return tarPieces(layout, { ...options, open: withoutStretches }) as AsyncGenerator<Uint8Array>;
}

/** Like {@link tarStream}, with stretches of files as they are. The last piece of each file, and of all, is bytes. */
export async function* tarPieces<Entry extends ArchiveEntry>(
  layout: TarLayout<Entry>,
  options: TarStreamOptions<Entry>,
): AsyncGenerator<TarPiece> {
  const { open, from = 0, to = layout.sizeBytes, markFilesAbove = Number.POSITIVE_INFINITY, buffers } = options;
  const chunk = new Chunk(from, to, buffers);
  for (const placed of layout.entries) {
    if (placed.end <= from) continue;
    if (placed.start >= to) break;
    if (placed.entry.sizeBytes > markFilesAbove) {
      yield* chunk.flush();
      yield new Uint8Array(0);
    }
    yield* chunk.add(placed.start, placed.header);
    // The first header leaves at once: what fails later, fails in an archive that has begun.
    if (placed.start <= from) yield* chunk.flush();
    if (placed.entry.kind === "file") yield* addContent(chunk, placed, open);
  }
  yield* chunk.addZeros(layout.sizeBytes);
  yield* chunk.flush();
}

async function* addContent<Entry extends ArchiveEntry>(
  chunk: Chunk,
  { entry, contentStart, end }: PlacedEntry<Entry>,
  open: (entry: Entry) => Promise<Content>,
): AsyncGenerator<TarPiece> {
  const contentEnd = contentStart + entry.sizeBytes;
  // A stretch that begins in the padding has no use for the file; an empty file is opened, to see that it is there.
  if (chunk.at < contentEnd || chunk.at === contentStart) {
    await using content = await open(entry);
    const stretchBytes = Math.min(contentEnd, chunk.to) - chunk.at - chunkBytes;
    if (content.fd !== undefined && stretchBytes >= fewestStretchBytes) {
      yield* chunk.flush();
      yield { fd: content.fd, position: chunk.at - contentStart, sizeBytes: stretchBytes, path: entry.path };
      chunk.at += stretchBytes;
    }
    while (chunk.at < Math.min(contentEnd, chunk.to)) {
      const space = chunk.space(contentEnd);
      const filling = content.fill(space, chunk.at - contentStart);
      if (filling) await filling;
      yield* chunk.took(space.length);
    }
    if (chunk.at >= contentEnd) await content.settle();
  }
  yield* chunk.addZeros(end);
}

/** The chunk that is being filled, and where in the archive it is. */
class Chunk {
  readonly to: number;
  /** Where in the archive the next byte belongs. */
  at: number;
  readonly #ring: Buffer[] = [];
  readonly #ringLength: number;
  #turn = 0;
  #buffer: Buffer;
  #filled = 0;

  constructor(from: number, to: number, ringLength = 0) {
    this.at = from;
    this.to = to;
    this.#ringLength = ringLength;
    this.#buffer = this.#nextBuffer();
  }

  #nextBuffer(): Buffer {
    if (this.#ringLength === 0) return Buffer.allocUnsafeSlow(chunkBytes);
    const buffer = this.#ring[this.#turn] ?? Buffer.allocUnsafeSlow(chunkBytes);
    this.#ring[this.#turn] = buffer;
    this.#turn = (this.#turn + 1) % this.#ringLength;
    return buffer;
  }

  /** Room for what comes next, up to `end` of the archive. */
  space(end: number): Uint8Array {
    const length = Math.min(this.#buffer.length - this.#filled, Math.min(end, this.to) - this.at);
    return this.#buffer.subarray(this.#filled, this.#filled + length);
  }

  /** Counts what was put into the room. */
  *took(length: number): Generator<Uint8Array> {
    this.#filled += length;
    this.at += length;
    if (this.#filled === this.#buffer.length) yield* this.flush();
  }

  /** Adds what stands at `start` of the archive, as far as it is wanted. */
  *add(start: number, bytes: Uint8Array): Generator<Uint8Array> {
    const end = start + bytes.length;
    while (this.at >= start && this.at < Math.min(end, this.to)) {
      const space = this.space(end);
      space.set(bytes.subarray(this.at - start, this.at - start + space.length));
      yield* this.took(space.length);
    }
  }

  *addZeros(end: number): Generator<Uint8Array> {
    while (this.at < Math.min(end, this.to)) {
      const space = this.space(end);
      space.fill(0);
      yield* this.took(space.length);
    }
  }

  *flush(): Generator<Uint8Array> {
    if (this.#filled === 0) return;
    yield this.#buffer.subarray(0, this.#filled);
    this.#buffer = this.#nextBuffer();
    this.#filled = 0;
  }
}
