/** Reads tar archives that anybody may have made: USTAR, PAX and GNU's long names. */
import { blockBytes, paddingOf } from "./tar-header.ts";

/** Anything that is no archive, or one that must not be unpacked. The message says what and where. */
export class ArchiveError extends Error {
  override readonly name = "ArchiveError";
}

export interface TarMember {
  /** As it stands in the archive, but for `./` at its beginning and slashes at its end. */
  readonly path: string;
  readonly kind: "folder" | "file";
  readonly sizeBytes: number;
  /** Where in the archive its content begins. */
  readonly contentStart: number;
}

const mostRecordBytes = 1 << 20;

/** What the blocks before a member say of it: they add up until it comes. */
export class TarHeaders {
  #pax: ReadonlyMap<string, string> = new Map();
  #longName: string | undefined;

  /**
   * Reads a header block at `at`.
   * @returns The member; how many bytes of records follow that {@link records} wants; or `end`.
   * @throws {ArchiveError} A wrong checksum, a link, a device, a path that leads elsewhere.
   */
  read(block: Buffer, at: number): TarMember | { readonly recordBytes: number; readonly type: string } | "end" {
    if (block.every((byte) => byte === 0)) return "end";
    checkSum(block, at);
    const type = String.fromCharCode(block[156] ?? 0);
    const sizeBytes = this.#pax.has("size") ? Number(this.#pax.get("size")) : numberIn(block.subarray(124, 136), at);
    if (type === "x" || type === "g" || type === "L" || type === "K") {
      const recordBytes = numberIn(block.subarray(124, 136), at);
      if (recordBytes > mostRecordBytes) throw new ArchiveError(`records of ${recordBytes} bytes at ${at}`);
      return { recordBytes, type };
    }
    const path = this.#pax.get("path") ?? this.#longName ?? pathIn(block);
    this.#pax = new Map();
    this.#longName = undefined;
    const kind = kinds[type];
    if (kind === undefined) {
      throw new ArchiveError(`${JSON.stringify(path)} is neither a file nor a folder (type ${JSON.stringify(type)})`);
    }
    if (!Number.isSafeInteger(sizeBytes) || sizeBytes < 0) throw new ArchiveError(`a size that is no number at ${at}`);
    // Before POSIX, a folder was a file whose name ended in a slash.
    const isFolder = kind === "folder" || path.endsWith("/");
    return {
      path: checkedPath(path),
      kind: isFolder ? "folder" : "file",
      sizeBytes: isFolder ? 0 : sizeBytes,
      contentStart: at + blockBytes,
    };
  }

  /** Takes the records that a header announced. */
  records(type: string, content: Buffer): void {
    if (type === "L") this.#longName = textIn(content);
    else if (type === "x") this.#pax = paxRecords(content);
  }
}

const kinds: Readonly<Record<string, "folder" | "file">> = { "0": "file", "\0": "file", "7": "file", "5": "folder" };

/** @throws {ArchiveError} It leads out of the folder in which it is unpacked. */
export function checkedPath(path: string): string {
  const trimmed = path.replace(/^(?:\.\/+)+/, "").replace(/\/+$/, "");
  const parts = trimmed.split("/");
  const isBad = trimmed.includes("\0") || trimmed.includes("\\") || parts.some((part) => part === ".." || part === "");
  if (path.startsWith("/") || (isBad && trimmed !== "")) {
    throw new ArchiveError(`the path ${JSON.stringify(path)} leads out of the archive`);
  }
  return trimmed === "." ? "" : trimmed;
}

function checkSum(block: Buffer, at: number): void {
  const wanted = numberIn(block.subarray(148, 156), at);
  let sum = 8 * 0x20;
  for (const [index, byte] of block.entries()) if (index < 148 || index >= 156) sum += byte;
  if (sum !== wanted) throw new ArchiveError(`no tar header at ${at}: checksum ${sum}, expected ${wanted}`);
}

/** Octal digits; or, with the first bit set, a binary number as GNU tar writes large ones. */
function numberIn(field: Buffer, at: number): number {
  if ((field[0] ?? 0) & 0x80) {
    let value = (field[0] ?? 0) & 0x7f;
    for (const byte of field.subarray(1)) value = value * 256 + byte;
    return value;
  }
  const text = textIn(field).trim();
  if (!/^[0-7]*$/.test(text)) throw new ArchiveError(`no number in the header at ${at}`);
  return text === "" ? 0 : Number.parseInt(text, 8);
}

function pathIn(block: Buffer): string {
  const name = textIn(block.subarray(0, 100));
  const prefix = block.toString("latin1", 257, 263) === "ustar\0" ? textIn(block.subarray(345, 500)) : "";
  return prefix === "" ? name : `${prefix}/${name}`;
}

function textIn(field: Buffer): string {
  const end = field.indexOf(0);
  return field.toString("utf8", 0, end < 0 ? field.length : end);
}

/** Records such as `19 size=8589934592\n`. @throws {ArchiveError} */
function paxRecords(content: Buffer): Map<string, string> {
  const records = new Map<string, string>();
  for (let at = 0; at < content.length && content[at] !== 0; ) {
    const space = content.indexOf(0x20, at);
    const length = Number(content.toString("latin1", at, space));
    const record = content.toString("utf8", space + 1, at + length - 1);
    const equals = record.indexOf("=");
    if (space < 0 || !(length > space - at) || at + length > content.length || equals < 0) {
      throw new ArchiveError("PAX records that cannot be read");
    }
    records.set(record.slice(0, equals), record.slice(equals + 1));
    at += length;
  }
  return records;
}

/** A member and its bytes, which must be read before the next one is asked for; what is left is skipped. */
export interface StreamedMember extends TarMember {
  content(): AsyncGenerator<Uint8Array>;
}

/** The members of an archive as it comes. @throws {ArchiveError} It is none, is cut short, or must not be unpacked. */
export async function* readTar(source: AsyncIterable<Uint8Array>): AsyncGenerator<StreamedMember> {
  const reader = new ByteReader(source);
  const headers = new TarHeaders();
  try {
    for (;;) {
      const at = reader.at;
      const block = await reader.exactly(blockBytes);
      const found = headers.read(block, at);
      if (found === "end") break;
      if ("recordBytes" in found) {
        const content = await reader.exactly(found.recordBytes + paddingOf(found.recordBytes));
        headers.records(found.type, content.subarray(0, found.recordBytes));
        continue;
      }
      const end = reader.at + found.sizeBytes;
      yield { ...found, content: () => reader.until(end) };
      for await (const _ of reader.until(end + paddingOf(found.sizeBytes)));
    }
    // Whatever follows the end is read, so that a damaged compressed archive is noticed.
    await reader.rest();
  } finally {
    await reader.close();
  }
}

class ByteReader {
  readonly #iterator: AsyncIterator<Uint8Array>;
  #buffer: Uint8Array = new Uint8Array(0);
  at = 0;

  constructor(source: AsyncIterable<Uint8Array>) {
    this.#iterator = source[Symbol.asyncIterator]();
  }

  async exactly(length: number): Promise<Buffer> {
    const parts: Uint8Array[] = [];
    for await (const part of this.until(this.at + length)) parts.push(part);
    return Buffer.concat(parts);
  }

  /** The bytes up to a place in the archive. @throws {ArchiveError} It ends before. */
  async *until(end: number): AsyncGenerator<Uint8Array> {
    while (this.at < end) {
      if (this.#buffer.length === 0) {
        const { done, value } = await this.#iterator.next();
        if (done) throw new ArchiveError(`the archive ends at ${this.at}, expected more: it was cut short`);
        this.#buffer = value;
        continue;
      }
      const part = this.#buffer.subarray(0, Math.min(this.#buffer.length, end - this.at));
      this.#buffer = this.#buffer.subarray(part.length);
      this.at += part.length;
      yield part;
    }
  }

  async rest(): Promise<void> {
    while (!(await this.#iterator.next()).done);
  }
  async close(): Promise<void> {
    await this.#iterator.return?.();
  }
}
