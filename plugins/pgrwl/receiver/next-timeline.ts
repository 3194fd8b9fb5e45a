/** What the server says when a timeline ends: which one follows, and where it begins. */
import { formatLsn, parseLsn } from "../../common/postgres/lsn.ts";
import type { ReplicationRow } from "../../common/postgres/replication.ts";
import { ReplicationError } from "../../common/postgres/replication-error.ts";

export interface Fork {
  readonly timeline: number;
  /** Its first position, on this timeline and on the one before. */
  readonly lsn: bigint;
}

/**
 * @param before The timeline that has ended, and how far it was written.
 * @param place Of the server, for messages.
 * @throws {ReplicationError} There is none: the server goes down. Or it cannot be followed.
 */
export function readFork(
  rows: readonly ReplicationRow[],
  before: { readonly timeline: number; readonly written: bigint },
  place: string,
): Fork {
  const { timeline, written } = before;
  const refuse = (found: string) => new ReplicationError("protocol", `Cannot follow PostgreSQL at ${place}: ${found}`);
  const [row] = rows;
  if (row === undefined) throw new ReplicationError("server_shutdown", `PostgreSQL at ${place} ended the stream`);
  const next = Number(row[0]);
  const lsn = parseLsn(row[1] ?? "");
  if (!(next > timeline) || lsn === undefined)
    throw refuse(`after timeline ${timeline} it names timeline ${row[0]} at ${row[1]}`);
  if (lsn > written)
    throw refuse(
      `timeline ${next} begins at ${formatLsn(lsn)}, but timeline ${timeline} ended at ${formatLsn(written)}`,
    );
  return { timeline: next, lsn };
}
