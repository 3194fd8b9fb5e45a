/** The segment files in `chunks/`. Source: prometheus/tsdb/docs/format/chunks.md. */
import type { Bytes } from "./bytes.ts";
import { checkCrc } from "./index-file.ts";
import { Damage } from "./index-layout.ts";
import { hex } from "./tombstones.ts";
import { Cursor } from "./varint.ts";
import { Window } from "./window.ts";

const magic = 0x85bd40dd;
const headBytes = 8;
/** Length, encoding and the number of samples of most chunks fit in here, and all of the small ones. */
const glanceBytes = 256;
/** A chunk has 120 samples or a kilobyte; histograms have more. */
const mostChunkBytes = 1 << 26;
/** XOR, histogram, float histogram: each begins with the number of its samples. */
const countedEncodings: ReadonlySet<number> = new Set([1, 2, 3]);

export class ChunkSegment {
  readonly #window: Window;

  private constructor(window: Window) {
    this.#window = window;
  }

  /** @throws {Damage} It does not begin as a segment does. */
  static async open(bytes: Bytes): Promise<ChunkSegment> {
    const window = new Window(bytes);
    const head = await window.at(0, headBytes);
    if (head.length < headBytes) throw new Damage("size", `${head.length} bytes, too few for a segment`);
    if (head.readUInt32BE(0) !== magic) throw new Damage("magic number", hex(head.readUInt32BE(0)));
    if (head[4] !== 1) throw new Damage("version", `${head[4]}, expected 1`);
    return new ChunkSegment(window);
  }

  /** Checks the chunk at `offset`. @returns Its samples; undefined where its encoding is unknown. @throws {Damage} */
  check(offset: number): number | undefined | Promise<number | undefined> {
    const glance = this.#window.at(offset, glanceBytes);
    // No promise for each of millions of chunks.
    return glance instanceof Promise
      ? glance.then((bytes) => this.#checkIn(bytes, offset))
      : this.#checkIn(glance, offset);
  }

  #checkIn(glance: Buffer, offset: number): number | undefined | Promise<number | undefined> {
    if (offset < headBytes || glance.length === 0)
      throw new Damage("chunk", `none at ${offset}: the segment ends before`);
    const cursor = new Cursor(glance);
    let length: number;
    try {
      length = cursor.uvarint();
    } catch (error) {
      throw new Damage("chunk", `at ${offset}: ${error instanceof Error ? error.message : String(error)}`);
    }
    const start = offset + cursor.at;
    // The encoding stands before the data and is part of the checksum.
    const recordBytes = length + 1 + 4;
    if (length > mostChunkBytes || start + recordBytes > this.#window.sizeBytes) {
      throw new Damage("chunk", `${length} bytes long at ${offset}, beyond the end of the segment`);
    }
    if (cursor.at + recordBytes <= glance.length) {
      return samplesIn(glance.subarray(cursor.at, cursor.at + recordBytes), length, offset);
    }
    const record = this.#window.at(start, recordBytes);
    return record instanceof Promise
      ? record.then((bytes) => samplesIn(bytes, length, offset))
      : samplesIn(record, length, offset);
  }
}

function samplesIn(record: Buffer, length: number, offset: number): number | undefined {
  checkCrc("chunk", offset, record, length + 1);
  if (!countedEncodings.has(record[0] ?? 0)) return undefined;
  if (length < 2) throw new Damage("chunk", `${length} bytes long at ${offset}, too few for its samples`);
  return record.readUInt16BE(1);
}
