/** The keys of the configuration: their shapes, defaults, and the descriptions that documentation and editors show. */
import { z } from "zod";
import { address, duration } from "../sdk/units.ts";

/** Instances are path segments and label values; plugins are file names. */
const nameText = /^[a-zA-Z][a-zA-Z0-9_-]*$/;
/** First segments of the agent's own routes, and the key that a file of `plugins.d` often gets by mistake. */
const takenNames: Readonly<Record<string, string>> = {
  metrics: "the agent's own routes begin with it",
  api: "the agent's own routes begin with it",
  plugins: "a file of plugins.d holds instances at its top level, without plugins: above them",
};

/** Longest delay of a timer: 2^31 ms. A longer one fires at once. */
const longestTimerDays = 24;
const secondsPerDay = 86_400;

export const instanceName = z
  .string()
  .regex(nameText, "expected a letter, then letters, digits, _ and - only")
  .superRefine((name, context) => {
    const why = Object.hasOwn(takenNames, name) ? takenNames[name] : undefined;
    if (why !== undefined) context.addIssue({ code: "custom", message: `${why}, expected another name` });
  });

const labelName = z
  .string()
  .regex(/^[a-zA-Z_][a-zA-Z0-9_]*$/, "expected a label name: letters, digits and _ only, no digit first")
  .refine((name) => !/^(?:instance|job|__.*)$/.test(name), "Prometheus sets this label itself, expected another name")
  .refine((name) => !/^(?:le|quantile)$/.test(name), "histograms and summaries use this label, expected another name");

/** A duration that a timer can wait for. */
const timer = (atLeastSeconds: number, atLeast: string) =>
  duration()
    .refine((seconds) => seconds >= atLeastSeconds, { error: `expected ${atLeast}`, abort: true })
    .refine((seconds) => seconds <= longestTimerDays * secondsPerDay, `expected at most ${longestTimerDays}d`);

const leastSeconds = 0.001;

const path = z.string().min(1);

export const levels = ["debug", "info", "warn", "error"] as const;
export const formats = ["logfmt", "json"] as const;

const logSchema = z.strictObject({
  level: z.enum(levels).default("info").describe("Least severe log line that is written."),
  format: z.enum(formats).default("logfmt").describe("Form of a log line on stderr."),
});

/** One entry under `plugins:`, or at the top level of a file of `plugins.d`. */
export const instanceSchema = z.strictObject({
  plugin: z
    .string()
    .regex(nameText, "expected the name of a plugin: a letter, then letters, digits, _ and - only")
    .optional()
    .describe("Plugin that the instance uses. Default: the instance's own name."),
  interval: timer(1, "at least 1s")
    .optional()
    .describe("Time from one collection to the next, 1s to 24d. Default: the plugin's."),
  timeout: timer(leastSeconds, "more than 0s")
    .optional()
    .describe("Longest time that a collection may take. Default: the plugin's."),
  stale_after: duration()
    .refine((seconds) => seconds >= leastSeconds, "expected more than 0s")
    .optional()
    .describe(
      "Age at which metrics of the last good collection are dropped when later ones fail. Default: five intervals, or interval + timeout if that is longer.",
    ),
  labels: z
    .record(labelName, z.string())
    .nullish()
    .describe(
      "Labels added to every series; two instances of one plugin must differ in them. An empty value is no label.",
    ),
  listen: address()
    .optional()
    .describe("Address of the instance's own, where its routes are at the root and /metrics has its metrics alone."),
  metrics_path: z
    .string()
    .regex(/^\/[\w.~/-]*[\w~-]$/, 'expected a path such as "/metrics"')
    .optional()
    .describe("Path of the metrics at the instance's own address. Default: `/metrics`."),
  web_config: path.optional().describe("Web configuration file for the instance's own address. Default: the agent's."),
  config: z.unknown().optional().describe("The plugin's own settings; `holdfast plugin list` names the plugins."),
});

/** The top level of the main file. */
export const settingsSchema = z.strictObject({
  listen: z
    .union([address(), z.array(address())])
    .default([{ host: "127.0.0.1", port: 9847 }])
    .describe(
      "Address of the agent, or a list of addresses; an empty one leaves instances' own. `:9847` is port 9847 on all interfaces. Default: `127.0.0.1:9847`.",
    ),
  plugin_dir: path
    .optional()
    .describe(
      "Folder of third-party plugins: `NAME.ts`, `NAME.js` or `NAME/index.ts`; neither it nor a plugin may be writable by every user. Default: none.",
    ),
  log: logSchema.nullish().describe("How the agent logs."),
  web_config: path
    .optional()
    .describe(
      "File in exporter-toolkit's web configuration format (TLS, basic authentication, headers), for every listener.",
    ),
  enable_reload: z.boolean().default(false).describe("Whether `POST /-/reload` reloads the configuration."),
  max_requests: z.int().min(0).default(40).describe("Scrapes answered at once; more get status 503. 0: no limit."),
  plugins: z
    .record(instanceName, instanceSchema.nullish())
    .nullish()
    .describe("Instances by name; files of `plugins.d` add to them."),
});

export type Settings = z.output<typeof settingsSchema>;
export type InstanceSettings = z.output<typeof instanceSchema>;
