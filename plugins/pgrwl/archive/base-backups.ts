/** What base backups need of the archive, as far as they can be seen: pgrwl's own in the storage, and labels. */
import { readFile, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { z } from "holdfast";
import { decode, splitExtension } from "../../common/codec/codec.ts";
import { parseLsn } from "../../common/postgres/lsn.ts";
import { formatSegmentName, isSegmentName, segmentAt } from "../../common/postgres/wal-segments.ts";
import { collect } from "../../common/storage/content.ts";
import { messageOf, StorageError } from "../../common/storage/errors.ts";
import type { Storage } from "../../common/storage/storage.ts";
import { matchingFiles } from "./label-files.ts";

/** Something that needs WAL from a segment on; its name's timeline does not count. */
export interface Need {
  /** For the report. */
  readonly who: string;
  readonly segment: string;
  /** Of a base backup whose end is known: Unix seconds. */
  readonly endedAt?: number | undefined;
  /** Where it ended, else where it began: a recovery from it leads through there. Undefined where the timeline is not known. */
  readonly reaches?: { readonly timeline: number; readonly lsn: bigint } | undefined;
}

/** What was found, and what could not be made sense of: as long as there is any of that, nothing may be deleted. */
export interface Needs {
  readonly needs: readonly Need[];
  readonly doubts: readonly string[];
}

const walRange = z.looseObject({
  Timeline: z.int().positive().optional().catch(undefined),
  "Start-LSN": z.string(),
  "End-LSN": z.string().optional().catch(undefined),
});
/** Source: pgrwl, internal/opt/basebackup, the marker that is written last; positions are plain numbers there. */
const marker = z.looseObject({
  start_lsn: z.number().nonnegative(),
  finished_at: z.iso.datetime({ offset: true }).optional().catch(undefined),
  manifest: z.looseObject({ "WAL-Ranges": z.array(walRange).optional() }).nullish(),
});
const mostMarkerBytes = 2 ** 30;

/** pgrwl's base backups: `backups/ID/…`, ended by `ID.json`. @throws {StorageError} */
export async function storedBackups(
  storage: Storage,
  {
    password,
    segmentSizeBytes,
    signal,
  }: { password: string | undefined; segmentSizeBytes: number; signal: AbortSignal },
): Promise<Needs> {
  const markers = new Map<string, string | undefined>();
  for await (const { name } of storage.list("backups", { signal })) {
    const [, id = "", file = ""] = /^backups\/([^/]+)\/(.+)$/.exec(name) ?? [];
    if (id === "") continue;
    const isMarker = splitExtension(file).name === `${id}.json`;
    markers.set(id, isMarker ? name : markers.get(id));
  }
  const needs: Need[] = [];
  const doubts: string[] = [];
  for (const [id, name] of markers) {
    if (name === undefined) {
      doubts.push(`the base backup ${id} is not finished: delete backups/${id}/ if it never will be`);
      continue;
    }
    try {
      const { stream } = await storage.get(name, { signal });
      const options = { maxBytes: mostMarkerBytes, ...(password === undefined ? {} : { password }) };
      const text = Buffer.from(await collect(decode(stream, name, options), mostMarkerBytes)).toString();
      const found = marker.parse(JSON.parse(text));
      const endedAt = found.finished_at === undefined ? undefined : Date.parse(found.finished_at) / 1000;
      const segment = startOf(found, segmentSizeBytes);
      needs.push({ who: `the base backup ${id}`, segment, endedAt, reaches: reachOf(found) });
    } catch (error) {
      signal.throwIfAborted();
      // An outage is none of the marker's faults; S3 refuses what was moved to Glacier.
      if (error instanceof StorageError && error.kind !== "access-denied") throw error;
      doubts.push(`${name} cannot be read: ${messageOf(error)}`);
    }
  }
  return { needs, doubts };
}

function startOf({ start_lsn, manifest }: z.output<typeof marker>, segmentSizeBytes: number): string {
  const ranges = (manifest?.["WAL-Ranges"] ?? []).map((range) => parseLsn(range["Start-LSN"]));
  if (ranges.includes(undefined)) throw new SyntaxError("a WAL range has no position");
  const known = ranges.filter((lsn) => lsn !== undefined);
  // Numbers of JSON are exact up to 2^53 only, which may put it into the segment behind.
  const number = segmentAt(BigInt(start_lsn), segmentSizeBytes) - (Number.isSafeInteger(start_lsn) ? 0 : 1);
  const numbers = [number, ...known.map((lsn) => segmentAt(lsn, segmentSizeBytes))];
  return formatSegmentName({ timeline: 1, number: Math.max(0, Math.min(...numbers)) }, segmentSizeBytes);
}

/** The end of its range of WAL on the newest timeline. */
function reachOf({ manifest }: z.output<typeof marker>): Need["reaches"] {
  const ends = (manifest?.["WAL-Ranges"] ?? []).flatMap(({ Timeline: timeline, "End-LSN": end = "" }) => {
    const lsn = parseLsn(end);
    return timeline === undefined || lsn === undefined ? [] : [{ timeline, lsn }];
  });
  return ends.sort((one, other) => one.timeline - other.timeline).at(-1);
}

/** Whether an entry of `keep_from` is a path of labels, and no segment. */
export const isLabelPath = (one: string): boolean => !isSegmentName(one);

/**
 * When a base backup ended, Unix seconds: a backup history file says so, where its zone is UTC; else the manifest, which is
 * written last, or the label itself has the time of the copy.
 */
async function endOf(path: string, label: string): Promise<number | undefined> {
  const [, day, time] = /^STOP TIME: (\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d) (?:UTC|GMT)$/m.exec(label) ?? [];
  if (day !== undefined && time !== undefined) return Date.parse(`${day}T${time}Z`) / 1000;
  const manifest = await stat(join(dirname(path), "backup_manifest")).catch(() => undefined);
  const about = manifest ?? (await stat(path).catch(() => undefined));
  return about && about.mtimeMs / 1000;
}

/** What `keep_from` names: segments, and the labels of base backups by their paths. */
export async function configuredNeeds(keepFrom: readonly string[]): Promise<Needs> {
  const needs: Need[] = [];
  const doubts: string[] = [];
  for (const one of keepFrom) {
    if (isSegmentName(one)) {
      needs.push({ who: "keep_from", segment: one });
      continue;
    }
    const { paths, unreadable } = await matchingFiles(one);
    doubts.push(...unreadable.map((place) => `${one}, which keep_from names, cannot be looked for in ${place}`));
    for (const path of paths) {
      try {
        const label = await readFile(path, "utf8");
        const reaches = reachOfLabel(label);
        needs.push({ who: path, segment: segmentOfLabel(label), endedAt: await endOf(path, label), reaches });
      } catch (error) {
        doubts.push(`${path} cannot be read: ${messageOf(error)}`);
      }
    }
    if (paths.length === 0) doubts.push(`there is no file ${one}, which keep_from names`);
  }
  return { needs, doubts };
}

/**
 * The first segment that a base backup needs.
 * @param label Content of `backup_label`, or of a backup history file.
 * @throws {SyntaxError} It is none. Source: PostgreSQL, src/backend/access/transam/xlogbackup.c, build_backup_content().
 */
export function segmentOfLabel(label: string): string {
  const [, segment] = /^START WAL LOCATION: [0-9A-F]+\/[0-9A-F]+ \(file ([0-9A-F]{24})\)$/m.exec(label) ?? [];
  if (segment === undefined) throw new SyntaxError("it has no line START WAL LOCATION, and so is no backup's label");
  return segment;
}

/** The position of the label's last line of WAL: a backup history file has its end too. */
function reachOfLabel(label: string): Need["reaches"] {
  const lines = label.matchAll(
    /^(?:START|STOP) WAL LOCATION: ([0-9A-F]+\/[0-9A-F]+) \(file ([0-9A-F]{8})[0-9A-F]{16}\)$/gm,
  );
  const [, position = "", timeline = ""] = [...lines].at(-1) ?? [];
  const lsn = parseLsn(position);
  return lsn === undefined ? undefined : { timeline: Number.parseInt(timeline, 16), lsn };
}
