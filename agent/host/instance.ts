/** One instance: its worker from start to stop, its schedule, and what is known of it. */
import type { InstanceConfig } from "../config/config.ts";
import type { Snapshots } from "../metrics/snapshots.ts";
import { formatAddress } from "../sdk/index.ts";
import type { Log } from "../sdk/log.ts";
import { createRedactor } from "../system/redact.ts";
import type { InstanceState, InstanceStatus, RestorableRow } from "../system/status.ts";
import { messageOf } from "./failures.ts";
import { History } from "./history.ts";
import type { InstanceDependencies, Prepared } from "./instance-dependencies.ts";
import { type PlainStatus, redactedStatus } from "./plain-status.ts";
import { redactedWindows } from "./plain-windows.ts";
import { type Notice, PluginFailure, PluginWorker } from "./plugin-worker.ts";
import type { Failure, PluginFacts, PluginSource, Said } from "./protocol.ts";
import { after, Backoff, defaultStaleAfter, nextTick, waited } from "./timing.ts";

const defaultIntervalSeconds = 60;
const defaultTimeoutSeconds = 30;
const loadDeadlineMs = 10_000;
const setupDeadlineMs = 60_000;
const stopDeadlineMs = 10_000;
/** What a collection gets between the abort of its signal and the end of its worker. */
const abortGraceMs = 5_000;
/** Pauses before a restart, and the age of a worker whose success makes them short again. */
const backoffMs = { first: 1_000, most: 60_000, successAfter: 10_000 };

export class Instance {
  #config: InstanceConfig;
  readonly source: PluginSource;
  readonly history: History;
  readonly #dependencies: InstanceDependencies;
  #log: Log;
  #redact: (text: string) => string;
  readonly #stopping = new AbortController();
  readonly #backoff = new Backoff(backoffMs.first, backoffMs.most);
  readonly #startedAt = Date.now();
  #workerStartedAt = 0;
  #life: Promise<void> | undefined;
  #worker: PluginWorker | undefined;
  #facts: PluginFacts | undefined;
  #socket: string | undefined;
  #state: InstanceState = "starting";
  #collects = true;
  #collecting: { startedAt: number; end: (failure?: Failure) => void } | undefined;
  #callOffStale: () => void = () => {};
  #nextRunAt: number | undefined;
  #lastError: InstanceStatus["lastError"];
  #said: PlainStatus | undefined;
  readonly #first = Promise.withResolvers<Failure | undefined>();

  constructor(
    config: InstanceConfig,
    source: PluginSource,
    dependencies: InstanceDependencies,
    history = new History(),
  ) {
    this.#config = config;
    this.source = source;
    this.history = history;
    this.#dependencies = dependencies;
    this.#log = logOf(dependencies, config);
    this.#redact = createRedactor(config.secrets);
  }

  /**
   * Starts the instance and keeps it going until `stop()`.
   * @param prepared A worker that has loaded the plugin, or why there is none.
   * @param delayMs Time before the first collection, so that instances do not all begin at once.
   */
  start(prepared: Prepared | PluginFailure, delayMs = 0): void {
    if (!(prepared instanceof PluginFailure)) this.#facts = prepared.facts;
    // A snapshot that a predecessor has left ages on.
    if (this.#dependencies.snapshots.has(this.config.name)) this.#ageSnapshot();
    this.#life ??= this.#live(prepared, delayMs);
  }

  /** Stops the plugin, at the latest after ten seconds. Its snapshot stays. */
  async stop(): Promise<void> {
    this.#state = "stopping";
    this.#stopping.abort();
    this.#callOffStale();
    await this.#worker?.stop(stopDeadlineMs).catch((error: PluginFailure) => {
      this.#log.warn("Plugin ended without stopping", { reason: error.reason, error: this.#redact(error.message) });
    });
    await this.#life;
    // Whatever the plugin has published as its last words belongs to its successor now.
    this.#callOffStale();
  }

  get config(): InstanceConfig {
    return this.#config;
  }
  /** Takes a configuration that differs in nothing which concerns the worker; what is a secret may differ. */
  relocate(config: InstanceConfig): void {
    this.#config = config;
    this.#log = logOf(this.#dependencies, config);
    this.#redact = createRedactor(config.secrets);
  }
  /** Fulfilled when the first collection has ended, or the plugin has failed before: with the failure, if it was one. */
  get firstCollection(): Promise<Failure | undefined> {
    return this.#first.promise;
  }
  /** Path of the socket at which the instance's routes answer. */
  get socket(): string | undefined {
    return this.#socket;
  }
  /** Whether the plugin has a `collect()`; true until that is known. */
  get collects(): boolean {
    return this.#collects;
  }
  get intervalSeconds(): number {
    return this.config.intervalSeconds ?? this.#facts?.intervalSeconds ?? defaultIntervalSeconds;
  }
  get timeoutSeconds(): number {
    return this.config.timeoutSeconds ?? this.#facts?.timeoutSeconds ?? defaultTimeoutSeconds;
  }

  status(): InstanceStatus {
    const { name, plugin, listen, metricsPath } = this.config;
    return {
      name,
      plugin,
      version: this.#facts?.version,
      source: "file" in this.source ? this.source.file : "built-in",
      state: this.#state,
      startedAt: this.#startedAt,
      intervalSeconds: this.#collects ? this.intervalSeconds : undefined,
      collecting: this.#collecting !== undefined,
      lastSuccessAt: this.history.lastSuccessAt,
      lastDurationSeconds: this.history.lastDurationSeconds,
      nextRunAt: this.#nextRunAt,
      lastError: this.#lastError,
      facts: this.#said?.facts ?? {},
      problem: this.#said?.problem ?? this.history.windows.problem,
      restorable: this.restorable(),
      restarts: this.history.restarts,
      series: this.#dependencies.snapshots.samples(name),
      hasRoutes: this.#socket !== undefined,
      listen: listen && formatAddress(listen),
      metricsPath,
    };
  }

  /** What can be restored by its word, as far as that may still be believed. */
  restorable(): RestorableRow[] {
    const { name, labels } = this.config;
    return this.history.windows.rows({
      instance: name,
      labelled: labels.cluster,
      lastSucceeded: this.history.lastSucceeded,
      lastError: this.#lastError?.message,
      staleAfterSeconds: this.#staleAfterSeconds,
      now: Date.now(),
    });
  }

  get #staleAfterSeconds(): number {
    return this.config.staleAfterSeconds ?? defaultStaleAfter(this.intervalSeconds, this.timeoutSeconds);
  }

  async #live(first: Prepared | PluginFailure, delayMs: number): Promise<void> {
    const { signal } = this.#stopping;
    for (let prepared: Prepared | PluginFailure | undefined = first; !signal.aborted; prepared = undefined) {
      this.#workerStartedAt = performance.now();
      const failure = await this.#liveOnce(prepared, prepared ? delayMs : 0);
      if (signal.aborted) {
        this.#collecting?.end();
        return;
      }
      // Where there is nothing to collect, a long life is all the success there is.
      if (!this.#collects && performance.now() - this.#workerStartedAt > backoffMs.most) this.#backoff.reset();
      const waitMs = this.#backoff.next();
      this.#failed(failure);
      this.#collecting?.end();
      this.#state = "restarting";
      this.#nextRunAt = Date.now() + waitMs;
      this.history.restarts++;
      this.#dependencies.changed();
      this.#log.debug("Plugin restarts", { after_seconds: waitMs / 1000 });
      await waited(waitMs, signal);
    }
  }

  /** One worker, from its setup to its end. */
  async #liveOnce(prepared: Prepared | PluginFailure | undefined, delayMs: number): Promise<PluginFailure> {
    if (prepared instanceof PluginFailure) return prepared;
    const worker = prepared?.worker ?? new PluginWorker(this.#dependencies.reap);
    this.#worker = worker;
    worker.listen((notice) => this.#hear(notice));
    const callOffs: (() => void)[] = [];
    try {
      if (!prepared) this.#facts = await worker.load(this.source, loadDeadlineMs);
      const { name, config, labels } = this.config;
      const socket = this.#dependencies.socketPath();
      const { collects, routes } = await worker.setup({ name, config, labels, socket }, setupDeadlineMs);
      this.#collects = collects;
      this.#socket = routes ? socket : undefined;
      if (!this.#stopping.signal.aborted) {
        if (collects) callOffs.push(this.#schedule(worker, delayMs));
        else this.#idle();
        this.#log.debug("Plugin started", { source: this.status().source });
      }
      return await worker.ended;
    } catch (error) {
      const failure =
        error instanceof PluginFailure ? error : new PluginFailure({ reason: "exception", message: messageOf(error) });
      worker.end(failure);
      return failure;
    } finally {
      for (const callOff of callOffs) callOff();
      this.#socket = undefined;
      this.#worker = undefined;
      this.#nextRunAt = undefined;
      this.#said = undefined;
    }
  }

  /** A plugin with nothing to collect runs as long as its worker does. */
  #idle(): void {
    this.#state = "running";
    this.history.forgetCollections();
    this.#dependencies.changed();
    this.#first.resolve(undefined);
  }

  /** Collects now and at every interval; a moment that comes while a collection runs is let go. */
  #schedule(worker: PluginWorker, delayMs: number): () => void {
    const first = performance.now() + delayMs;
    let callOff: () => void = () => {};
    const arm = (at: number) => {
      const waitMs = at - performance.now();
      this.#nextRunAt = Date.now() + waitMs;
      callOff = after(waitMs, async () => {
        await this.#collect(worker);
        if (this.#worker === worker && !this.#stopping.signal.aborted) {
          arm(nextTick(first, this.intervalSeconds * 1000, performance.now()));
        }
      });
    };
    arm(first);
    return () => callOff();
  }

  async #collect(worker: PluginWorker): Promise<void> {
    const over = Promise.withResolvers<Failure | undefined>();
    const startedAt = performance.now();
    this.#collecting = { startedAt, end: over.resolve };
    const timeoutMs = this.timeoutSeconds * 1000;
    const found = `the collection took longer than ${this.timeoutSeconds} s`;
    const callOffs = [
      after(timeoutMs, () => worker.abort()),
      after(timeoutMs + abortGraceMs, () =>
        worker.end({ reason: "timeout", message: `${found} and did not end when told` }),
      ),
    ];
    worker.collect();
    await over.promise;
    for (const callOff of callOffs) callOff();
    this.#collecting = undefined;
  }

  #hear(notice: Notice): void {
    if (notice.kind !== "log") this.#take(notice.said, notice.kind !== "collect-failed");
    switch (notice.kind) {
      case "log":
        this.#log[notice.level](notice.message, notice.fields);
        return;
      case "published":
        try {
          this.#publish(notice.families);
        } catch (error) {
          const text = this.#note({ reason: "exception", message: messageOf(error) });
          this.#dependencies.repeats.failure(this.#log, this.config.name, "publish", "Publishing failed", {
            error: text,
          });
        }
        return;
      case "collected":
        try {
          this.#publish(notice.families);
          this.#succeeded();
        } catch (error) {
          this.#failed({ reason: "exception", message: messageOf(error) });
        }
        this.#collecting?.end();
        return;
      case "collect-failed":
        this.#failed(notice.failure);
        this.#collecting?.end();
        return;
    }
  }

  #take({ status, windows }: Said, isGood: boolean): void {
    this.#said = redactedStatus(status, this.#redact);
    this.history.windows.hear(windows && redactedWindows(windows, this.#redact), isGood, Date.now());
  }

  #publish(families: Parameters<Snapshots["publish"]>[2]): void {
    this.#dependencies.snapshots.publish(this.config.name, this.config.plugin, families);
    this.#ageSnapshot();
  }

  #ageSnapshot(): void {
    this.#callOffStale();
    const { name } = this.config;
    const staleAfterSeconds = this.#staleAfterSeconds;
    this.#callOffStale = after(staleAfterSeconds * 1000, () => {
      this.#dependencies.snapshots.drop(name);
      this.#log.warn("Series dropped as stale", { stale_after_seconds: staleAfterSeconds });
    });
  }

  #succeeded(): void {
    this.history.lastDurationSeconds = (performance.now() - (this.#collecting?.startedAt ?? performance.now())) / 1000;
    this.history.lastSuccessAt = Date.now();
    this.history.collects.success++;
    this.#dependencies.repeats.recovery(this.#log, this.config.name, "Collection succeeds again");
    this.#log.debug("Collected", { duration_seconds: this.history.lastDurationSeconds });
    this.history.lastSucceeded = true;
    this.#first.resolve(undefined);
    if (performance.now() - this.#workerStartedAt > backoffMs.successAfter) this.#backoff.reset();
    if (this.#state !== "stopping") this.#state = "running";
  }

  /** A collection that failed, or a worker that ended: then a collection that ran failed with it. */
  #failed({ reason, message }: Failure): void {
    if (this.#stopping.signal.aborted) return;
    const error = this.#note({ reason, message });
    this.history.collects.failure++;
    this.history.failures.set(reason, (this.history.failures.get(reason) ?? 0) + 1);
    const seconds = this.#collecting && (performance.now() - this.#collecting.startedAt) / 1000;
    if (seconds !== undefined) this.history.lastDurationSeconds = seconds;
    const what = this.#collecting ? "Collection failed" : "Plugin failed";
    this.#dependencies.repeats.failure(this.#log, this.config.name, reason, what, { error, duration_seconds: seconds });
    this.history.lastSucceeded = false;
    this.#first.resolve({ reason, message: error });
    this.#state = "failing";
    this.#dependencies.changed();
  }

  #note({ reason, message }: Failure): string {
    const text = this.#redact(message);
    this.#lastError = { at: Date.now(), reason, message: text };
    return text;
  }
}

const logOf = (dependencies: InstanceDependencies, { name, plugin, secrets }: InstanceConfig): Log =>
  dependencies.createLog({ instance: name, plugin }, secrets);
