/** Whether a receive folder is what it must be at any moment, beside the server that it was received from. */
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { historyFileName, parseTimelineHistory } from "../../../../plugins/common/postgres/timeline-history.ts";
import { formatSegmentName, parseSegmentName, segmentAt } from "../../../../plugins/common/postgres/wal-segments.ts";
import { partialDifferences } from "../../../harness/wal-compare.ts";

export interface FolderCheck {
  readonly received: string;
  /** Of the server, which may run or be dead; and of those before it, which may have what it has not. */
  readonly dataFolders: readonly [string, ...string[]];
  readonly segmentSizeBytes: number;
  /** What the server was told to be flushed; undefined: nobody could ask it. */
  readonly flushed?: { readonly timeline: number; readonly lsn: bigint } | undefined;
  /** Complete segments that were compared before; gets those that are equal now. */
  readonly compared: Set<string>;
}

/** What is wrong; an empty list is good. Files may come and be completed meanwhile. */
export async function folderFaults(check: FolderCheck): Promise<string[]> {
  const names = (await readdir(check.received)).sort();
  const faults = [...(await chainFaults(names, check)), ...(await completeFaults(names, check))];
  if (check.flushed) faults.push(...(await flushedFaults(check, check.flushed)));
  return faults;
}

/** Only segments and histories, no number left out, and each timeline begins in the segment in which it left the one before. */
async function chainFaults(names: readonly string[], { received, segmentSizeBytes }: FolderCheck): Promise<string[]> {
  const faults: string[] = [];
  const held = new Map<number, Map<number, "complete" | "partial">>();
  for (const name of names) {
    if (/^[0-9A-F]{8}\.history$/.test(name)) continue;
    const [, base = "", partial] = /^([0-9A-F]{24})(\.partial)?$/.exec(name) ?? [];
    const segment = parseSegmentName(base, segmentSizeBytes);
    if (segment === undefined) {
      faults.push(`${name}: neither a segment nor a history`);
      continue;
    }
    const timeline = held.get(segment.timeline) ?? new Map<number, "complete" | "partial">();
    held.set(segment.timeline, timeline);
    if (timeline.has(segment.number)) faults.push(`${name}: both complete and partial`);
    timeline.set(segment.number, partial ? "partial" : "complete");
  }
  for (const [timeline, segments] of held) {
    const numbers = [...segments.keys()].sort((one, other) => one - other);
    const [first = 0, last = 0] = [numbers.at(0), numbers.at(-1)];
    const nameOf = (number: number) => formatSegmentName({ timeline, number }, segmentSizeBytes);
    for (let number = first; number < last; number++) {
      if (segments.get(number) === undefined) faults.push(`${nameOf(number)}: missing, while later ones are there`);
      else if (segments.get(number) === "partial")
        faults.push(`${nameOf(number)}: partial, while later ones are there`);
    }
    if (timeline === 1) continue;
    const history = historyFileName(timeline);
    if (!names.includes(history)) {
      faults.push(`${nameOf(first)}: there is no ${history}`);
      continue;
    }
    const fork = parseTimelineHistory(await readFile(join(received, history), "utf8")).at(-1);
    if (fork === undefined || segmentAt(fork.endLsn, segmentSizeBytes) !== first)
      faults.push(`${nameOf(first)}: the first of its timeline, which does not begin there`);
    else if (
      held.has(fork.timeline) &&
      !held.get(fork.timeline)?.has(first) &&
      !held.get(fork.timeline)?.has(first - 1)
    )
      faults.push(`${nameOf(first)}: timeline ${fork.timeline} does not reach there`);
  }
  return faults;
}

async function completeFaults(
  names: readonly string[],
  { received, dataFolders, compared }: FolderCheck,
): Promise<string[]> {
  const faults: string[] = [];
  for (const name of names.filter((one) => /^[0-9A-F]{24}$/.test(one) && !compared.has(one))) {
    const here = await readFile(join(received, name));
    const those = await Promise.all(
      dataFolders.map((folder) => readFile(join(folder, "pg_wal", name)).catch(() => {})),
    );
    const there = those.filter((content) => content !== undefined);
    const [first] = there;
    // What a standby had not received to its end when it was promoted stays unfinished there.
    if (first === undefined) faults.push(`${name}: no server has it`);
    else if (there.some((content) => here.equals(content))) compared.add(name);
    else faults.push(`${name}: differs at byte ${here.findIndex((byte, at) => byte !== first[at])}`);
  }
  return faults;
}

/** What is flushed must be in the files: in the segment, or in what is there of it. */
async function flushedFaults(
  { received, dataFolders, segmentSizeBytes }: FolderCheck,
  { timeline, lsn }: { timeline: number; lsn: bigint },
): Promise<string[]> {
  const offset = Number(lsn % BigInt(segmentSizeBytes));
  if (offset === 0) return [];
  const name = formatSegmentName({ timeline, number: segmentAt(lsn, segmentSizeBytes) }, segmentSizeBytes);
  const present = new Set(await readdir(received));
  const server = join(dataFolders[0], "pg_wal", name);
  try {
    if (!present.has(name)) return await partialDifferences(join(received, `${name}.partial`), server, offset);
  } catch (error) {
    // It may have been completed meanwhile.
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
    const now = new Set(await readdir(received));
    if (!now.has(name)) return [`${name}: neither it nor its partial is there, and ${offset} bytes of it are flushed`];
  }
  return [];
}
