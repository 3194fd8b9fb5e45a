/** Answers of a large Barman, generated: for tests of cost and for benchmarks. */

export interface CatalogueOptions {
  readonly servers: number;
  /** Of each server; one of them is FAILED. */
  readonly backups: number;
  /** How many servers have one more backup. */
  readonly withNewBackupOf?: number;
  readonly newestWalBytes?: number;
}

export interface GeneratedCatalogue {
  /** Unix milliseconds shortly after the newest backup. */
  readonly now: number;
  readonly servers: readonly string[];
  /** The id of each server's newest backup. */
  newestId(server: string): string;
  /** What Barman answers to a command line without `barman -f json`; `{}` to one that is not known. */
  answer(line: string): string;
}

const newestEnd = 1795245520;
const dayS = 86_400;

export function generateCatalogue(options: CatalogueOptions): GeneratedCatalogue {
  const { servers: count, backups, withNewBackupOf = 0, newestWalBytes = 0 } = options;
  const servers = Array.from({ length: count }, (_, at) => `db-${String(at).padStart(2, "0")}`);
  const ends = (server: string) => {
    const isNew = servers.indexOf(server) < withNewBackupOf;
    return Array.from({ length: backups + (isNew ? 1 : 0) }, (_, at) => newestEnd + (isNew ? 600 : 0) - at * dayS);
  };
  const entry = (end: number, at: number) =>
    at === 5
      ? { backup_id: idOf(end), status: "FAILED" }
      : {
          backup_id: idOf(end),
          end_time: new Date(end * 1000).toUTCString(),
          end_time_timestamp: String(end),
          retention_status: "-",
          size: "122.7 MiB",
          size_bytes: 128_642_708 + at,
          status: "DONE",
          tablespaces: [],
          wal_size: "64.0 MiB",
          wal_size_bytes: at === 0 ? newestWalBytes : 67_108_864,
        };
  const all = (of: (server: string) => unknown) =>
    JSON.stringify(Object.fromEntries(servers.map((server) => [server, of(server)])));
  const newestId = (server: string) => idOf(ends(server)[0] ?? newestEnd);
  const show = (server: string) => {
    const end = ends(server)[0] ?? newestEnd;
    const time = new Date(end * 1000).toISOString().replace("T", " ").replace("Z", "000+00:00");
    return {
      backup_id: idOf(end),
      status: "DONE",
      base_backup_information: {
        begin_time: time,
        end_time: time,
        end_time_timestamp: String(end),
        copy_time_seconds: 12.5,
        throughput_bytes: 10_000_000,
      },
      wal_information: { no_of_files: 4, wal_rate_per_second: 0.05 },
    };
  };
  return {
    now: (newestEnd + 700) * 1000,
    servers,
    newestId,
    answer(line) {
      const [command, server = ""] = line.split(" ");
      if (command === "list-backups") return all((one) => ends(one).map(entry));
      if (command === "check") return all(() => checks);
      if (command === "show-backup") return JSON.stringify({ [server]: show(server) });
      return "{}";
    },
  };
}

/** The id of a backup that took no time, in UTC. */
const idOf = (end: number) => new Date(end * 1000).toISOString().slice(0, 19).replace(/[-:]/g, "");

const checks = Object.fromEntries(
  [
    ..."archiver_errors backup_maximum_age backup_minimum_size compression_settings directories failed_backups".split(
      " ",
    ),
    ..."minimum_redundancy_requirements pg_basebackup pg_basebackup_compatible postgresql postgresql_streaming".split(
      " ",
    ),
    ..."receive_wal_running replication_slot retention_policy_settings systemid_coherence wal_level wal_size".split(
      " ",
    ),
  ].map((name) => [name, { hint: "", status: "OK" }]),
);
