/** Base backups in a WAL-G storage. Source: `wal-g backup-list --detail --json`. */
import { maxLsn, parseLsn } from "../common/postgres/lsn.ts";
import { isSegmentName, timelineOfSegmentName } from "../common/postgres/wal-segments.ts";
import { isObject, type JsonObject, readCount, readDocument, readText } from "./document.ts";
import { parseTimestamp } from "./timestamp.ts";

export type BackupType = "full" | "delta";
export const backupTypes: readonly BackupType[] = ["delta", "full"];

/** A base backup. Moments are Unix seconds; whatever wal-g does not know is undefined. */
export interface Backup {
  readonly name: string;
  readonly type: BackupType;
  /** When the storage got its sentinel; a copy of the bucket rewrites it. */
  readonly modifiedAt: number | undefined;
  readonly startedAt: number | undefined;
  readonly finishedAt: number | undefined;
  /** As wal-g gives it: 24 times `Z` when the backup's name holds no segment. */
  readonly walFile: string;
  readonly timeline: number | undefined;
  readonly startLsn: bigint | undefined;
  readonly finishLsn: bigint | undefined;
  readonly pgVersion: number | undefined;
  readonly permanent: boolean;
  readonly compressedBytes: number | undefined;
  readonly uncompressedBytes: number | undefined;
  /** Decimal digits: a 64-bit integer. */
  readonly systemIdentifier: string | undefined;
  /** The storages that hold a copy, and what each copy takes there. */
  readonly copies: readonly { readonly storage: string; readonly compressedBytes: number | undefined }[];
  /** Whether a moment, a size or a position is missing or cannot be right. */
  readonly incomplete: boolean;
}

export interface BackupList {
  /** One entry a name, in order of first appearance. */
  readonly backups: readonly Backup[];
  /** Records that are no backups: not an object, or without a name. */
  readonly unreadable: number;
}

export const noBackups: BackupList = { backups: [], unreadable: 0 };

const defaultStorage = "default";

/**
 * The backups in wal-g's answer, with or without details, from 0.2.10 to 3.0. A backup that several storages hold is
 * one backup with several copies; the default storage's record describes it.
 * @throws {SyntaxError} Not a list of backups.
 * Source: wal-g, internal/backup_time.go and ExtendedMetadataDto in internal/databases/postgres/backup_sentinel_dto.go.
 */
export function parseBackupList(output: string): BackupList {
  const records = readDocument(output, isBackupList);
  const byName = new Map<string, Backup>();
  let unreadable = 0;
  for (const record of records) {
    const backup = readBackup(record);
    if (!backup) unreadable++;
    else byName.set(backup.name, merge(byName.get(backup.name), backup));
  }
  return { backups: [...byName.values()], unreadable };
}

/** Completes backups that were listed without details by what an earlier list told of them. */
export function withKnownDetails(list: BackupList, known: BackupList | undefined): BackupList {
  const earlier = new Map(known?.backups.map((backup) => [backup.name, backup]));
  const backups = list.backups.map((backup) => {
    const before = earlier.get(backup.name);
    return before && before.modifiedAt === backup.modifiedAt ? { ...before, copies: backup.copies } : backup;
  });
  return { ...list, backups };
}

/** A list of nothing but rubbish is no list: some log line, or another command's answer. */
const isBackupList = (value: unknown): value is unknown[] =>
  Array.isArray(value) && (value.length === 0 || value.some((record) => isObject(record)));

function readBackup(record: unknown): Backup | undefined {
  if (!isObject(record)) return undefined;
  const name = readText(record.backup_name);
  if (!name) return undefined;
  const walFile = readText(record.wal_file_name) ?? "";
  const startLsn = readLsn(record.start_lsn);
  const finishLsn = readLsn(record.finish_lsn);
  const startedAt = parseTimestamp(record.start_time);
  const finishedAt = parseTimestamp(record.finish_time);
  // 0 bytes: written by a wal-g that did not know sizes yet.
  const compressedBytes = readCount(record.compressed_size) || undefined;
  const uncompressedBytes = readCount(record.uncompressed_size) || undefined;
  const facts = [startLsn, finishLsn, startedAt, finishedAt, compressedBytes, uncompressedBytes];
  return {
    name,
    type: readType(name, record),
    modifiedAt: readModifiedAt(record),
    startedAt,
    finishedAt,
    walFile,
    timeline:
      timelineOfSegmentName(walFile) ??
      timelineOfSegmentName(ownSegment(name)) ??
      (readCount(record.timeline) || undefined),
    startLsn,
    finishLsn,
    pgVersion: readCount(record.pg_version) || undefined,
    permanent: record.is_permanent === true,
    compressedBytes,
    uncompressedBytes,
    systemIdentifier: readIdentifier(record.system_identifier),
    copies: [{ storage: readText(record.storage_name) || defaultStorage, compressedBytes }],
    incomplete: facts.includes(undefined),
  };
}

/** Only mocks say `is_full`; wal-g says it by the name alone. */
function readType(name: string, { is_full: isFull }: JsonObject): BackupType {
  if (typeof isFull === "boolean") return isFull ? "full" : "delta";
  return name.includes("_D_") ? "delta" : "full";
}

/** Development versions of 2021 had `modification_time` where all releases have `time`. */
function readModifiedAt({ time, modification_time: modificationTime }: JsonObject): number | undefined {
  return parseTimestamp(time) ?? parseTimestamp(modificationTime);
}

/** wal-g prints positions as integers; only mocks print `X/Y`. */
function readLsn(value: unknown): bigint | undefined {
  if (typeof value === "number") return Number.isSafeInteger(value) && value >= 0 ? BigInt(value) : undefined;
  if (typeof value !== "string") return undefined;
  if (!/^\d+$/.test(value)) return parseLsn(value);
  const lsn = BigInt(value);
  return lsn <= maxLsn ? lsn : undefined;
}

/** No cluster has 0: it stands for an identifier that was not known. */
function readIdentifier(value: unknown): string | undefined {
  const digits = String(value);
  return /^[1-9]\d*$/.test(digits) ? digits : undefined;
}

/** The 24 digits behind `base_`: the segment in which the backup began. Empty when the name has another form. */
export function ownSegment(name: string): string {
  const own = name.startsWith("base_") ? (name.slice(5).split("_", 1)[0] ?? "") : "";
  return isSegmentName(own) ? own : "";
}

function merge(before: Backup | undefined, next: Backup): Backup {
  if (!before) return next;
  const known = new Set(before.copies.map(({ storage }) => storage));
  const copies = [...before.copies, ...next.copies.filter(({ storage }) => !known.has(storage))];
  const describing = next.copies[0]?.storage === defaultStorage && !known.has(defaultStorage) ? next : before;
  return { ...describing, copies };
}
