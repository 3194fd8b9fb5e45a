/** A look into the folder of received WAL: what is there, whether it is the server's, and what it holds. */
import { readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { isSegmentName } from "../../../plugins/common/postgres/wal-segments.ts";

export interface ReceivedFile {
  readonly name: string;
  readonly sizeBytes: number;
}

/** Segments, complete and partial, ascending. */
export async function receivedFiles(folder: string): Promise<ReceivedFile[]> {
  const names = (await readdir(folder)).filter((name) => isSegmentName(name.replace(/\.partial$/, ""))).sort();
  const found = names.map(async (name) => {
    // Undefined: it got its final name meanwhile.
    const about = await stat(join(folder, name)).catch(() => undefined);
    return about === undefined ? [] : [{ name, sizeBytes: about.size }];
  });
  return (await Promise.all(found)).flat();
}

/**
 * Compares complete segments with those of the server, which must keep them.
 * @returns How many there are. @throws {Error} One differs from the server's.
 */
export async function compareSegments(folder: string, dataFolder: string): Promise<number> {
  const complete = (await receivedFiles(folder)).filter(({ name }) => isSegmentName(name));
  for (const { name } of complete) {
    const [ours, theirs] = await Promise.all([
      readFile(join(folder, name)),
      readFile(join(dataFolder, "pg_wal", name)),
    ]);
    if (!ours.equals(theirs)) throw new Error(`${join(folder, name)} is not what ${dataFolder}/pg_wal has`);
  }
  return complete.length;
}

/** Source: PostgreSQL, access/xlog_internal.h: pages of 8 KiB, each with a header; the first of a segment has a longer one. */
const pageBytes = 8192;
const longHeaderBytes = 40;
const headerBytes = 24;

/** The name of one of the last two files that holds this text; undefined when neither does. */
export async function fileWith(folder: string, text: string): Promise<string | undefined> {
  const names = (await receivedFiles(folder)).slice(-2).map(({ name }) => name);
  let before = Buffer.alloc(0);
  for (const name of names) {
    // A record that does not fit a page goes on behind the next page's header, in the next file too.
    const content = Buffer.concat([before, withoutHeaders(await readFile(join(folder, name)))]);
    if (content.includes(text)) return name;
    before = content.subarray(-pageBytes);
  }
  return undefined;
}

function withoutHeaders(segment: Buffer): Buffer {
  const pages: Buffer[] = [];
  for (let start = 0; start < segment.length; start += pageBytes) {
    pages.push(segment.subarray(start + (start === 0 ? longHeaderBytes : headerBytes), start + pageBytes));
  }
  return Buffer.concat(pages);
}
