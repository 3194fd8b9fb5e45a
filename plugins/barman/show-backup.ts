/** What Barman knows of one backup. Source: `barman -f json show-backup SERVER ID`. */
import { z } from "holdfast";
import { readServers } from "./answers.ts";
import { type Envelope, isObject, parseEnvelope } from "./envelope.ts";
import { amount, isoTimeField } from "./fields.ts";

/** Everything but id and status is absent while the copy runs, and after it failed. */
export interface BackupDetail {
  readonly id: string;
  readonly status: string;
  /** Unix seconds with fraction, from a time that carries its offset: right in every version. */
  readonly beginTime: number | undefined;
  readonly endTime: number | undefined;
  /** Includes the wait for a checkpoint. Absent for backups of very old versions, like the throughput. */
  readonly copyTimeSeconds: number | undefined;
  readonly throughputBytesPerSecond: number | undefined;
  /** WAL files after the backup's end, up to the next backup or now. */
  readonly walFiles: number | undefined;
  readonly walFilesPerSecond: number | undefined;
}

const section = <Shape extends z.ZodRawShape>(shape: Shape) => z.looseObject(shape).optional().catch(undefined);

const detail = z.looseObject({
  backup_id: z.string(),
  status: z.string(),
  base_backup_information: section({
    begin_time: isoTimeField,
    end_time: isoTimeField,
    copy_time_seconds: amount,
    throughput_bytes: amount,
  }),
  wal_information: section({ no_of_files: amount, wal_rate_per_second: amount }),
});

/**
 * The backup of `server`; undefined when the answer holds none.
 * @param stdout Output of `barman -f json show-backup`: server name to backup.
 * @throws {SyntaxError} Not such an answer.
 * Source: barman/output.py, `JsonOutputWriter.result_show_backup`, Barman 2.19 to 3.17.
 */
export const parseBackupDetail = (stdout: string, server: string): BackupDetail | undefined =>
  readBackupDetail(parseEnvelope(stdout, "show-backup"), server);

export function readBackupDetail(envelope: Envelope, server: string): BackupDetail | undefined {
  const { servers } = readServers(envelope, "show-backup", (value) => {
    const { data } = detail.safeParse(value);
    if (!isObject(value) || data === undefined) return undefined;
    const base = data.base_backup_information;
    const wal = data.wal_information;
    return {
      id: data.backup_id,
      status: data.status,
      beginTime: base?.begin_time,
      endTime: base?.end_time,
      copyTimeSeconds: base?.copy_time_seconds,
      throughputBytesPerSecond: base?.throughput_bytes,
      walFiles: wal?.no_of_files,
      walFilesPerSecond: wal?.wal_rate_per_second,
    };
  });
  return servers.get(server);
}
