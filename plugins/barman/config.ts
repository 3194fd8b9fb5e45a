/** The plugin's configuration: `config:` of an instance. Every key has a default, so that `config: {}` works. */
import { parseDuration, z } from "holdfast";

const secondsHelp = 'expected seconds such as 50, or a duration such as "5m"';

/** Seconds as a number (the spelling of the exporter that this replaces) or as a duration; the value is in seconds. */
const seconds = () =>
  z.union([z.number().nonnegative(), z.string()], { error: secondsHelp }).transform((input, context) => {
    const value = typeof input === "number" || /^\d+$/.test(input) ? Number(input) : parseDuration(input);
    if (value === undefined) context.addIssue({ code: "custom", message: secondsHelp });
    return value ?? z.NEVER;
  });

/** A limit in seconds; zero would end every command at once, and is refused. */
const limit = () => seconds().refine((value) => value > 0, { error: "expected more than 0 seconds" });

/** Groups of metrics that a user may ask for. The first two cost one process each and never connect by themselves. */
export const topics = ["backups", "checks", "servers", "wal", "replication"] as const;
export type Topic = (typeof topics)[number];

export const config = z.strictObject({
  path: z.string().min(1).default("barman").describe("Barman executable: a path, or a name looked up in PATH."),
  config_file: z.string().min(1).optional().describe("Barman's configuration file, handed on as `barman -c FILE`."),
  env: z
    .record(z.string().min(1), z.string())
    .default({})
    .describe("Environment variables for Barman, added to the agent's own (`TZ`, `BARMAN_CONFIG_FILE`…)."),
  compat: z
    .enum(["exporter", "predecessor"])
    .default("exporter")
    .describe(
      "Names and values of the basic metrics: those of barman-metrics-exporter, or of the older prometheus-barman-exporter.",
    ),
  checks: z
    .enum(["all", "reported"])
    .optional()
    .describe(
      "`all`: `barman_up` has every check that Barman reports, and the exporter's 21 fixed ones as 0 where absent. `reported`: only what Barman reports. Default: `all`; with `compat: predecessor` `reported`.",
    ),
  inactive_checks: z.boolean().default(true).describe("Whether servers with `active = false` have `barman_up` series."),
  extended: z.boolean().default(true).describe("Whether to add the metrics that no other Barman exporter has."),
  collect: z
    .array(z.enum(topics))
    .min(1)
    .default(["backups", "checks"])
    .describe(
      "What to ask for. `servers` and `wal` need `barman diagnose`, `replication` needs `barman replication-status all`; both connect to PostgreSQL.",
    ),
  cache_ttl: seconds()
    .prefault(0)
    .describe("How long one answer of `list-backups` is used; 0: ask at every collection."),
  checks_cache_ttl: seconds()
    .prefault(0)
    .describe("How long one answer of `check` is used; 0: ask at every collection."),
  wal_ttl: seconds()
    .prefault("1h")
    .describe(
      "How old the WAL figures of the newest backup may grow before `show-backup` is run again for them, if its WAL changed.",
    ),
  diagnose_ttl: seconds().prefault("5m").describe("How long one answer of `diagnose` is used."),
  replication_ttl: seconds().prefault(0).describe("How long one answer of `replication-status` is used."),
  max_staleness: seconds()
    .prefault("10m")
    .describe("How long the last good data of a server is shown while the command that would renew it fails."),
  parallelism: z
    .int()
    .min(1)
    .max(16)
    .default(2)
    .describe("Most processes at a time among those that ask for a single server (`show-backup`, repeated questions)."),
  timeouts: z
    .strictObject({
      list_backups: limit().prefault("2m").describe("Limit of `list-backups all`."),
      check: limit().prefault("2m").describe("Limit of `check all`."),
      diagnose: limit().prefault("1m").describe("Limit of `diagnose`."),
      replication_status: limit().prefault("1m").describe("Limit of `replication-status all`."),
      server: limit()
        .prefault("30s")
        .describe("Limit of a command that asks for one server, such as `show-backup`, and of `list-servers`."),
      servers: limit()
        .prefault("1m")
        .describe(
          "Limit of all `show-backup` of one collection together, and of all repeated questions of one kind; what is left waits for the next collection.",
        ),
    })
    .prefault({})
    .describe("When a command that does not answer is ended, with its whole process group."),
  per_backup: z
    .strictObject({
      sizes: z
        .int()
        .nonnegative()
        .optional()
        .describe("Newest backups of a server that have size series; default: all of them."),
      info: z
        .int()
        .nonnegative()
        .default(0)
        .describe("Newest backups of a server that have `barman_backup_info` and `barman_backup_bytes`; 0: none."),
    })
    .prefault({})
    .describe("Bounds on the number of series that grow with the number of backups."),
});

export type Config = z.output<typeof config>;
