/**
 * Headers of tar entries, byte for byte those of Go's archive/tar: USTAR, and PAX before an entry that does not fit.
 * Source: archive/tar/writer.go and common.go (`Header.allowedFormats`), Go 1.22.
 */
import type { ArchiveEntry } from "./entry.ts";

export const blockBytes = 512;
const nameBytes = 100;
const prefixBytes = 155;
/** What eleven octal digits hold. */
const mostOctal = 8 ** 11 - 1;

/** The header blocks of an entry: one, or three and more where PAX records stand before it. */
export function tarHeader(entry: ArchiveEntry): Buffer {
  const { path, sizeBytes, mtimeSeconds } = entry;
  const split = splitPath(path);
  const records: [string, string][] = [];
  const isPlain = /^[\x01-\x7f]*$/.test(path);
  const isLong = Buffer.byteLength(path) > nameBytes;
  const fits = isPlain && (!isLong || split !== undefined);
  if (mtimeSeconds < 0 || mtimeSeconds > mostOctal) records.push(["mtime", String(mtimeSeconds)]);
  if (!isPlain || isLong) records.push(["path", path]);
  if (sizeBytes > mostOctal) records.push(["size", String(sizeBytes)]);
  // A path that is merely long can be split, unless another record makes it PAX all the same.
  if (fits && records.every(([key]) => key === "path")) {
    return mainBlock(entry, split ?? { prefix: "", name: path });
  }
  const content = Buffer.from(records.map(([key, value]) => paxRecord(key, value)).join(""));
  return Buffer.concat([
    paxBlock(path, content.length),
    content,
    Buffer.alloc(paddingOf(content.length)),
    mainBlock(entry, { prefix: "", name: asciiOnly(path) }),
  ]);
}

/** Zero bytes that fill the last block. */
export function paddingOf(sizeBytes: number): number {
  return (blockBytes - (sizeBytes % blockBytes)) % blockBytes;
}

function mainBlock({ kind, sizeBytes, mtimeSeconds }: ArchiveEntry, path: { prefix: string; name: string }): Buffer {
  const block = Buffer.alloc(blockBytes);
  text(block, 0, nameBytes, path.name);
  octal(block, 100, 8, kind === "folder" ? 0o755 : 0o644);
  octal(block, 108, 8, 0);
  octal(block, 116, 8, 0);
  octal(block, 124, 12, sizeBytes);
  octal(block, 136, 12, mtimeSeconds);
  block.write(kind === "folder" ? "5" : "0", 156, "latin1");
  octal(block, 329, 8, 0);
  octal(block, 337, 8, 0);
  text(block, 345, prefixBytes, path.prefix);
  return sealed(block);
}

function paxBlock(path: string, contentBytes: number): Buffer {
  const slash = path.lastIndexOf("/");
  const name = `${path.slice(0, slash + 1)}PaxHeaders.0/${path.slice(slash + 1)}`;
  const block = Buffer.alloc(blockBytes);
  text(block, 0, nameBytes, asciiOnly(name).slice(0, nameBytes).replace(/\/+$/, ""));
  for (const [at, width] of [
    [100, 8],
    [108, 8],
    [116, 8],
  ] as const)
    octal(block, at, width, 0);
  octal(block, 124, 12, contentBytes);
  octal(block, 136, 12, 0);
  block.write("x", 156, "latin1");
  return sealed(block);
}

/** The magic, and the checksum: the sum of all bytes, its own field counted as spaces. */
function sealed(block: Buffer): Buffer {
  block.write("ustar\x0000", 257, "latin1");
  block.fill(" ", 148, 156);
  let sum = 0;
  for (const byte of block) sum += byte;
  block.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148, "latin1");
  return block;
}

/** A number of `width - 1` digits and a NUL; one that does not fit is 0 there, and stands in a PAX record. */
function octal(block: Buffer, at: number, width: number, value: number): void {
  const digits = value >= 0 && value < 8 ** (width - 1) ? value.toString(8) : "0";
  block.write(`${digits.padStart(width - 1, "0")}\0`, at, "latin1");
}

function text(block: Buffer, at: number, width: number, value: string): void {
  block.write(value.slice(0, width), at, width, "latin1");
}

/** A record tells its own length, the digits of which count too. */
function paxRecord(key: string, value: string): string {
  const rest = Buffer.byteLength(` ${key}=${value}\n`);
  let length = rest + String(rest).length;
  if (rest + String(length).length > length) length++;
  return `${length} ${key}=${value}\n`;
}

function splitPath(path: string): { prefix: string; name: string } | undefined {
  if (path.length <= nameBytes || !/^[\x00-\x7f]*$/.test(path)) return undefined;
  const slash = path.slice(0, prefixBytes + 1).lastIndexOf("/");
  const name = path.slice(slash + 1);
  if (slash <= 0 || name.length > nameBytes || name === "") return undefined;
  return { prefix: path.slice(0, slash), name };
}

/** Source: `toASCII`: what is not ASCII is left out. */
function asciiOnly(path: string): string {
  return path.replace(/[^\x01-\x7f]/g, "");
}
