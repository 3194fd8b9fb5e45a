/** All that an instance asks for, and what may still be believed of the answers. */
import { defaultSegmentSizeBytes, isSegmentSize, parseSegmentName } from "../common/postgres/wal-segments.ts";
import type { Backup, BackupList } from "./backups.ts";
import type { DeltaChains } from "./delta-chains.ts";
import type { Operation } from "./operation.ts";
import { finishedOrStoredAt, inferSegmentSize } from "./recovery.ts";
import type { ServerState } from "./server.ts";
import type { Settings } from "./settings.ts";
import type { StorageUsage } from "./storage-usage.ts";
import type { StoredTimeline } from "./timelines.ts";
import type { Verification } from "./verification.ts";
import type { StoredSegment } from "./wal-files.ts";

export interface ListedBackups extends BackupList {
  readonly chains: DeltaChains;
}

/** Undefined: this instance does not ask that. */
export interface Operations {
  readonly list: Operation<ListedBackups>;
  readonly timelines: Operation<StoredTimeline[]> | undefined;
  readonly verification: Operation<Verification> | undefined;
  readonly storage: Operation<void>;
  readonly storageWrite: Operation<void> | undefined;
  readonly storageUsage: Operation<StorageUsage> | undefined;
  readonly segments: Operation<ReadonlyMap<number, StoredSegment>> | undefined;
  readonly server: Operation<ServerState> | undefined;
  readonly version: Operation<string | undefined>;
}

/** What is known at one moment. Answers older than `stale_after` are left out. */
export interface Knowledge {
  readonly nowSeconds: number;
  readonly backups: ListedBackups | undefined;
  readonly timelines: readonly StoredTimeline[] | undefined;
  /** Kept through failures, for what it says of the archive. */
  readonly verification: Verification | undefined;
  /** The same, but only while wal-verify works: what it says of the server would be wrong afterwards. */
  readonly currentVerification: Verification | undefined;
  /** When each of the two last answered, Unix seconds. */
  readonly timelinesAt: number | undefined;
  readonly verificationAt: number | undefined;
  /** So much older may their answers become while they work, slowly and with some failures. */
  readonly walPatienceSeconds: number;
  readonly storageUsage: StorageUsage | undefined;
  readonly segments: ReadonlyMap<number, StoredSegment> | undefined;
  /** Only while the server answers. */
  readonly server: ServerState | undefined;
  /** Of the cluster: by the server's word, unless a backup came since it answered last; else by the newest backup's. */
  readonly systemIdentifier: string | undefined;
  readonly version: string | undefined;
  readonly segmentSizeBytes: number;
  /** Number of the segment before which gaps are not counted. */
  readonly ignoreBefore: number;
}

/** @param walSizeMiB wal-g's own setting, WALG_PG_WAL_SIZE. */
export function knowledgeOf(
  operations: Operations,
  settings: Settings,
  walSizeMiB: string | undefined,
  nowSeconds: number,
): Knowledge {
  const fresh = <Answer>(operation: Operation<Answer> | undefined): Answer | undefined => {
    if (operation?.lastSuccessAt === undefined) return undefined;
    const isStale = settings.stale_after !== undefined && nowSeconds - operation.lastSuccessAt > settings.stale_after;
    return isStale ? undefined : operation.answer;
  };
  const current = <Answer>(operation: Operation<Answer> | undefined) =>
    operation?.isSound ? fresh(operation) : undefined;
  const server = current(operations.server);
  const backups = fresh(operations.list);
  const configured = Number(walSizeMiB) * 2 ** 20;
  const segmentSizeBytes =
    settings.wal_segment_size ??
    server?.segmentSizeBytes ??
    (isSegmentSize(configured) ? configured : undefined) ??
    inferSegmentSize(backups?.backups ?? []) ??
    defaultSegmentSizeBytes;
  return {
    nowSeconds,
    backups,
    timelines: fresh(operations.timelines),
    verification: fresh(operations.verification),
    currentVerification: current(operations.verification),
    timelinesAt: operations.timelines?.lastSuccessAt,
    verificationAt: operations.verification?.lastSuccessAt,
    walPatienceSeconds: 5 * settings.wal.interval + settings.wal.timeout,
    storageUsage: fresh(operations.storageUsage),
    segments: fresh(operations.segments),
    server,
    systemIdentifier: identifierOf(operations.server, backups?.backups ?? []),
    version: fresh(operations.version),
    segmentSizeBytes,
    ignoreBefore: parseSegmentName(settings.ignore_wal_before ?? "", segmentSizeBytes)?.number ?? 0,
  };
}

function identifierOf(server: Operation<ServerState> | undefined, backups: readonly Backup[]): string | undefined {
  let newest: { readonly at: number; readonly systemIdentifier: string } | undefined;
  for (const backup of backups) {
    const { systemIdentifier } = backup;
    const at = finishedOrStoredAt(backup) ?? 0;
    if (systemIdentifier !== undefined && at >= (newest?.at ?? 0)) newest = { at, systemIdentifier };
  }
  const told = server?.answer?.systemIdentifier;
  // A server that pg_upgrade has replaced, and whose successor does not let us in.
  const isOutdated = !server?.isSound && newest !== undefined && newest.at > (server?.lastSuccessAt ?? 0);
  return told === undefined || isOutdated ? newest?.systemIdentifier : told;
}

/**
 * Backups of the cluster itself. After pg_upgrade its WAL has the names that would come next in the old cluster's, and
 * leads no backup of the old one further.
 */
export function ownBackups({ backups, systemIdentifier }: Pick<Knowledge, "backups" | "systemIdentifier">): Backup[] {
  return (backups?.backups ?? []).filter(
    (backup) => (backup.systemIdentifier ?? systemIdentifier) === systemIdentifier || systemIdentifier === undefined,
  );
}
