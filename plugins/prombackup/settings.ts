/** The plugin's `config:` in the YAML. */
import { isAbsolute } from "node:path";
import { duration, z } from "holdfast";
import { storageSettings } from "../common/storage/settings.ts";

const path = (description: string) =>
  z.string().refine(isAbsolute, { error: "expected an absolute path" }).describe(description);
const count = (description: string) => z.number().int().min(0).max(100_000).optional().describe(description);

const prometheus = z.strictObject({
  url: z
    .string()
    .regex(/^https?:\/\/\S+$/, { error: 'expected a URL such as "http://127.0.0.1:9090"' })
    .default("http://127.0.0.1:9090")
    .describe("Where Prometheus answers, with the path of --web.route-prefix."),
  username: z.string().optional().describe("User of basic authentication."),
  password: z.string().optional().describe("Its password."),
  bearer_token: z.string().optional().describe("A token, instead of a user."),
  ca_file: path("Certificates that are trusted instead of the system's.").optional(),
  cert_file: path("The client's certificate.").optional(),
  key_file: path("Its key.").optional(),
  insecure_skip_verify: z.boolean().default(false).describe("Take any certificate of the server's."),
  timeout: duration().prefault("30m").describe("How long a snapshot may take."),
});

export const retention = z.strictObject({
  keep_within: duration().optional().describe("Keep all that are younger than this."),
  keep_last: count("Keep as many of the newest."),
  keep_daily: count("Keep the newest of as many days (UTC)."),
  keep_weekly: count("Keep the newest of as many weeks (from Monday, UTC)."),
  keep_monthly: count("Keep the newest of as many months (UTC)."),
});

const autoprune = retention.extend({
  interval: duration().prefault("15m").describe("How often to prune; each time varies by a tenth."),
  keep_within: duration().prefault("1h").describe("Keep all snapshots that are younger than this."),
});

export const target = z.strictObject({
  storage: storageSettings.describe("A folder, S3 or SFTP. Nothing else may keep its things in the same place."),
  retention: retention.prefault({}).describe("Which backups to keep there; all, where nothing is said."),
});

const backup = z.strictObject({
  targets: z
    .record(z.string().regex(/^[a-z0-9][a-z0-9_-]{0,62}$/, { error: "expected a name of a-z, 0-9, _ and -" }), target)
    .refine((targets) => Object.keys(targets).length > 0, { error: "expected at least one target" })
    .describe("Where backups are kept, each under a name of its own."),
  owner: z
    .string()
    .min(1)
    .max(200)
    .optional()
    .describe("Whose backups these are: retention leaves those of others alone. Default: HOST/INSTANCE."),
  every: duration()
    .refine((seconds) => seconds >= 60, { error: "expected at least a minute" })
    .prefault("24h")
    .describe("How often to take a snapshot and keep it."),
  jitter: duration().prefault("0").describe("Begin up to this much later, differently each time."),
  skip_head: z.boolean().default(false).describe("Leave out what is not in a block yet: up to three hours."),
  verify: z.boolean().default(true).describe("Verify the snapshot before it counts as a backup."),
  remove_snapshot: z.boolean().default(true).describe("Remove the snapshot once all targets have it."),
});

export const settings = z.strictObject({
  snapshot_dir: path("The folder snapshots/ in Prometheus' data folder."),
  prometheus: prometheus.prefault({}).describe("How to reach Prometheus."),
  state_dir: path("Where download states and times are kept. Default: .holdfast in snapshot_dir.").optional(),
  stall_timeout: duration()
    .refine((seconds) => seconds >= 1, { error: "expected at least a second" })
    .prefault("10m")
    .describe("Ends a download whose client takes nothing for this long."),
  hold_after_failure: duration()
    .prefault("5m")
    .describe("How long a snapshot whose download failed is kept from pruning, so that the client can go on."),
  autoprune: autoprune.optional().describe("Prune by itself. Without it, only on request."),
  backup: backup.optional().describe("Take snapshots by itself and keep them elsewhere."),
});

export type Settings = z.output<typeof settings>;
export type PrometheusSettings = z.output<typeof prometheus>;
export type Retention = z.output<typeof retention>;
export type TargetSettings = z.output<typeof target>;
export type BackupSettings = z.output<typeof backup>;
