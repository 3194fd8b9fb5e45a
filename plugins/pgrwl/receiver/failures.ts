/** Why reception failed, as one of a closed list. */
import { ReplicationError } from "../../common/postgres/replication-error.ts";
import { DiskError } from "./disk.ts";
import { GapError } from "./gaps.ts";
import type { DisconnectReason } from "./telemetry.ts";

export interface Failure {
  readonly reason: DisconnectReason;
  readonly error: unknown;
}

/** SQLSTATE `undefined_file`: what the server answers for WAL that it has no more. */
const undefinedFile = "58P01";
/** Such an answer names the segment in every language; one about a history file does not. */
const segmentName = /(?<![0-9A-F])[0-9A-F]{24}(?![0-9A-F])/;
/** Where the segment went away while it was read, SQLSTATE may be any. Source: PostgreSQL, `CheckXLogRemoved()`. */
const removed = /requested WAL segment \S+ has already been removed/;
/** SQLSTATE `object_not_in_prerequisite_state`: what the server answers for a slot that it has given up. */
const wrongState = "55000";
/**
 * To this command it has no other meaning, in whatever language it comes: that a slot is a logical one is said when it is
 * read. Source: PostgreSQL, `StartReplication()` and `ReplicationSlotAcquire()`, 15 to 18.
 */
const atStart = /^Cannot run START_REPLICATION on /;

export function failureOf(error: unknown): Failure {
  return { reason: reasonOf(error), error };
}

function reasonOf(error: unknown): DisconnectReason {
  if (error instanceof GapError) return "gap";
  if (error instanceof DiskError) return error.isFull ? "disk_full" : "disk_error";
  if (error instanceof ReplicationError) return error.kind;
  return error instanceof SyntaxError || error instanceof RangeError ? "protocol" : "configuration";
}

/** The gap that an error of the server tells of; undefined: it tells of none. */
export function gapOf(error: unknown): GapError | undefined {
  if (error instanceof GapError) return error;
  if (!(error instanceof ReplicationError)) return undefined;
  if (removed.test(error.message) || (error.sqlState === undefinedFile && segmentName.test(error.message)))
    return new GapError("wal_removed", error.message);
  if (error.sqlState === wrongState && (atStart.test(error.message) || /invalidated|can no longer/.test(error.message)))
    return new GapError("slot_lost", error.message);
  return undefined;
}
