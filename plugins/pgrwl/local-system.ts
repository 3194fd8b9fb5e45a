/** Whose WAL a receive directory holds, where no server has told it yet. */
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { checkSegmentFile } from "../common/wal-archive/segment-file.ts";

/** The system identifier in the newest file that has one; undefined where there is none. @throws {Error} The directory cannot be read. */
export async function systemIdentifierIn(directory: string): Promise<string | undefined> {
  const names = (await readdir(directory)).filter((name) => /^[0-9A-F]{24}(\.partial)?$/.test(name));
  for (const name of names.sort().reverse()) {
    try {
      const { systemIdentifier } = checkSegmentFile(join(directory, name), name);
      if (systemIdentifier !== undefined) return systemIdentifier;
    } catch {
      // What is no segment, or has just been archived, says nothing; the next one may.
    }
  }
  return undefined;
}
