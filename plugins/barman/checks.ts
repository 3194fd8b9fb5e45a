/** Barman's checks of its servers. Source: `barman -f json check all`. */
import { z } from "holdfast";
import { type PerServer, readServers } from "./answers.ts";
import { type Envelope, parseEnvelope } from "./envelope.ts";
import { text } from "./fields.ts";

export interface Check {
  readonly ok: boolean;
  /** Text for people, such as `have 3 backups, expected at least 0`; may be empty. */
  readonly hint: string;
}

/** Checks by name, in Barman's order. A name is what Barman makes of the check's title: `replication_slot`. */
export type Checks = ReadonlyMap<string, Check>;

const answer = z.record(z.string(), z.unknown());
const one = z.looseObject({ status: z.string(), hint: text });

/**
 * Checks by server. A check whose result cannot be read is left out.
 * @param stdout Output of `barman -f json check`: server name to check name to `{status, hint}`.
 * @throws {SyntaxError} Not such an answer.
 * Source: barman/output.py, `JsonOutputWriter.result_check`, Barman 2.19 to 3.17.
 */
export const parseChecks = (stdout: string): PerServer<Checks> => readChecks(parseEnvelope(stdout, "check"));

export function readChecks(envelope: Envelope): PerServer<Checks> {
  return readServers(envelope, "check", (value) => {
    const results = answer.safeParse(value).data;
    if (results === undefined) return undefined;
    const checks = new Map<string, Check>();
    for (const [name, result] of Object.entries(results)) {
      const { data } = one.safeParse(result);
      if (data) checks.set(name, { ok: data.status.toUpperCase() === "OK", hint: data.hint ?? "" });
    }
    return checks.size === 0 && Object.keys(results).length > 0 ? undefined : checks;
  });
}

/** The checks that the reference exporter knows: it gives each of them for every server, absent ones as 0. */
export const fixedChecks = [
  "archiver_errors",
  "backup_maximum_age",
  "compression_settings",
  "directories",
  "failed_backups",
  "minimum_redundancy_requirements",
  "pg_basebackup",
  "pg_basebackup_compatible",
  "pg_basebackup_supports_tablespaces_mapping",
  "pg_receivexlog",
  "pg_receivexlog_compatible",
  "postgresql",
  "postgresql_streaming",
  "receive_wal_running",
  "replication_slot",
  "retention_policy_settings",
  "superuser_or_standard_user_with_backup_privileges",
  "systemid_coherence",
  "wal_level",
  "wal_maximum_age",
  "wal_size",
] as const;

/** Files in the errors directory: the sum of a hint such as `duplicates: 1, unknown: 2`; undefined when it tells none. */
export function errorFiles({ ok, hint }: Check): number | undefined {
  if (ok && hint === "") return 0;
  const counts = [...hint.matchAll(/: (\d+)(?=,|$)/g)].map(([, count]) => Number(count));
  return counts.length === 0 ? undefined : counts.reduce((sum, count) => sum + count, 0);
}

/** Backups that a server has and must have, from `have 3 backups, expected at least 0`. */
export function redundancy({ hint }: Check): { readonly have: number; readonly wanted: number } | undefined {
  const match = /^have (\d+) (?:non-incremental )?backups?, expected at least (\d+)/.exec(hint);
  return match ? { have: Number(match[1]), wanted: Number(match[2]) } : undefined;
}
