/** Which files of the receive folder cannot be continued once a gap was accepted. */
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { parseSegmentName, segmentAt } from "../../common/postgres/wal-segments.ts";
import { archiveFolder } from "./directory.ts";
import type { GapError } from "./gaps.ts";
import type { ServerState } from "./start-position.ts";

/** @returns Their paths below the receive folder; those in `wal-archive/` too, for reception would go on from them. */
export function filesInTheWay(
  directory: string,
  gap: GapError,
  server: Pick<ServerState, "timeline" | "lsn" | "history">,
  segmentSizeBytes: number,
): string[] {
  const { timeline: otherFrom, segment } = partsOf(gap.file ?? "", segmentSizeBytes);
  if (gap.file !== undefined && (segment || otherFrom === undefined)) return [gap.file];
  return [...listFolder(directory), ...listFolder(directory, archiveFolder)].filter((path) => {
    const { timeline, segment } = partsOf(path.slice(path.lastIndexOf("/") + 1), segmentSizeBytes);
    if (timeline === undefined) return false;
    // A history that is not the server's: neither is anything that came on this timeline, or on those behind it.
    if (otherFrom !== undefined) return timeline >= otherFrom;
    switch (gap.reason) {
      case "system_identifier":
        return true;
      case "timeline":
        return timeline !== server.timeline && !server.history.some((one) => one.timeline === timeline);
      case "server_behind":
        return timeline === server.timeline && (segment?.number ?? -1) >= segmentAt(server.lsn, segmentSizeBytes);
      default:
        return false;
    }
  });
}

/** Of the name of a segment's file, in whatever form, or of a history file. */
function partsOf(file: string, segmentSizeBytes: number) {
  const [, name = "", historyOf] = /^(?:([0-9A-F]{24})|([0-9A-F]{8})\.history)(?:\..*)?$/.exec(file) ?? [];
  const segment = parseSegmentName(name, segmentSizeBytes);
  const timeline = segment?.timeline ?? (historyOf === undefined ? undefined : Number.parseInt(historyOf, 16));
  return { segment, timeline };
}

function listFolder(directory: string, below = ""): string[] {
  try {
    return readdirSync(join(directory, below)).map((name) => join(below, name));
  } catch (error) {
    if (["ENOENT", "ENOTDIR"].includes((error as NodeJS.ErrnoException).code ?? "")) return [];
    throw error;
  }
}
