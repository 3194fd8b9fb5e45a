/** What was received of a timeline beyond the position at which the server left it, in the segment of that position. */
import { closeSync, openSync, readSync } from "node:fs";
import { join } from "node:path";
import { formatSegmentName, segmentAt } from "../../common/postgres/wal-segments.ts";

/**
 * The file that holds such WAL; undefined when there is none.
 * @param lsn The last position of the timeline, and the first of the next.
 */
export function fileBeyond(
  directory: string,
  { timeline, lsn }: { readonly timeline: number; readonly lsn: bigint },
  segmentSizeBytes: number,
): string | undefined {
  const name = formatSegmentName({ timeline, number: segmentAt(lsn, segmentSizeBytes) }, segmentSizeBytes);
  const offset = Number(lsn % BigInt(segmentSizeBytes));
  return [`${name}.partial`, name].find((file) => hasContentFrom(join(directory, file), offset));
}

/** Whether anything but zeros is there; a file that cannot be read has nothing. */
function hasContentFrom(path: string, offset: number): boolean {
  let fd: number;
  try {
    fd = openSync(path, "r");
  } catch {
    return false;
  }
  try {
    const piece = Buffer.alloc(2 ** 20);
    const zeros = Buffer.alloc(piece.length);
    for (let at = offset; ; at += piece.length) {
      const length = readSync(fd, piece, 0, piece.length, at);
      if (length <= 0) return false;
      if (!piece.subarray(0, length).equals(zeros.subarray(0, length))) return true;
    }
  } catch {
    return false;
  } finally {
    closeSync(fd);
  }
}
