/** Where the sections of an `index` file are. Source: prometheus/tsdb/docs/format/index.md. */
import type { Bytes } from "./bytes.ts";
import { crc32c } from "./crc32c.ts";
import { hex } from "./tombstones.ts";

export const indexMagic = 0xbaaad700;
const tocBytes = 52;

/** Bytes `[start, end)` of the file. */
export interface Section {
  readonly start: number;
  readonly end: number;
}

export interface IndexLayout {
  readonly version: number;
  readonly symbols: Section | undefined;
  readonly series: Section | undefined;
  readonly labelIndices: Section | undefined;
  readonly postings: Section | undefined;
  readonly labelIndexTable: Section | undefined;
  readonly postingsTable: Section | undefined;
}

/** What is wrong with a file of a block, in the words of a report: which check, and what was found. */
export class Damage extends Error {
  override readonly name = "Damage";
  readonly check: string;

  constructor(check: string, found: string) {
    super(found);
    this.check = check;
  }
}

/** @throws {Damage} The beginning or the table of contents is not as it must be. */
export async function readIndexLayout(index: Bytes): Promise<IndexLayout> {
  if (index.sizeBytes < tocBytes + 5) throw new Damage("size", `${index.sizeBytes} bytes, too few for an index`);
  const head = Buffer.alloc(5);
  await index.read(head, 0);
  if (head.readUInt32BE(0) !== indexMagic) throw new Damage("magic number", hex(head.readUInt32BE(0)));
  const version = head.readUInt8(4);
  if (version < 1 || version > 3) throw new Damage("version", `${version}, expected 1 to 3`);

  const toc = Buffer.alloc(tocBytes);
  const tocStart = index.sizeBytes - tocBytes;
  await index.read(toc, tocStart);
  const wanted = toc.readUInt32BE(48);
  const found = crc32c(toc, 0, 48);
  if (wanted !== found) throw new Damage("table of contents", `checksum ${hex(found)}, expected ${hex(wanted)}`);

  const offsets = [0, 8, 16, 24, 32, 40].map((at) => Number(toc.readBigUInt64BE(at)));
  const outside = offsets.find((offset) => offset > tocStart);
  if (outside !== undefined) throw new Damage("table of contents", `a section at ${outside}, outside of the file`);
  // A section ends where the next one begins, whatever their order.
  const borders = [...offsets.filter((offset) => offset > 0), tocStart].sort((one, other) => one - other);
  const section = (offset = 0): Section | undefined =>
    offset === 0 ? undefined : { start: offset, end: borders.find((border) => border > offset) ?? tocStart };
  const [symbols, series, labelIndices, labelIndexTable, postings, postingsTable] = offsets.map(section);
  return { version, symbols, series, labelIndices, postings, labelIndexTable, postingsTable };
}
