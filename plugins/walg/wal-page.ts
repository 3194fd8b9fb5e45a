/** The part of the page about WAL: what is archived, what is missing, what can be recovered. */
import { formatLsn } from "../common/postgres/lsn.ts";
import { parseSegmentName, segmentEnd } from "../common/postgres/wal-segments.ts";
import { type Knowledge, ownBackups } from "./knowledge.ts";
import { assessRecovery, firstSegment, lagBytes, type Recovery } from "./recovery.ts";
import type { Series } from "./series.ts";
import { runNumbers, type StoredTimeline } from "./timelines.ts";
import { secondsBetween } from "./timestamp.ts";
import type { Verdict, Verification, VerifiedRange } from "./verification.ts";
import {
  type ArchiveEnd,
  pathThroughTimelines,
  pathThroughVerification,
  type WalPath,
  withoutUploads,
} from "./wal-path.ts";

const verdictValues: Readonly<Record<Verdict, number>> = { OK: 1, FAILURE: 0, WARNING: 2, unknown: -1 };
const hex = (timeline: number) => timeline.toString(16).padStart(8, "0");

export function showWal(series: Series, known: Knowledge, archived: ArchivedWal): void {
  const { verification, server } = known;
  if (verification) showVerification(series, verification);
  showIntegrity(series, known);
  showTimelines(series, known);
  showMissing(series, known);

  const { current, recovery, end, latest, arrivals } = archived;
  showLag(series, known, end);
  showSinceBackup(series, known, end);

  for (const [timeline, { at }] of arrivals) {
    const labels = { timeline: String(timeline) };
    series.set("walg_wal_timestamp", labels, Math.floor(at));
    series.set("walg_wal_age_seconds", labels, Math.max(0, secondsBetween(at, known.nowSeconds)));
  }
  if (recovery) showRecovery(series, recovery, latest);

  series.set("walg_wal_ready_segments", {}, server?.readySegments);
  series.set("walg_archiver_last_failure_timestamp_seconds", {}, server?.lastArchiverFailureAt);
  if (server) series.copyCount("walg_archiver_failed_total", server.archiverFailures);
  series.set("walg_timeline_current", {}, current);
}

/** What the archive holds along the server's timelines. */
export interface ArchivedWal {
  /** The server's timeline. */
  readonly current: number | undefined;
  readonly recovery: Recovery | undefined;
  readonly end: ArchiveEnd | undefined;
  /** Unix seconds at which the end arrived. */
  readonly latest: number | undefined;
  /** The newest segment of each timeline. */
  readonly arrivals: ReadonlyMap<number, Arrival>;
  /** Unix seconds at which wal-g told what is archived. */
  readonly toldAt: number | undefined;
}

export function archivedWal(known: Knowledge): ArchivedWal {
  const { timelines, verification, server, backups, segmentSizeBytes } = known;
  const current = server?.timeline ?? known.currentVerification?.currentTimeline;
  const shown = timelines && pathThroughTimelines(timelines, current, segmentSizeBytes);
  const verified = verification && pathThroughVerification(verification, segmentSizeBytes);
  // What wal-show has told while wal-verify failed, or before it failed itself, must not stand for what is there now.
  const { timelinesAt = 0, verificationAt = 0, walPatienceSeconds } = known;
  const isOutdated = verified !== undefined && verificationAt - timelinesAt > walPatienceSeconds;
  const assess = (told: WalPath | undefined) => {
    const path = told && known.currentVerification ? withoutUploads(told, known.currentVerification) : told;
    return path && assessRecovery(ownBackups(known), backups?.chains ?? noChains, path, known.ignoreBefore);
  };
  let told = isOutdated ? verified : (shown ?? verified);
  let recovery = assess(told);
  // A timeline that was left within the segment in which it began has none of its own: wal-show does not know of it.
  if (told?.isCut && recovery?.earliest === undefined && verified && known.currentVerification) {
    told = verified;
    recovery = assess(told);
  }
  const toldAt = told === shown ? known.timelinesAt : known.verificationAt;
  const end = recovery?.end && withLastArchived(recovery.end, known);
  const arrivals = arrivalsOf(known);
  return { current, recovery, end, latest: end && arrivalOf(end, arrivals), arrivals, toldAt };
}

const noChains = { parent: () => undefined, depth: () => undefined };

function showVerification(series: Series, { integrity, timeline, ranges }: Verification): void {
  series.set("walg_wal_verify_status", { operation: "integrity" }, verdictValues[integrity]);
  series.set("walg_wal_verify_status", { operation: "timeline" }, verdictValues[timeline]);
  const counts = new Map<string, { labels: Record<string, string>; segments: number }>();
  for (const { timeline: id, status, segments } of ranges) {
    const labels = { status, timeline_hex: hex(id), timeline_id: String(id) };
    const key = `${id} ${status}`;
    counts.set(key, { labels, segments: (counts.get(key)?.segments ?? 0) + segments });
  }
  for (const { labels, segments } of counts.values()) series.set("walg_wal_segments", labels, segments);
}

/** The released exporter takes wal-verify's word, all others wal-show's; either stands in for the other. */
function showIntegrity(series: Series, { timelines, verification, currentVerification }: Knowledge): void {
  const isRelease = series.profile === "release";
  const shown = timelines && new Map(timelines.map(({ id, whole }) => [id, whole]));
  const verified = verification && integrityOf(verification.ranges);
  const preferred = isRelease ? ((currentVerification && verified) ?? shown ?? verified) : (shown ?? verified);
  for (const [id, isWhole] of preferred ?? []) {
    const labels: Record<string, string> = isRelease
      ? { timeline_hex: hex(id), timeline_id: String(id) }
      : { timeline: String(id) };
    series.set("walg_wal_integrity_status", labels, isWhole ? 1 : 0);
  }
}

/** Segments still on their way are no damage: only lost ones are. */
function integrityOf(ranges: readonly VerifiedRange[]): Map<number, boolean> {
  const whole = new Map<number, boolean>();
  for (const { timeline, status } of ranges)
    whole.set(timeline, (whole.get(timeline) ?? true) && status !== "MISSING_LOST");
  return whole;
}

function showTimelines(series: Series, { timelines, verification, segmentSizeBytes }: Knowledge): void {
  const ends = new Map<number, string | undefined>();
  for (const { timeline, endSegment, status } of verification?.ranges ?? []) {
    if (status === "FOUND") ends.set(timeline, endSegment);
  }
  for (const { id, parent, switchLsn, endSegment } of timelines ?? []) {
    ends.set(id, endSegment);
    const labels = {
      parent_timeline: String(parent ?? ""),
      switch_lsn: switchLsn === undefined ? "" : formatLsn(switchLsn),
      timeline: String(id),
    };
    series.set("walg_timeline_info", labels, 1);
  }
  for (const [id, endSegment] of ends) {
    const end = parseSegmentName(endSegment ?? "", segmentSizeBytes);
    series.set(
      "walg_wal_last_archived_lsn_bytes",
      { timeline: String(id) },
      end && Number(segmentEnd(end.number, segmentSizeBytes)),
    );
  }
  const highest = verification?.highestStoredTimeline ?? timelines?.reduce((a, { id }) => Math.max(a, id), 0);
  series.set("walg_timeline_highest_in_storage", {}, highest || undefined);
}

/** Counts what is missing since the oldest backup that is not permanent: what retention removed before it is no loss. */
function showMissing(
  series: Series,
  { timelines, verification, currentVerification, backups, segmentSizeBytes, ignoreBefore }: Knowledge,
): void {
  if (!timelines) {
    for (const id of new Set(verification?.ranges.map(({ timeline }) => timeline))) {
      const lost = verification ? lostRanges(verification).filter(({ timeline }) => timeline === id) : [];
      series.set(
        "walg_wal_missing_segments",
        { timeline: String(id) },
        lost.reduce((sum, { segments }) => sum + segments, 0),
      );
    }
    return;
  }
  let oldest = Number.POSITIVE_INFINITY;
  for (const backup of backups?.backups ?? []) {
    if (!backup.permanent) oldest = Math.min(oldest, firstSegment(backup, segmentSizeBytes) ?? oldest);
  }
  const from = Math.max(Number.isFinite(oldest) ? oldest : 0, ignoreBefore);
  for (const timeline of timelines) {
    if (timeline.startSegment === undefined) continue;
    const onTheirWay = uploading(currentVerification, timeline.id, segmentSizeBytes);
    series.set(
      "walg_wal_missing_segments",
      { timeline: String(timeline.id) },
      countMissing(timeline, from, onTheirWay, segmentSizeBytes),
    );
  }
}

/** Without a backup wal-verify looks back to the very first segment; what it then finds missing at first is no loss. */
function lostRanges({ integrity, ranges }: Verification): VerifiedRange[] {
  const counted = integrity === "FAILURE" ? ranges : ranges.slice(1);
  return counted.filter(({ status }) => status === "MISSING_LOST");
}

type Range = { readonly first: number; readonly last: number };

function uploading(verification: Verification | undefined, timeline: number, segmentSizeBytes: number): Range[] {
  return (verification?.ranges ?? []).flatMap((range) => {
    const first = parseSegmentName(range.startSegment ?? "", segmentSizeBytes)?.number;
    const last = parseSegmentName(range.endSegment ?? "", segmentSizeBytes)?.number;
    const counts = range.timeline === timeline && /^MISSING_(?:UPLOADING|DELAYED)$/.test(range.status);
    return counts && first !== undefined && last !== undefined ? [{ first, last }] : [];
  });
}

function countMissing(
  { missing }: StoredTimeline,
  from: number,
  excepted: readonly Range[],
  segmentSizeBytes: number,
): number {
  let count = 0;
  for (const run of missing) {
    const numbers = runNumbers(run, segmentSizeBytes);
    const first = Math.max(numbers.first, from);
    count += Math.max(0, numbers.last - first + 1);
    for (const range of excepted)
      count -= Math.max(0, Math.min(numbers.last, range.last) - Math.max(first, range.first) + 1);
  }
  return count;
}

/** wal-show's answer is minutes old; the archiver's own word moves the end of an archive without a hole. */
function withLastArchived(end: ArchiveEnd, { server, segmentSizeBytes }: Knowledge): ArchiveEnd {
  const last = server?.lastArchived && parseSegmentName(server.lastArchived.segment, segmentSizeBytes);
  if (!last || !end.isNewest || last.timeline !== server?.timeline || last.number < end.segment) return end;
  return { ...end, timeline: last.timeline, segment: last.number, lsn: segmentEnd(last.number, segmentSizeBytes) };
}

/** Only for the server's current timeline, and only when something tells its position: never invented. */
function showLag(
  series: Series,
  { server, currentVerification, segmentSizeBytes }: Knowledge,
  end: ArchiveEnd | undefined,
): void {
  const show = (timeline: number, bytes: number) => {
    const labels = { timeline: String(timeline) };
    series.set("walg_lsn_lag_bytes", labels, bytes);
    series.set("walg_wal_lag_segments", labels, Math.floor(bytes / segmentSizeBytes));
  };
  if (server?.lsn !== undefined && server.timeline !== undefined) {
    if (end) show(server.timeline, Number(lagBytes(server.lsn, end.lsn)));
    return;
  }
  const ranges = currentVerification?.ranges ?? [];
  const timeline = currentVerification?.currentTimeline ?? ranges.at(-1)?.timeline;
  if (timeline === undefined || ranges.length === 0) return;
  const behind = ranges.slice(ranges.findLastIndex(({ status }) => status === "FOUND") + 1);
  show(timeline, behind.reduce((sum, { segments }) => sum + segments, 0) * segmentSizeBytes);
}

function showSinceBackup(series: Series, { server, backups }: Knowledge, end: ArchiveEnd | undefined): void {
  const position = server?.lsn ?? end?.lsn;
  let newest: bigint | undefined;
  for (const { finishLsn, startLsn } of backups?.backups ?? []) {
    const lsn = finishLsn ?? startLsn;
    if (lsn !== undefined && lsn > (newest ?? -1n)) newest = lsn;
  }
  if (position === undefined || newest === undefined) return;
  series.set("walg_wal_since_last_backup_bytes", {}, Number(lagBytes(position, newest)));
}

interface Arrival {
  readonly segment: number;
  readonly at: number;
}

/** When the newest segment of each timeline arrived: by the archiver's word, else by the storage's. */
function arrivalsOf({ server, segments, timelines, segmentSizeBytes }: Knowledge): Map<number, Arrival> {
  const arrivals = new Map<number, Arrival>();
  for (const [timeline, { segment, uploadedAt }] of segments ?? []) {
    const parsed = parseSegmentName(segment, segmentSizeBytes);
    if (parsed) arrivals.set(timeline, { segment: parsed.number, at: uploadedAt });
  }
  const archived = server?.lastArchived && parseSegmentName(server.lastArchived.segment, segmentSizeBytes);
  if (!archived || !server?.lastArchived) return arrivals;
  const shown = timelines?.find(({ id }) => id === archived.timeline)?.endSegment;
  const inStorage = Math.max(
    arrivals.get(archived.timeline)?.segment ?? 0,
    parseSegmentName(shown ?? "", segmentSizeBytes)?.number ?? 0,
  );
  // Older than what the storage holds: statistics of a server that archived for a while without counting.
  if (archived.number >= inStorage)
    arrivals.set(archived.timeline, { segment: archived.number, at: server.lastArchived.at });
  return arrivals;
}

/** When the end of the archive arrived; undefined when only a segment behind a hole is known. */
function arrivalOf(end: ArchiveEnd, arrivals: ReadonlyMap<number, Arrival>): number | undefined {
  const arrival = arrivals.get(end.timeline);
  if (!arrival) return undefined;
  return arrival.segment === end.segment || (arrival.segment > end.segment && end.isNewest) ? arrival.at : undefined;
}

function showRecovery(series: Series, { earliest, gapSegments }: Recovery, latest: number | undefined): void {
  series.set("walg_pitr_gap_segments", {}, gapSegments);
  series.set("walg_pitr_earliest_timestamp_seconds", {}, earliest === undefined ? undefined : Math.floor(earliest));
  series.set("walg_pitr_latest_timestamp_seconds", {}, latest === undefined ? undefined : Math.floor(latest));
  if (earliest === undefined || latest === undefined) return;
  series.set("walg_pitr_usable_window_seconds", {}, Math.max(0, secondsBetween(earliest, latest)));
}
