/** Inside the worker: one plugin, one instance. Answers the agent's messages. */
import { z } from "zod";
import { toFamilies } from "../sdk/exposition.ts";
import { zodIssues } from "../sdk/issues.ts";
import type { Log, LogLevel } from "../sdk/log.ts";
import { InstanceMetrics } from "../sdk/metrics.ts";
import type { Plugin, PluginInstance } from "../sdk/plugin.ts";
import { createRun } from "../sdk/run.ts";
import { builtInPlugins } from "./builtin.ts";
import { toFailure } from "./failures.ts";
import { plainCheckResults } from "./plain-check.ts";
import { plainFields, plainMessage } from "./plain-fields.ts";
import { plainStatus } from "./plain-status.ts";
import { plainWindows } from "./plain-windows.ts";
import { checkedInstance, checkedPlugin, defaultSeconds } from "./plugin-shape.ts";
import type { FromWorker, PluginSource, Said, SetupRequest, SnapshotFamily, ToWorker } from "./protocol.ts";
import { Routes } from "./routes.ts";

type Post = (message: FromWorker, transfer?: ArrayBufferLike[]) => void;

export class Runner {
  readonly #post: Post;
  readonly #stopping = new AbortController();
  readonly #hooks = {
    onSpawn: (pid: number) => this.#post({ kind: "spawned", pid }),
    onExit: (pid: number) => this.#post({ kind: "exited", pid }),
  };
  #plugin: Plugin | undefined;
  #instance: PluginInstance = {};
  #metrics = new InstanceMetrics();
  #labels: Readonly<Record<string, string>> = {};
  #collecting: AbortController | undefined;
  #publishAfterwards = false;
  #isTidy = false;
  /** The rendering in progress: a collection that empties the gauges waits for it. */
  #rendering: Promise<unknown> = Promise.resolve();
  #routes: Routes | undefined;

  constructor(post: Post) {
    this.#post = post;
  }

  async handle(message: ToWorker): Promise<void> {
    switch (message.kind) {
      case "load":
        return this.#answering(() => this.#load(message.source));
      case "validate":
        return this.#answering(async () => {
          const { config } = this.#loaded();
          const result = await config.safeParseAsync(message.config);
          return { kind: "validated", issues: result.success ? [] : zodIssues(config, result.error) };
        });
      case "describe":
        return this.#answering(async () => {
          const schema = z.toJSONSchema(this.#loaded().config, { io: "input", unrepresentable: "any" });
          return { kind: "described", schema };
        });
      case "check":
        return this.#answering(() => this.#check(message.name, message.config));
      case "setup":
        return this.#answering(() => this.#setup(message));
      case "collect":
        return this.#collect();
      case "abort":
        return this.#collecting?.abort(new DOMException("The collection took longer than its timeout", "TimeoutError"));
      case "stop":
        return this.#stop();
    }
  }

  async #answering(answer: () => Promise<FromWorker>): Promise<void> {
    try {
      this.#post(await answer());
    } catch (error) {
      this.#post({ kind: "refused", failure: toFailure(error) });
    }
  }

  #loaded(): Plugin {
    if (!this.#plugin) throw new Error("No plugin is loaded");
    return this.#plugin;
  }

  async #load(source: PluginSource): Promise<FromWorker> {
    const name = "file" in source ? source.name : source.builtIn;
    const module = await ("file" in source ? import(source.file) : builtInPlugins[name]?.());
    const plugin = checkedPlugin((module as { default?: unknown } | undefined)?.default, name);
    this.#plugin = plugin;
    const { interval, timeout } = plugin.defaults ?? {};
    return {
      kind: "loaded",
      facts: {
        name: plugin.name,
        description: plugin.description,
        version: plugin.version,
        intervalSeconds: defaultSeconds("interval", interval),
        timeoutSeconds: defaultSeconds("timeout", timeout),
      },
    };
  }

  async #check(name: string, written: unknown): Promise<FromWorker> {
    const plugin = this.#loaded();
    if (plugin.check === undefined) return { kind: "checked", results: [] };
    const { signal } = this.#stopping;
    const config = await plugin.config.parseAsync(written);
    const results = await plugin.check({ name, config, run: createRun(signal, this.#hooks), signal });
    return { kind: "checked", results: plainCheckResults(results) };
  }

  async #setup({ name, config, labels, socket }: SetupRequest): Promise<FromWorker> {
    const plugin = this.#loaded();
    this.#labels = labels;
    this.#metrics = new InstanceMetrics(Object.keys(labels));
    const run = createRun(this.#stopping.signal, this.#hooks);
    const signal = this.#stopping.signal;
    this.#instance = checkedInstance(
      await plugin.setup({
        name,
        config: await plugin.config.parseAsync(config),
        metrics: this.#metrics,
        log: this.#log(),
        run,
        signal,
        publish: () => this.#publish(),
        now: Date.now,
      }),
    );
    const { collect, http, start } = this.#instance;
    if (http) this.#routes = new Routes(socket, http, this.#log());
    if (start) {
      Promise.resolve(start.call(this.#instance, { signal, run })).then(
        () => this.#broken(new Error("The plugin's start() ended although nothing stopped it")),
        (error: unknown) => this.#broken(error),
      );
    }
    return { kind: "ready", collects: collect !== undefined, routes: http !== undefined };
  }

  async #collect(): Promise<void> {
    const collecting = new AbortController();
    this.#collecting = collecting;
    await this.#rendering;
    const signal = AbortSignal.any([collecting.signal, this.#stopping.signal]);
    const restore = this.#metrics.emptyGauges();
    try {
      const publish = async () => this.#postFamilies("published", await this.#families());
      await this.#instance.collect?.({ signal, run: createRun(signal, this.#hooks), publish });
      this.#postFamilies("collected", await this.#families());
    } catch (error) {
      restore();
      const failure = toFailure(error, collecting.signal.aborted);
      this.#post({ kind: "collect-failed", failure, said: this.#said() });
    }
    this.#collecting = undefined;
    this.#tidyOnce();
    if (this.#publishAfterwards) await this.#publish();
  }

  /** Frees what loading and the first collection have left behind: half a megabyte that a quiet worker would keep. */
  #tidyOnce(): void {
    if (this.#isTidy) return;
    this.#isTidy = true;
    Bun.gc(true);
  }

  /** While a collection runs the metrics are half empty: what is to be published then follows it. */
  async #publish(): Promise<void> {
    this.#publishAfterwards = this.#collecting !== undefined;
    if (this.#publishAfterwards) return;
    const rendering = this.#families();
    this.#rendering = rendering.catch(() => {});
    this.#postFamilies("published", await rendering);
  }

  async #families(): Promise<SnapshotFamily[]> {
    const families = await toFamilies(this.#metrics.all(), this.#labels);
    const encoder = new TextEncoder();
    return families.map(({ text, ...family }) => ({ ...family, bytes: encoder.encode(text) }));
  }

  #postFamilies(kind: "collected" | "published", families: readonly SnapshotFamily[]): void {
    this.#post(
      { kind, families, said: this.#said() },
      families.map((family) => family.bytes.buffer),
    );
  }

  #said(): Said {
    return { status: plainStatus(this.#instance), windows: plainWindows(this.#instance) };
  }

  async #stop(): Promise<void> {
    this.#stopping.abort(new DOMException("The instance stops", "AbortError"));
    try {
      await this.#instance.stop?.();
      await this.#routes?.stop();
    } catch (error) {
      this.#log().error("Stopping failed", { error: toFailure(error).message });
    }
    this.#post({ kind: "stopped" });
  }

  #broken(error: unknown): void {
    if (!this.#stopping.signal.aborted) this.#post({ kind: "broken", failure: toFailure(error) });
  }

  #log(): Log {
    const at =
      (level: LogLevel): Log["info"] =>
      (message, fields) =>
        this.#post({ kind: "log", level, message: plainMessage(message), fields: plainFields(fields) });
    return { error: at("error"), warn: at("warn"), info: at("info"), debug: at("debug") };
  }
}
