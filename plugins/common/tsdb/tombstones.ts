/** `tombstones` of a block: what was deleted and not compacted away. Source: prometheus/tsdb/docs/format/tombstones.md. */
import { crc32c } from "./crc32c.ts";

const magic = 0x0130ba30;
const headBytes = 5;
const crcBytes = 4;

/** What is wrong with a tombstones file; undefined when nothing is. The checksum is that of what lies between. */
export function tombstonesProblem(file: Buffer): { check: string; found: string } | undefined {
  if (file.length < headBytes + crcBytes) return { check: "size", found: `${file.length} bytes, expected at least 9` };
  if (file.readUInt32BE(0) !== magic) return { check: "magic number", found: hex(file.readUInt32BE(0)) };
  if (file[4] !== 1) return { check: "version", found: `${file[4]}, expected 1` };
  const wanted = file.readUInt32BE(file.length - crcBytes);
  const found = crc32c(file, headBytes, file.length - crcBytes);
  return wanted === found ? undefined : { check: "checksum", found: `${hex(found)}, expected ${hex(wanted)}` };
}

export const hex = (crc: number): string => crc.toString(16).padStart(8, "0");
