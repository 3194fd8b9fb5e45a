/** Whether a snapshot can be restored: the structure and every checksum of its blocks, and their counts. */

import type { SnapshotFiles } from "./block-files.ts";
import { isUlid } from "./ulid.ts";
import { type BlockReport, verifyBlock } from "./verify-block.ts";

/** One thing that is wrong. `file` is the path below the snapshot. */
export interface Problem {
  readonly file: string;
  readonly check: string;
  readonly found: string;
}

export interface SnapshotReport {
  readonly blocks: readonly BlockReport[];
  readonly problems: readonly Problem[];
  /** What is no damage, and yet to be known: a snapshot without any block, blocks that overlap. */
  readonly warnings: readonly string[];
  readonly sizeBytes: number;
}

/**
 * Reads everything in a snapshot once. Never throws for what is wrong with the snapshot: that is the report.
 * @throws Whatever `signal` was aborted with.
 */
export async function verifySnapshot(snapshot: SnapshotFiles, signal?: AbortSignal): Promise<SnapshotReport> {
  const problems: Problem[] = [];
  const blocks: BlockReport[] = [];
  const names = new Set([...snapshot.folders, ...snapshot.files.keys()].map((path) => path.split("/")[0] ?? path));
  for (const path of snapshot.others)
    problems.push({ file: path, check: "kind", found: "neither a file nor a folder" });
  for (const name of [...names].sort()) {
    signal?.throwIfAborted();
    if (!isUlid(name)) {
      const found = "no ULID, which the name of a block is";
      problems.push({ file: name, check: "name", found });
    } else {
      const report = await verifyBlock(snapshot, name, signal);
      blocks.push(report);
      problems.push(...report.problems);
    }
  }
  const sizeBytes = [...snapshot.files.values()].reduce((sum, size) => sum + size, 0);
  return { blocks, problems, warnings: warningsOf(blocks), sizeBytes };
}

function warningsOf(blocks: readonly BlockReport[]): string[] {
  if (blocks.length === 0) return ["it is empty: there is no block in it"];
  const inOrder = blocks
    .flatMap(({ meta }) => (meta ? [meta] : []))
    .sort((one, other) => one.minTime - other.minTime || one.maxTime - other.maxTime);
  let reachedMs = Number.NEGATIVE_INFINITY;
  let reachedBy = "";
  const warnings: string[] = [];
  for (const { ulid, minTime, maxTime } of inOrder) {
    if (minTime < reachedMs) {
      warnings.push(
        `blocks ${reachedBy} and ${ulid} overlap: Prometheus before 2.39 merges them only with --storage.tsdb.allow-overlapping-blocks`,
      );
    }
    if (maxTime > reachedMs) [reachedMs, reachedBy] = [maxTime, ulid];
  }
  return warnings;
}
