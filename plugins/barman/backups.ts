/** Backups in Barman's catalogue. Source: `barman -f json list-backups all`. */
import { z } from "holdfast";
import { type PerServer, readServers } from "./answers.ts";
import { type Envelope, parseEnvelope } from "./envelope.ts";
import { amount, number, text } from "./fields.ts";

/**
 * A backup of any status (DONE, FAILED, STARTED, WAITING_FOR_WALS, SYNCING, EMPTY, or one to come; UNKNOWN, with an
 * empty id, where the entry cannot be read). Sizes and end exist only once the copy has ended.
 */
export interface Backup {
  /** `YYYYMMDDTHHMMSS`, the wall clock of the process that took it. */
  readonly id: string;
  readonly status: string;
  /** Given by `barman backup --name`, since 3.4. */
  readonly name: string | undefined;
  /** `full`, `incremental`, `rsync` or `snapshot`, since 3.11. */
  readonly type: string | undefined;
  /** Unix seconds; made with the wrong time zone by Barman before 3.1 (see catalogue.ts). */
  readonly endTimestamp: number | undefined;
  /** Base backup and the WAL that it needs to be consistent. */
  readonly sizeBytes: number | undefined;
  /** WAL after this backup's end up to the next backup's end. */
  readonly walSizeBytes: number | undefined;
  readonly retentionStatus: string | undefined;
}

const entry = z.looseObject({
  backup_id: z.string().min(1),
  status: z.string(),
  backup_name: text,
  backup_type: text,
  end_time_timestamp: number,
  size_bytes: amount,
  wal_size_bytes: amount,
  retention_status: text,
});

/**
 * Backups by server, newest id first as Barman lists them.
 * @param stdout Output of `barman -f json list-backups`: server name to list of backups.
 * @throws {SyntaxError} Not such an answer.
 * Source: barman/output.py, `JsonOutputWriter.result_list_backup`, Barman 2.19 to 3.17.
 */
export const parseBackups = (stdout: string): PerServer<readonly Backup[]> =>
  readBackups(parseEnvelope(stdout, "list-backups"));

export function readBackups(envelope: Envelope): PerServer<readonly Backup[]> {
  const withoutWal = serversWithDamagedWal(envelope);
  return readServers(envelope, "list-backups", (value, server) => {
    if (!Array.isArray(value)) return undefined;
    const backups = value.map((one) => toBackup(one, !withoutWal.has(server)));
    // One odd entry keeps its place and counts; where all are odd, the shape is another than we know.
    return backups.length > 0 && backups.every(({ id }) => id === "") ? undefined : backups;
  });
}

function toBackup(value: unknown, hasSizes: boolean): Backup {
  const { data } = entry.safeParse(value);
  return {
    id: data?.backup_id ?? "",
    status: data?.status ?? "UNKNOWN",
    name: data?.backup_name,
    type: data?.backup_type,
    endTimestamp: data?.end_time_timestamp,
    sizeBytes: hasSizes ? data?.size_bytes : undefined,
    walSizeBytes: hasSizes ? data?.wal_size_bytes : undefined,
    retentionStatus: data?.retention_status,
  };
}

/** Servers whose WAL catalogue Barman could not read: it says so in an error and then counts their WAL as 0 bytes. */
function serversWithDamagedWal({ messages }: Envelope): ReadonlySet<string> {
  const hints = messages.error.map((message) => /barman rebuild-xlogdb ([^\s"]+)/.exec(message)?.[1]);
  return new Set(hints.filter((server) => server !== undefined));
}

/** Servers that the answer leaves out because their configuration says `active = false`. */
export function inactiveServers({ messages }: Envelope): ReadonlySet<string> {
  const names = messages.info.map((message) => /^Skipping inactive server '(.+)'$/.exec(message.trim())?.[1]);
  return new Set(names.filter((server) => server !== undefined));
}

/** Whether one can restore from it: its copy has ended, and at most its last WAL is still awaited. */
export const isRestorable = ({ status }: Backup): boolean => status === "DONE" || status === "WAITING_FOR_WALS";

/** The backup with the highest id, which is what Barman itself calls the last one. */
export const newest = (backups: readonly Backup[]): Backup | undefined => pick(backups, (a, b) => a > b);
/** The backup with the lowest id. */
export const oldest = (backups: readonly Backup[]): Backup | undefined => pick(backups, (a, b) => a < b);

function pick(backups: readonly Backup[], isBetter: (a: string, b: string) => boolean): Backup | undefined {
  let best: Backup | undefined;
  for (const backup of backups) if (best === undefined || isBetter(backup.id, best.id)) best = backup;
  return best;
}
