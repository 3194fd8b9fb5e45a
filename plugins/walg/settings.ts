/** The plugin's configuration. */
import { duration, size, z } from "holdfast";
import { connectionSetting } from "../common/postgres/connection-setting.ts";
import { isSegmentName, isSegmentSize } from "../common/postgres/wal-segments.ts";
import { profiles } from "./metric-table.ts";

const positive = (initial: string) =>
  duration()
    .refine((seconds) => seconds > 0, "expected a duration above 0")
    .prefault(initial);

const schedule = (interval: string, timeout: string) => ({
  interval: positive(interval).describe("Time from one run to the next."),
  timeout: positive(timeout).describe("A run that takes longer is ended, with all its processes."),
});

const text = z.string().min(1);

export const settings = z.strictObject({
  path: text.default("wal-g").describe("wal-g executable, looked up in PATH."),
  config_path: text.optional().describe("Given to wal-g as --config."),
  environment: z.record(z.string(), z.string()).default({}).describe("Variables for wal-g, beside the agent's own."),
  user: text.optional().describe("The user that wal-g runs as; the agent must be root, or that user."),
  working_directory: text.optional(),
  compat: z.enum(profiles).default("both").describe("Whose metric names: of the README, of the releases, or all."),
  list: z.strictObject(schedule("60s", "2m")).prefault({}).describe("backup-list"),
  wal: z
    .strictObject({
      ...schedule("5m", "10m"),
      commands: z
        .array(z.enum(["wal-show", "wal-verify"]))
        .nonempty()
        .optional()
        .describe("Default: both; readme: wal-show; release: wal-verify, and wal-show while that fails."),
      without_backups: z.boolean().default(false).describe("Spares wal-show the metadata of all backups."),
    })
    .prefault({})
    .describe("wal-verify and wal-show"),
  wal_times: z
    .strictObject({
      enabled: z.boolean().optional().describe("Default: while no server tells, but not for compat: release."),
      ...schedule("15m", "2m"),
    })
    .prefault({})
    .describe("st stat or st ls wal_005: when segments arrived, while no server tells"),
  storage: z
    .strictObject({
      ...schedule("30s", "10s"),
      write_interval: duration().optional().describe("Switches on st check write, which leaves and removes an object."),
      usage_interval: duration().optional().describe("Switches on st ls -r, which lists the whole storage."),
    })
    .prefault({})
    .describe("st check read; readme: st ls"),
  postgres: z
    .union([z.literal(false), ...connectionSetting.options])
    .optional()
    .describe("Connection string or keywords; false: none. Default: as the environment says, if it names a server."),
  postgres_timeout: positive("10s"),
  wal_segment_size: size()
    .refine(isSegmentSize, "expected a power of two from 1MiB to 1GiB")
    .optional()
    .describe("Default: as the server, WALG_PG_WAL_SIZE or the backups say."),
  ignore_wal_before: z
    .string()
    .refine(isSegmentName, "expected the name of a WAL segment, 24 hexadecimal digits")
    .optional()
    .describe("Segments that are missing before this one are known to be lost, and not counted."),
  first_wait: positive("30s").describe(
    "How long the first collection waits for all commands; for the list of backups it always waits.",
  ),
  max_backup_series: z
    .int()
    .nonnegative()
    .default(0)
    .describe("Only the newest N backups, and permanent ones, get series of their own; 0: all."),
  max_output: size().prefault("64MiB").describe("Most that a command may print."),
  stale_after: duration()
    .refine((seconds) => seconds > 0, "expected a duration above 0")
    .optional()
    .describe("Drops what a command last said when its last success is older."),
});
export type Settings = z.output<typeof settings>;
