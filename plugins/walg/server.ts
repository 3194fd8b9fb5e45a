/** What the running PostgreSQL server tells: its position in the WAL, and how its archiver fares. */
import { type Query, withConnection } from "../common/postgres/connection.ts";
import type { ConnectionTarget } from "../common/postgres/conninfo.ts";
import { parseLsn } from "../common/postgres/lsn.ts";
import { isSegmentName } from "../common/postgres/wal-segments.ts";

/** Moments are Unix seconds. */
export interface ServerState {
  /** The end of what it has written; on a standby, of what it has received. */
  readonly lsn: bigint | undefined;
  readonly timeline: number | undefined;
  readonly systemIdentifier: string;
  readonly segmentSizeBytes: number | undefined;
  /** The segment that archive_command stored last; undefined when it was none, but a history file, say. */
  readonly lastArchived: { readonly segment: string; readonly at: number } | undefined;
  readonly archiverFailures: number;
  readonly lastArchiverFailureAt: number | undefined;
  /** Segments that wait for the archiver; undefined where the user may not look (it needs pg_monitor). */
  readonly readySegments: number | undefined;
}

interface StateRow {
  lsn: string | null;
  wal_file: string | null;
  control_timeline: number;
  system_identifier: string;
  segment_size: string;
  last_archived_wal: string | null;
  last_archived_at: number | null;
  failed_count: string;
  last_failed_at: number | null;
}

// pg_walfile_name() fails during recovery, and names the segment before a boundary: only its timeline is used.
const stateQuery = `
  SELECT lsn::text AS lsn,
    CASE WHEN NOT pg_is_in_recovery() THEN pg_walfile_name(lsn) END AS wal_file,
    (SELECT timeline_id FROM pg_control_checkpoint()) AS control_timeline,
    (SELECT system_identifier::text FROM pg_control_system()) AS system_identifier,
    pg_size_bytes(current_setting('wal_segment_size'))::text AS segment_size,
    last_archived_wal,
    extract(epoch FROM last_archived_time)::float8 AS last_archived_at,
    failed_count::text AS failed_count,
    extract(epoch FROM last_failed_time)::float8 AS last_failed_at
  FROM pg_stat_archiver, (SELECT CASE WHEN pg_is_in_recovery()
    THEN coalesce(greatest(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn()), pg_last_wal_replay_lsn())
    ELSE pg_current_wal_lsn() END AS lsn) AS position`;

/** The timeline that a standby receives; its last checkpoint may be of the one before. */
const receiverQuery = "SELECT received_tli FROM pg_stat_wal_receiver WHERE received_tli IS NOT NULL";
const readyQuery = "SELECT count(*)::int AS ready FROM pg_ls_archive_statusdir() WHERE name ~ '^[0-9A-F]{24}[.]ready$'";

/**
 * Asks a server of PostgreSQL 10 or newer.
 * @throws {Error} It cannot be reached or does not answer.
 */
export function readServerState(
  target: ConnectionTarget,
  limits: { timeoutMs: number; signal: AbortSignal },
): Promise<ServerState> {
  return withConnection(target, { ...limits, applicationName: "holdfast" }, async (query) => {
    const [row] = await query<StateRow>(stateQuery);
    if (!row) throw new Error("PostgreSQL returned no row for its state");
    const received = row.wal_file === null ? await optional(query<{ received_tli: number }>(receiverQuery)) : undefined;
    const ready = await readReady(query);
    const { last_archived_wal: segment, last_archived_at: at } = row;
    return {
      lsn: row.lsn === null ? undefined : parseLsn(row.lsn),
      timeline:
        row.wal_file === null
          ? (received?.[0]?.received_tli ?? row.control_timeline)
          : Number.parseInt(row.wal_file.slice(0, 8), 16),
      systemIdentifier: row.system_identifier,
      segmentSizeBytes: Number(row.segment_size),
      lastArchived: segment !== null && at !== null && isSegmentName(segment) ? { segment, at } : undefined,
      archiverFailures: Number(row.failed_count),
      lastArchiverFailureAt: row.last_failed_at ?? undefined,
      readySegments: ready,
    };
  });
}

async function readReady(query: Query): Promise<number | undefined> {
  return (await optional(query<{ ready: number }>(readyQuery)))?.[0]?.ready;
}

/** The rows, or undefined where the server refuses: an older version, or a user without the right. */
async function optional<Row>(rows: Promise<Row[]>): Promise<Row[] | undefined> {
  return rows.catch((error: { code?: string }) => {
    // Five characters: the server refused. Anything else: the connection is gone.
    if (!/^[0-9A-Z]{5}$/.test(error.code ?? "")) throw error;
    return undefined;
  });
}
