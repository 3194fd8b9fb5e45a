/** Reads an `index` file once, in order: every checksum in it, and the series with their chunks. */
import type { Bytes } from "./bytes.ts";
import { crc32c } from "./crc32c.ts";
import { Damage, type IndexLayout, readIndexLayout, type Section } from "./index-layout.ts";
import { hex } from "./tombstones.ts";
import { Cursor } from "./varint.ts";
import { Window } from "./window.ts";

/** Where a chunk begins: `segment` counts from 1, as the files in `chunks/` do. */
export interface ChunkReference {
  readonly segment: number;
  readonly offset: number;
  /** Unix milliseconds of the first and the last sample. */
  readonly minTime: number;
  readonly maxTime: number;
}

const seriesAlignment = 16;
const crcStepBytes = 1 << 18;
/** A series of a million chunks has twenty megabytes: more is damage. */
const mostSeriesBytes = 1 << 26;

export class IndexFile {
  readonly #window: Window;
  readonly #layout: IndexLayout;

  private constructor(window: Window, layout: IndexLayout) {
    this.#window = window;
    this.#layout = layout;
  }

  /** @throws {Damage} */
  static async open(index: Bytes): Promise<IndexFile> {
    return new IndexFile(new Window(index), await readIndexLayout(index));
  }

  /** Checks all that is not a series: the tables and the postings lists. @throws {Damage} */
  async checkTables(signal?: AbortSignal): Promise<void> {
    const { symbols, labelIndices, postings, labelIndexTable, postingsTable } = this.#layout;
    if (symbols) await this.#checkTable("symbol table", symbols);
    if (labelIndices) await this.#checkTables("label index", labelIndices, signal);
    if (postings) await this.#checkTables("postings list", postings, signal);
    if (labelIndexTable) await this.#checkTable("label index table", labelIndexTable);
    if (postingsTable) await this.#checkTable("postings table", postingsTable);
  }

  /** The chunks of each series, in the order of the file. @throws {Damage} */
  async *series(): AsyncGenerator<readonly ChunkReference[]> {
    const section = this.#layout.series;
    if (!section) return;
    for (let at = align(section.start, seriesAlignment); at < section.end; ) {
      const head = await this.#window.at(at, Math.min(10, section.end - at));
      const cursor = new Cursor(head);
      const length = readOr("series", at, () => cursor.uvarint());
      if (length === 0 && isZero(head)) return;
      const start = at + cursor.at;
      if (length > mostSeriesBytes || start + length + 4 > section.end) {
        throw new Damage("series", `${length} bytes long at ${at}, beyond its section`);
      }
      const record = await this.#window.at(start, length + 4);
      checkCrc("series", at, record, length);
      yield readOr("series", at, () => readChunkReferences(record.subarray(0, length)));
      at = align(start + length + 4, seriesAlignment);
    }
  }

  async #checkTables(name: string, { start, end }: Section, signal: AbortSignal | undefined): Promise<void> {
    // What is shorter than a length and a checksum is the padding before the next section.
    for (let at = align(start, 4); at + 8 <= end; ) {
      signal?.throwIfAborted();
      at = align(await this.#checkTable(name, { start: at, end }), 4);
    }
  }

  /** A length, as many bytes, and their checksum. @returns Where it ends. */
  async #checkTable(name: string, { start, end }: Section): Promise<number> {
    const length = (await this.#window.at(start, 4)).readUInt32BE(0);
    if (start + length + 8 > end) throw new Damage(name, `${length} bytes long at ${start}, beyond its section`);
    let crc = 0;
    for (let done = 0; done < length; done += crcStepBytes) {
      const part = await this.#window.at(start + 4 + done, Math.min(crcStepBytes, length - done));
      crc = crc32c(part, 0, part.length, crc);
    }
    const wanted = (await this.#window.at(start + 4 + length, 4)).readUInt32BE(0);
    if (crc !== wanted) throw new Damage(name, `checksum ${hex(crc)} at ${start}, expected ${hex(wanted)}`);
    return start + length + 8;
  }
}

/** The chunks that a series lists: the first as it is, each further one as the difference to the one before. */
function readChunkReferences(series: Buffer): ChunkReference[] {
  const cursor = new Cursor(series);
  // Two symbols a label.
  for (let labels = cursor.uvarint(); labels > 0; labels--) {
    cursor.uvarint();
    cursor.uvarint();
  }
  const chunks: ChunkReference[] = [];
  let reference = 0;
  let maxTime = 0;
  for (let left = cursor.uvarint(); left > 0; left--) {
    const isFirst = chunks.length === 0;
    const minTime = isFirst ? cursor.varint() : maxTime + cursor.uvarint();
    maxTime = minTime + cursor.uvarint();
    reference = isFirst ? cursor.uvarint() : reference + cursor.varint();
    chunks.push({ segment: Math.floor(reference / 2 ** 32) + 1, offset: reference % 2 ** 32, minTime, maxTime });
  }
  return chunks;
}

export function checkCrc(what: string, at: number, record: Buffer, length: number, from = 0): void {
  if (record.length < length + 4) throw new Damage(what, `the file ends within the one at ${at}`);
  const wanted = record.readUInt32BE(length);
  const found = crc32c(record, from, length);
  if (wanted !== found) throw new Damage(what, `checksum ${hex(found)} at ${at}, expected ${hex(wanted)}`);
}

function readOr<T>(what: string, at: number, read: () => T): T {
  try {
    return read();
  } catch (error) {
    throw new Damage(what, `at ${at}: ${error instanceof Error ? error.message : String(error)}`);
  }
}

const isZero = (bytes: Buffer) => bytes.every((byte) => byte === 0);
const align = (at: number, to: number) => Math.ceil(at / to) * to;
