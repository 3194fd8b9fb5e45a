/** The complete segments in the receive directory. */
import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { isSegmentName, isSegmentSize } from "../common/postgres/wal-segments.ts";

export interface CompleteSegment {
  readonly name: string;
  readonly sizeBytes: number;
  /** Unix milliseconds of the last write. */
  readonly modifiedAt: number;
}

const filesAtOnce = 32;

/**
 * Segments with their final name and size, the newest name first.
 * @param segmentSizeBytes Undefined while the server has not told it: any size that a segment may have will do.
 * @throws {Error} The directory cannot be read.
 */
export async function listCompleteSegments(
  directory: string,
  segmentSizeBytes: number | undefined,
): Promise<CompleteSegment[]> {
  const isWhole = (bytes: number) =>
    segmentSizeBytes === undefined ? isSegmentSize(bytes) : bytes === segmentSizeBytes;
  const names = (await readdir(directory)).filter(isSegmentName).sort().reverse();
  const found: CompleteSegment[] = [];
  for (let start = 0; start < names.length; start += filesAtOnce) {
    const looks = names.slice(start, start + filesAtOnce).map(async (name) => {
      // Undefined: it was archived and removed meanwhile.
      const about = await stat(join(directory, name)).catch(() => undefined);
      return about?.isFile() && isWhole(about.size) ? [{ name, sizeBytes: about.size, modifiedAt: about.mtimeMs }] : [];
    });
    found.push(...(await Promise.all(looks)).flat());
  }
  return found;
}
