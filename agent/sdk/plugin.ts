/** The contract between the agent and a plugin. Lifetimes and failures of each member: docs/plugins.md. */
import type { Hono } from "hono";
import type { z } from "zod";
import type { Log } from "./log.ts";
import type { Metrics } from "./metrics.ts";
import type { RestorableWindow } from "./restorable.ts";
import type { Run } from "./run.ts";

/** What a plugin module exports as its default, made by {@link definePlugin}. */
export interface Plugin<Schema extends z.ZodType = z.ZodType> {
  /** The name by which `plugin:` finds it; equals the file's name without its ending (`spool.ts` → `spool`). */
  readonly name: string;
  /** One line for `holdfast plugin list`. */
  readonly description: string;
  /** Shown in `holdfast_plugin_info`. */
  readonly version?: string;
  /** The shape of `config:` in the YAML; strict, so that a misspelt key is refused. */
  readonly config: Schema;
  /** Schedule used where the YAML names none; durations such as `"60s"`. */
  readonly defaults?: { readonly interval?: string; readonly timeout?: string };
  /**
   * Tries out what an instance would need, its connections above all, and leaves everything as it was. Called by
   * `holdfast check --connect`, in a worker of its own and without `setup`. A throw is a problem too.
   */
  check?(context: CheckContext<z.output<Schema>>): readonly CheckResult[] | Promise<readonly CheckResult[]>;
  /** Called once in the instance's own worker, before anything else. A throw counts as a failed start and is retried. */
  setup(context: SetupContext<z.output<Schema>>): PluginInstance | Promise<PluginInstance>;
}

/** What `check` is given. */
export interface CheckContext<Config> {
  /** The instance's name. */
  readonly name: string;
  /** The instance's `config:`, parsed by the plugin's schema. */
  readonly config: Config;
  /** Runs a command that ends with the check. */
  readonly run: Run;
  /** Aborted when the check takes too long. */
  readonly signal: AbortSignal;
}

/** How it went with one thing. */
export interface CheckResult {
  /** Such as `server` or `archive`. */
  readonly what: string;
  /** Why it cannot be used, and what would help; undefined when it can. */
  readonly problem?: string | undefined;
  /** What deserves attention although it works, in sentences. */
  readonly notes?: readonly string[] | undefined;
}

/** What `setup` is given. All of it belongs to this instance alone. */
export interface SetupContext<Config> {
  /** The instance's name: its key under `plugins:`. */
  readonly name: string;
  /** The instance's `config:`, parsed by the plugin's schema. */
  readonly config: Config;
  /** Creates metrics in the instance's registry. */
  readonly metrics: Metrics;
  /** Structured log; every line carries the instance's and the plugin's names. */
  readonly log: Log;
  /** Runs a command; ends with the instance. Inside `collect`, use the `run` given there. */
  readonly run: Run;
  /** Aborted when the instance stops. */
  readonly signal: AbortSignal;
  /** Publishes the metrics as they are now, for values that change between collections; during one, when it has ended. */
  publish(): Promise<void>;
  /** The clock: Unix time in milliseconds. */
  now(): number;
}

/** What one `collect` is given. */
export interface CollectContext {
  /** Aborted at the instance's `timeout` and when the instance stops. */
  readonly signal: AbortSignal;
  /** Runs a command that ends with this collection. */
  readonly run: Run;
  /** Publishes what this collection has set so far, all of it: for one that may wait long for the rest. */
  publish(): Promise<void>;
}

/** What `setup` returns; every member may be left out. */
export interface PluginInstance {
  /** Sets the metrics. Gauges are empty when it begins; what it sets is published when it ends well, and only then. */
  collect?(context: CollectContext): void | Promise<void>;
  /** Routes, served at `/<name>/…` of the agent and at the root of the instance's own `listen:`. */
  readonly http?: Hono;
  /** Long-running work. Its promise must stay open until the signal is aborted; an earlier end is a failure. */
  start?(context: { readonly signal: AbortSignal; readonly run: Run }): Promise<void>;
  /** What people see of the instance on the status page. Asked at the end of each collection and at each `publish()`. */
  status?(): PluginStatus;
  /**
   * What can be restored, and to when: `holdfast_restorable…` and the top of the status page. Asked when `status()` is, so it
   * gives what is known already. After a failed collection every window without a reason gets `collect_failed`, and an
   * empty list leaves those that were known.
   */
  restorable?(): readonly RestorableWindow[];
  /** The last call before the worker ends; it has ten seconds. */
  stop?(): void | Promise<void>;
}

/** What an instance says of itself to people; programs read its metrics. */
export interface PluginStatus {
  /** By their names, in the order of the page; undefined ones are left out. At most twelve are shown. */
  readonly facts?: Readonly<Record<string, string | number | boolean | undefined>> | undefined;
  /** Why somebody should look at it, in one sentence, while its collections succeed. */
  readonly problem?: string | undefined;
}

/** Declares a plugin. It only adds types: the object is returned as it came. */
export function definePlugin<Schema extends z.ZodType>(plugin: Plugin<Schema>): Plugin<Schema> {
  return plugin;
}
