/**
 * Blocks of a gigabyte in seconds: promtool takes a minute for forty megabytes. All series share sixteen chunks of random
 * values, so that hardly anything but writing is left to do.
 * Source: prometheus/tsdb/docs/format/ (index version 2, chunks, tombstones, meta.json), chunkenc/xor.go.
 */
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { crc32c } from "../../plugins/common/tsdb/crc32c.ts";

export interface LargeBlocks {
  /** Unix seconds of the first sample; a multiple of two hours. */
  readonly from: number;
  /** Blocks of two hours each. */
  readonly blocks: number;
  readonly series: number;
}

const blockMs = 7_200_000;
const stepMs = 15_000;
const samplesPerChunk = 120;
const chunksPerSeries = blockMs / stepMs / samplesPerChunk;
const variants = 16;

/** Writes `large_value{n="000000"}…`, a sample each 15 seconds: 4.6 kB for a series in a block. */
export async function makeLargeBlocks(dataFolder: string, { from, blocks, series }: LargeBlocks): Promise<void> {
  const random = randomBits();
  for (let n = 0; n < blocks; n++) {
    const ulid = `01M7YES8CFHH15SSVT${String(n).padStart(8, "0")}`;
    const folder = join(dataFolder, ulid);
    await mkdir(join(folder, "chunks"), { recursive: true });
    const minTime = from * 1000 + n * blockMs;
    const refs = await writeChunks(join(folder, "chunks", "000001"), minTime, series, random);
    await writeFile(join(folder, "index"), indexOf(series, minTime, refs));
    await writeFile(join(folder, "tombstones"), Buffer.from("0130ba300100000000", "hex"));
    const stats = {
      numSamples: series * chunksPerSeries * samplesPerChunk,
      numSeries: series,
      numChunks: series * chunksPerSeries,
    };
    const maxTime = minTime + blockMs;
    const meta = { ulid, minTime, maxTime, stats, compaction: { level: 1, sources: [ulid] }, version: 1 };
    await writeFile(join(folder, "meta.json"), JSON.stringify(meta));
  }
}

/** @returns Of each chunk of each series, where in the file it begins. */
async function writeChunks(file: string, minTime: number, series: number, random: () => bigint): Promise<number[]> {
  const made = Array.from({ length: variants }, () =>
    Array.from({ length: chunksPerSeries }, (_, n) => chunk(minTime + n * samplesPerChunk * stepMs, random)),
  );
  const writer = Bun.file(file).writer({ highWaterMark: 4 << 20 });
  writer.write(Buffer.from("85bd40dd01000000", "hex"));
  const refs: number[] = [];
  let at = 8;
  for (let one = 0; one < series; one++) {
    for (const bytes of made[one % variants] ?? []) {
      refs.push(at);
      at += bytes.length;
      writer.write(bytes);
    }
    if (one % 1000 === 0) await writer.flush();
  }
  await writer.end();
  return refs;
}

/** 120 samples: the values differ in all of their bits, but for those that tell a number from infinity. */
function chunk(firstTime: number, random: () => bigint): Buffer {
  const bits = new Bits();
  const count = Buffer.alloc(2);
  count.writeUInt16BE(samplesPerChunk);
  for (const byte of [...count, ...varint(BigInt(firstTime))]) bits.add(BigInt(byte), 8);
  let value = random();
  bits.add(value, 64);
  for (let sample = 1; sample < samplesPerChunk; sample++) {
    if (sample === 1) for (const byte of uvarint(BigInt(stepMs))) bits.add(BigInt(byte), 8);
    else bits.add(0n, 1);
    const next = random();
    // A new window without leading zeros, of 64 bits, which is written as 0.
    bits.add(0b11n, 2);
    bits.add(0n, 5 + 6);
    bits.add(value ^ next, 64);
    value = next;
  }
  const data = Buffer.concat([Buffer.from([1]), bits.bytes()]);
  return Buffer.concat([uvarint(BigInt(data.length - 1)), data, checksum(data)]);
}

function indexOf(series: number, minTime: number, refs: readonly number[]): Buffer {
  const names = Array.from({ length: series }, (_, n) => String(n).padStart(6, "0"));
  // In the order of their bytes: digits, `_`, letters.
  const symbols = [...names, "__name__", "large_value", "n"];
  const parts: Buffer[] = [Buffer.from("baaad70002", "hex")];
  let at = 5;
  const put = (bytes: Buffer): number => {
    const start = at;
    parts.push(bytes);
    at += bytes.length;
    return start;
  };
  const align = (to: number) => put(Buffer.alloc((to - (at % to)) % to));
  const symbolsAt = put(section([u32(symbols.length), ...symbols.map(text)]));
  align(16);
  const seriesAt = at;
  const references: number[] = [];
  for (let one = 0; one < series; one++) {
    align(16);
    references.push(at / 16);
    const content = Buffer.concat([
      ...[2, series, series + 1, series + 2, one, chunksPerSeries].map((value) => uvarint(BigInt(value))),
      ...chunkMetas(minTime, refs.slice(one * chunksPerSeries, (one + 1) * chunksPerSeries)),
    ]);
    put(Buffer.concat([uvarint(BigInt(content.length)), content, checksum(content)]));
  }
  align(4);
  const labelIndicesAt = at;
  const postings: [string, string, number][] = [];
  const addPostings = (name: string, value: string, of: readonly number[]) => {
    align(4);
    postings.push([name, value, put(section([u32(of.length), ...of.map(u32)]))]);
  };
  addPostings("", "", references);
  addPostings("__name__", "large_value", references);
  for (const [one, name] of names.entries()) addPostings("n", name, [references[one] ?? 0]);
  const labelTableAt = put(section([u32(0)]));
  const entries = postings.map(([name, value, offset]) =>
    Buffer.concat([uvarint(2n), text(name), text(value), uvarint(BigInt(offset))]),
  );
  const postingsTableAt = put(section([u32(entries.length), ...entries]));
  const offsets = Buffer.alloc(48);
  // Postings begin where the label indices would: there are none, and nothing has read them since version 2.
  for (const [n, offset] of [
    symbolsAt,
    seriesAt,
    labelIndicesAt,
    labelTableAt,
    labelIndicesAt,
    postingsTableAt,
  ].entries())
    offsets.writeBigUInt64BE(BigInt(offset), n * 8);
  put(Buffer.concat([offsets, checksum(offsets)]));
  return Buffer.concat(parts);
}

/** Times and places of a series' chunks, each as the difference to the one before. */
function chunkMetas(minTime: number, refs: readonly number[]): Buffer[] {
  const span = (samplesPerChunk - 1) * stepMs;
  return refs.map((ref, n) =>
    n === 0
      ? Buffer.concat([varint(BigInt(minTime)), uvarint(BigInt(span)), uvarint(BigInt(ref))])
      : Buffer.concat([uvarint(BigInt(stepMs)), uvarint(BigInt(span)), varint(BigInt(ref - (refs[n - 1] ?? 0)))]),
  );
}

function section(parts: readonly Buffer[]): Buffer {
  const content = Buffer.concat(parts);
  return Buffer.concat([u32(content.length), content, checksum(content)]);
}

function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

const checksum = (bytes: Uint8Array) => u32(crc32c(bytes) >>> 0);
const text = (value: string) => Buffer.concat([uvarint(BigInt(value.length)), Buffer.from(value)]);

function uvarint(value: bigint): Buffer {
  const bytes: number[] = [];
  let rest = value;
  for (; rest >= 0x80n; rest >>= 7n) bytes.push(Number(rest & 0x7fn) | 0x80);
  return Buffer.from([...bytes, Number(rest)]);
}

/** Source: Go's `binary.PutVarint`. */
const varint = (value: bigint) => uvarint(value < 0n ? ~(value << 1n) : value << 1n);

class Bits {
  #text = "";

  add(value: bigint, count: number): void {
    this.#text += value.toString(2).padStart(count, "0");
  }
  bytes(): Buffer {
    return Buffer.from((this.#text.match(/.{1,8}/g) ?? []).map((byte) => Number.parseInt(byte.padEnd(8, "0"), 2)));
  }
}

/** Doubles between 1 and 2 with their sign, the same each time. Source: xorshift64*, Vigna 2016. */
function randomBits(): () => bigint {
  let state = 0x9e37_79b9_7f4a_7c15n;
  return () => {
    state ^= state >> 12n;
    state = BigInt.asUintN(64, state ^ (state << 25n));
    state ^= state >> 27n;
    const value = BigInt.asUintN(64, state * 0x2545_f491_4f6c_dd1dn);
    return (value & 0x800f_ffff_ffff_ffffn) | 0x3ff0_0000_0000_0000n;
  };
}
