/**
 * The richest answer that Barman gives in one process: servers, WAL and slots. Source: `barman diagnose`, which connects
 * to PostgreSQL. It holds connection strings, and so perhaps passwords: nothing of it may be logged.
 */
import { z } from "holdfast";
import { parseLsn } from "../common/postgres/lsn.ts";
import { type Envelope, isObject, parseEnvelope } from "./envelope.ts";
import { amount, flag, text } from "./fields.ts";

export interface Diagnosis {
  readonly barmanVersion: string | undefined;
  readonly servers: ReadonlyMap<string, DiagnosedServer>;
}

export interface DiagnosedServer {
  readonly description: string;
  readonly active: boolean | undefined;
  readonly disabled: boolean | undefined;
  /** Copies from another Barman server. */
  readonly passive: boolean;
  readonly backupMethod: string;
  /** Empty while PostgreSQL cannot be asked. */
  readonly postgresVersion: string;
  readonly postgresUp: boolean;
  readonly inRecovery: boolean | undefined;
  readonly databaseSizeBytes: number | undefined;
  readonly slot: ReplicationSlot | undefined;
  /** Last WAL in the archive, by timeline (1, 2…). */
  readonly lastArchivedWal: ReadonlyMap<number, { readonly timestamp: number; readonly sizeBytes: number | undefined }>;
  /** PostgreSQL's own archiver (`archiver = on`): counts since its statistics were reset. */
  readonly archivedCount: number | undefined;
  readonly archiveFailures: number | undefined;
  /** Directories on the Barman host in which WAL waits to be archived. */
  readonly queues: { readonly incoming: string | undefined; readonly streaming: string | undefined };
}

export interface ReplicationSlot {
  readonly name: string;
  readonly active: boolean;
  /** WAL that the slot keeps on the server; undefined while the slot was never used. */
  readonly retainedBytes: number | undefined;
}

/** An object; one that is absent or something else reads as an empty one. */
const section = <Shape extends z.ZodRawShape>(shape: Shape) =>
  z.preprocess((value) => (isObject(value) ? value : {}), z.looseObject(shape));

const systemInfo = section({ system_info: section({ barman_ver: text }) });

const server = z.looseObject({
  config: section({
    active: flag,
    disabled: flag,
    description: text,
    backup_method: text,
    primary_ssh_command: text,
    incoming_wals_directory: text,
    streaming_wals_directory: text,
    archiver: flag,
    streaming_archiver: flag,
  }),
  status: section({
    server_txt_version: text,
    is_in_recovery: flag,
    current_size: amount,
    current_lsn: text,
    xlogpos: text,
    replication_slot: z.tuple([z.string(), z.boolean(), z.string().nullable()]).optional().catch(undefined),
    archived_count: amount,
    failed_count: amount,
  }),
  wals: section({ last_archived_wal_per_timeline: z.record(z.string(), z.unknown()).optional().catch(undefined) }),
});

const archivedWal = z.looseObject({ time: z.number(), size: amount });

/**
 * @param stdout Output of `barman diagnose`.
 * @throws {SyntaxError} Not such an answer.
 * Source: barman/diagnose.py, `exec_diagnose`, Barman 3.4 to 3.17.
 */
export const parseDiagnosis = (stdout: string): Diagnosis => readDiagnosis(parseEnvelope(stdout, "diagnose"));

export function readDiagnosis({ data }: Envelope): Diagnosis {
  const found = data.get("servers");
  if (!isObject(found)) throw new SyntaxError('Cannot read the answer of barman diagnose: it has no "servers"');
  const servers = new Map<string, DiagnosedServer>();
  for (const [name, value] of Object.entries(found)) {
    const { data: one } = server.safeParse(value);
    if (one) servers.set(name, toServer(one));
  }
  if (servers.size === 0 && Object.keys(found).length > 0) {
    throw new SyntaxError("Cannot read the answer of barman diagnose: unknown shape of its servers");
  }
  return { barmanVersion: systemInfo.parse(data.get("global")).system_info.barman_ver, servers };
}

function toServer({ config, status, wals }: z.output<typeof server>): DiagnosedServer {
  return {
    description: config.description ?? "",
    active: config.active,
    disabled: config.disabled,
    passive: config.primary_ssh_command !== undefined,
    backupMethod: config.backup_method ?? "",
    postgresVersion: status.server_txt_version ?? "",
    postgresUp: status.server_txt_version !== undefined,
    inRecovery: status.is_in_recovery,
    databaseSizeBytes: status.current_size,
    slot: toSlot(status.replication_slot, status.current_lsn ?? status.xlogpos),
    lastArchivedWal: toArchivedWal(wals.last_archived_wal_per_timeline ?? {}),
    archivedCount: status.archived_count,
    archiveFailures: status.failed_count,
    queues: {
      incoming: config.archiver === true ? config.incoming_wals_directory : undefined,
      streaming: config.streaming_archiver === true ? config.streaming_wals_directory : undefined,
    },
  };
}

function toSlot(
  slot: [name: string, active: boolean, restartLsn: string | null] | undefined,
  current: string | undefined,
): ReplicationSlot | undefined {
  if (slot === undefined) return undefined;
  const [name, active, restart] = slot;
  const [end, begin] = [parseLsn(current ?? ""), parseLsn(restart ?? "")];
  const retained = end === undefined || begin === undefined ? undefined : Number(end - begin);
  return { name, active, retainedBytes: retained === undefined ? undefined : Math.max(0, retained) };
}

function toArchivedWal(timelines: Readonly<Record<string, unknown>>): DiagnosedServer["lastArchivedWal"] {
  const found = new Map<number, { timestamp: number; sizeBytes: number | undefined }>();
  for (const [timeline, value] of Object.entries(timelines)) {
    const { data } = archivedWal.safeParse(value);
    // Timelines are eight hexadecimal digits here, and decimal everywhere else in PostgreSQL.
    if (data && /^[0-9A-F]{8}$/i.test(timeline)) {
      found.set(Number.parseInt(timeline, 16), { timestamp: data.time, sizeBytes: data.size });
    }
  }
  return found;
}
