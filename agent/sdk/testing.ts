/** The test kit: runs a plugin on recordings, without an agent, a worker or a real command. */
import type { z } from "zod";
import { toFamilies, toText } from "./exposition.ts";
import type { Log, LogFields, LogLevel } from "./log.ts";
import { InstanceMetrics } from "./metrics.ts";
import type { Plugin, PluginInstance } from "./plugin.ts";
import { createRun, type Run } from "./run.ts";

export interface TestOptions {
  /** The instance's name. Default: the plugin's. */
  name?: string;
  /** The instance's `config:`, as it would stand in the YAML. */
  config?: unknown;
  labels?: Readonly<Record<string, string>>;
  /** Replaces commands, e.g. by `replay()`; default: really runs them. */
  run?: Run;
  /** The clock, Unix milliseconds. Default: the real one. */
  now?: () => number;
}

export interface LogLine {
  readonly level: LogLevel;
  readonly message: string;
  readonly fields: LogFields;
}

/** A plugin's instance under test. */
export interface TestInstance {
  readonly instance: PluginInstance;
  /** What the instance has logged so far. */
  readonly logs: readonly LogLine[];
  /** The text of each `publish()` so far. */
  readonly published: readonly string[];
  /** Runs one collection as the agent would and returns the text of all metrics; a failed one throws and changes no gauge. */
  collect(options?: { signal?: AbortSignal }): Promise<string>;
  /** The text of the metrics as they are now. */
  text(): Promise<string>;
  /** Aborts the instance's signal and calls its `stop`. */
  stop(): Promise<void>;
}

/**
 * Sets up an instance of a plugin.
 * @throws {z.ZodError} `config` does not fit the plugin's schema. @throws Whatever the plugin's `setup` throws.
 */
export async function testPlugin<Schema extends z.ZodType>(
  plugin: Plugin<Schema>,
  { name = plugin.name, config = {}, labels = {}, run, now = Date.now }: TestOptions = {},
): Promise<TestInstance> {
  const stopping = new AbortController();
  const metrics = new InstanceMetrics(Object.keys(labels));
  const logs: LogLine[] = [];
  const published: string[] = [];
  const at =
    (level: LogLevel) =>
    (message: string, fields: LogFields = {}) =>
      void logs.push({ level, message, fields });
  const log: Log = { error: at("error"), warn: at("warn"), info: at("info"), debug: at("debug") };
  const text = async () => toText(await toFamilies(metrics.all(), labels));
  const publish = async () => void published.push(await text());
  const instance = await plugin.setup({
    name,
    config: await plugin.config.parseAsync(config),
    metrics,
    log,
    run: run ?? createRun(stopping.signal),
    signal: stopping.signal,
    publish,
    now,
  });
  return {
    instance,
    logs,
    published,
    text,
    async collect({ signal = new AbortController().signal } = {}) {
      const either = AbortSignal.any([signal, stopping.signal]);
      const restore = metrics.emptyGauges();
      try {
        await instance.collect?.({ signal: either, run: run ?? createRun(either), publish });
        return await text();
      } catch (error) {
        restore();
        throw error;
      }
    },
    async stop() {
      stopping.abort(new DOMException("The instance stops", "AbortError"));
      await instance.stop?.();
    },
  };
}
