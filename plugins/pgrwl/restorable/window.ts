/**
 * From when to when one can restore with the WAL that is received. WAL alone restores nothing: only where a base backup is
 * known is anything claimed.
 */
import type { RestorableWindow } from "holdfast";
import { parseSegmentName, segmentEnd, segmentStart } from "../../common/postgres/wal-segments.ts";
import { leadsThrough } from "../../common/wal-archive/continuity.ts";
import { parseObjectName } from "../../common/wal-archive/object-names.ts";
import { isLabelPath, type Need } from "../archive/base-backups.ts";
import type { Telemetry } from "../receiver/telemetry.ts";
import type { Surveyed } from "./survey.ts";

export interface WindowOptions {
  /** Unix seconds. */
  readonly now: number;
  readonly telemetry: Telemetry;
  readonly surveyed: Surveyed | undefined;
  /** Why the newest survey could not be made. */
  readonly failure: string | undefined;
  readonly keepFrom: readonly string[];
  /** Objects of the archive that the last verification could not read, by their names. */
  readonly damaged: readonly string[];
}

/** A survey ends within minutes, or waits for a disk or a storage that does not answer: then nothing newer is known. */
const oldestSurveySeconds = 3600;

/** None while nobody has looked yet. */
export function restorableWindows(options: WindowOptions): RestorableWindow[] {
  const { telemetry, surveyed, failure, keepFrom, now } = options;
  const expectsBackups = keepFrom.some(isLabelPath);
  if (surveyed === undefined) {
    if (failure === undefined) return [];
    return [{ reason: "archive_unreachable", detail: failure, walOnly: !expectsBackups }];
  }
  const { run, backups } = surveyed;
  const known = backups.needs.filter(({ endedAt }) => endedAt !== undefined);
  const walOnly = known.length === 0 && !expectsBackups && !surveyed.hadBackups;
  const to = receivedUntil(telemetry, options.now) ?? run?.until;
  if (walOnly) return [{ ...ofWalAlone(run?.since, to), ...failing(failure) }];
  const led = known.filter(({ reaches }) => isOnWay(reaches, surveyed));
  const since = led.filter(({ segment }) => run !== undefined && startOf(segment, surveyed) >= run.oldestLsn);
  const end = [run?.newestLsn ?? 0n, telemetry.lsn("flushed")].reduce((a, b) => (a > b ? a : b));
  const received = since.filter(
    ({ segment, reaches }) => startOf(segment, surveyed) < end && (reaches === undefined || reaches.lsn <= end),
  );
  const damage = options.damaged.flatMap(segmentOf).filter((one) => isOnWay(endOf(one, surveyed), surveyed));
  // Of a whole archive that the storage does not give out there are many: each is looked at once.
  const lastDamage = damage.map((one) => startOf(one, surveyed)).reduce((a, b) => (a > b ? a : b), -1n);
  const usable = received.filter(({ segment }) => lastDamage < startOf(segment, surveyed));
  const ends = usable.flatMap(({ endedAt }) => endedAt ?? []);
  const from = ends.length === 0 ? undefined : ends.reduce((a, b) => Math.min(a, b));
  const window = { from, to };
  if (failure !== undefined) return [{ ...window, ...failing(failure) }];
  const ageSeconds = now - surveyed.at;
  if (ageSeconds > oldestSurveySeconds) {
    const detail = `Nobody could look at segments and base backups for ${Math.floor(ageSeconds)} s: no answer`;
    return [{ ...window, reason: "stale", detail }];
  }
  if (known.length === 0) {
    const none = surveyed.hadBackups ? "The base backups that were there are gone" : "keep_from names no base backup";
    return [{ ...window, reason: "no_backup", detail: backups.doubts[0] ?? none }];
  }
  if (telemetry.list("gapOpen").some((isOpen) => isOpen > 0)) {
    return [{ ...window, reason: "wal_gap", detail: "The server no longer has the WAL that comes next" }];
  }
  if (run === undefined) return [{ reason: "unknown", detail: "No segment of WAL is complete yet" }];
  if (led.length === 0) {
    const detail = `Every base backup is of a timeline that was left before ${run.timeline} began: take a new one`;
    return [{ ...window, reason: "no_backup", detail }];
  }
  if (since.length > 0 && received.length === 0) {
    return [{ ...window, reason: "wal_gap", detail: "WAL that the base backup needs has not been received" }];
  }
  if (received.length > 0 && usable.length === 0) {
    return [{ ...window, reason: "damaged", detail: `WAL since every base backup: ${damage.at(-1)} is damaged` }];
  }
  if (from === undefined) {
    return [{ ...window, reason: "wal_gap", detail: "WAL is missing since every base backup that is known" }];
  }
  return [{ ...window, detail: backups.doubts[0] }];
}

const failing = (failure: string | undefined): Pick<RestorableWindow, "reason" | "detail"> =>
  failure === undefined ? {} : { reason: "archive_unreachable", detail: failure };

function ofWalAlone(from: number | undefined, to: number | undefined): RestorableWindow {
  const detail =
    "WAL without a gap; to restore, a base backup that began in this time is needed, and none is known here";
  return { from, to, walOnly: true, detail };
}

/** None where the object is no whole segment: a beginning that was left behind, and a label, bring no base backup further. */
function segmentOf(objectName: string): string[] {
  const object = parseObjectName(objectName);
  return object?.kind === "segment" ? [object.name] : [];
}

function startOf(segment: string, { segmentSizeBytes }: Surveyed): bigint {
  const parsed = parseSegmentName(segment, segmentSizeBytes);
  return parsed === undefined ? -1n : segmentStart(parsed.number, segmentSizeBytes);
}

function endOf(segment: string, { segmentSizeBytes }: Surveyed): Need["reaches"] {
  const { timeline, number } = parseSegmentName(segment, segmentSizeBytes) ?? { timeline: 0, number: 0 };
  return { timeline, lsn: segmentEnd(number, segmentSizeBytes) };
}

/** What a timeline wrote after the server's own had left it is of no use to anybody. */
function isOnWay(reaches: Need["reaches"], { run }: Surveyed): boolean {
  return reaches === undefined || run === undefined || leadsThrough(run.ancestors, run.timeline, reaches);
}

/** The moment up to which all that the server had is flushed here; undefined where nothing was heard of it yet. */
function receivedUntil(telemetry: Telemetry, now: number): number | undefined {
  const behindSince = telemetry.number("behindSince");
  // Not simply now while it streams: a disk or a network that hangs leaves that state as it is.
  const heardAt = telemetry.number("lastMessageAt") || (telemetry.state === "streaming" ? now : 0);
  if (heardAt === 0) return undefined;
  return behindSince > 0 ? Math.min(behindSince, heardAt) : heardAt;
}
