/** Timeline history files in the receive folder. */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { historyFileName } from "../../common/postgres/timeline-history.ts";
import type { Disk } from "./disk.ts";
import { GapError } from "./gaps.ts";
import type { Server } from "./server.ts";

/**
 * Archives the history of a timeline, before any WAL of it.
 * @returns The file's name if it was not there yet.
 * @throws {GapError} There is another history of this timeline: two servers were promoted to it.
 */
export async function keepHistory(
  timeline: number,
  server: Server,
  { directory, disk, mode }: { directory: string; disk: Disk; mode: number },
): Promise<string | undefined> {
  if (timeline === 1) return undefined;
  const name = historyFileName(timeline);
  const path = join(directory, name);
  const content = await server.historyFile(timeline);
  if (!existsSync(path)) {
    disk.writeWhole(path, content, mode);
    return name;
  }
  if (readFileSync(path).equals(content)) return undefined;
  throw new GapError(
    "timeline",
    `Cannot go on: ${path} is the history of another timeline ${timeline} than the server's`,
    { file: name },
  );
}
