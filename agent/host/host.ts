/** All instances: prepares a configuration whole, then changes what differs and nothing else. */
import { join } from "node:path";
import type { AgentConfig, InstanceConfig, Problem } from "../config/config.ts";
import { issuesToProblems, problemsWith, shownAt } from "../config/issues.ts";
import { sortProblems } from "../config/problems.ts";
import { reasonOf } from "../config/read-file.ts";
import { nearest } from "../config/suggestions.ts";
import type { Snapshots } from "../metrics/snapshots.ts";
import type { Log, LogFields } from "../sdk/log.ts";
import { createRedactor } from "../system/redact.ts";
import { Repeats } from "../system/repeats.ts";
import { messageOf } from "./failures.ts";
import { History } from "./history.ts";
import { Instance } from "./instance.ts";
import type { InstanceDependencies, Prepared } from "./instance-dependencies.ts";
import { PluginFailure, PluginWorker } from "./plugin-worker.ts";
import { type Catalogue, findPlugins, OpenToAllError, sourceDigest } from "./plugins.ts";
import type { PlainCheckResult, PluginSource } from "./protocol.ts";

export interface HostDependencies {
  readonly snapshots: Snapshots;
  /** A log whose lines carry the fields given and none of the secrets. */
  createLog(fields: LogFields, secrets: readonly string[]): Log;
  /** A private directory for the sockets of instances' routes. */
  readonly runtimeDir: string;
  /** Takes the exit status of a child whose parent, a worker, is gone; false: it has not ended yet. */
  reap(pid: number): boolean;
  /** Told when the agent's own metrics have changed. */
  changed?(): void;
}

/** A configuration found right, with workers that wait for their setup. */
export interface Plan {
  readonly config: AgentConfig;
  readonly entries: readonly PlanEntry[];
}

/** What an instance's plugin said when it was asked to check it. */
export interface CheckedInstance {
  readonly name: string;
  /** None: the plugin has nothing to check. */
  readonly results: readonly PlainCheckResult[];
}

interface PlanEntry {
  readonly config: InstanceConfig;
  readonly source: PluginSource;
  readonly fingerprint: string;
  /** Undefined: the running instance stays. */
  readonly prepared: Prepared | PluginFailure | undefined;
}

type Starting = PlanEntry & { readonly prepared: Prepared | PluginFailure };

/** Plugins that load at a time: what waits for a processor must not count as a plugin that is slow. */
const mostLoads = 16;
/** Instances that start together begin their first collection this far apart at most. */
const mostSpreadMs = 200;

export class Host {
  readonly #dependencies: HostDependencies;
  readonly #running = new Map<string, { instance: Instance; fingerprint: string }>();
  readonly #repeats = new Repeats();
  readonly #log: Log;
  readonly #instanceDependencies: InstanceDependencies;
  #sockets = 0;

  constructor(dependencies: HostDependencies) {
    this.#dependencies = dependencies;
    this.#log = dependencies.createLog({}, []);
    // Made here, where no instance is in scope: a closure made in #replace() would keep every one that it replaced.
    this.#instanceDependencies = {
      ...dependencies,
      repeats: this.#repeats,
      socketPath: () => join(dependencies.runtimeDir, `${++this.#sockets}.sock`),
      changed: () => dependencies.changed?.(),
    };
  }

  get instances(): readonly Instance[] {
    return [...this.#running.values()].map(({ instance }) => instance);
  }
  instance(name: string): Instance | undefined {
    return this.#running.get(name)?.instance;
  }

  /**
   * Loads the plugins of all new and changed instances and has them read their configuration. Changes nothing.
   * @param options.deadlineMs Time that each plugin has to load.
   * @param options.tolerant Whether a plugin that cannot be loaded is left to be retried, not a problem.
   */
  async prepare(
    config: AgentConfig,
    { deadlineMs = 10_000, tolerant = false }: { deadlineMs?: number; tolerant?: boolean } = {},
  ): Promise<{ plan: Plan } | { problems: Problem[] }> {
    const { catalogue, problems: unread } = await readCatalogue(config);
    // Without the folder, nobody knows what is not in it.
    const known = config.instances.filter(({ plugin }) => unread.length === 0 || catalogue.has(plugin));
    const results = await inTurns(known, mostLoads, (instance) =>
      this.#prepareOne(instance, catalogue, deadlineMs, tolerant),
    );
    const entries = results.flatMap((result) => (Array.isArray(result) ? [] : [result]));
    const problems = results.flatMap((result) => (Array.isArray(result) ? result : []));
    if (unread.length + problems.length === 0) return { plan: { config, entries } };
    this.abandon({ config, entries });
    return { problems: sortProblems([...unread, ...problems]) };
  }

  /** Ends the workers of a plan that is not applied. */
  abandon({ entries }: Plan): void {
    for (const { prepared } of entries) if (prepared && "worker" in prepared) prepared.worker.end(abandoned);
  }

  /**
   * Has the plugins try out what their instances need. The plan is of no more use then.
   * @param deadlineMs Time that each instance has.
   */
  async check({ config, entries }: Plan, deadlineMs: number): Promise<readonly CheckedInstance[]> {
    try {
      return await inTurns(entries, mostLoads, async ({ config: instance, prepared }) => {
        const { name, secrets } = instance;
        const redact = createRedactor(secrets);
        if (prepared === undefined || !("worker" in prepared)) return { name, results: [] };
        const results = await prepared.worker
          .check(name, instance.config, deadlineMs)
          .catch((error: unknown) => [{ what: "check", problem: messageOf(error), notes: [] }]);
        return {
          name,
          results: results.map(({ what, problem, notes }) => ({
            what: redact(what),
            problem: problem === undefined ? undefined : redact(problem),
            notes: notes.map(redact),
          })),
        };
      });
    } finally {
      this.abandon({ config, entries });
    }
  }

  /** Stops what is gone, replaces what changed, starts what is new; unchanged instances keep their worker. */
  async apply({ entries }: Plan): Promise<void> {
    const wanted = new Set(entries.map(({ config }) => config.name));
    const gone = [...this.#running].filter(([name]) => !wanted.has(name));
    const starting = entries.filter((entry): entry is Starting => entry.prepared !== undefined);
    const spreadMs = (index: number, { intervalSeconds = 60 }: InstanceConfig) =>
      index * Math.min(mostSpreadMs, (intervalSeconds * 1000) / starting.length);
    const removed = Promise.all(gone.map(([name, { instance }]) => this.#remove(name, instance)));
    const starts = starting.map(async (entry, index) => {
      // It may be a removed one under another name: of its folder, slot or address there is one.
      if (!this.#running.has(entry.config.name)) await removed;
      await this.#replace(entry, spreadMs(index, entry.config));
    });
    await Promise.all([removed, ...starts]);
    for (const { config } of entries) this.instance(config.name)?.relocate(config);
    // In the order of the configuration, for those who read the status page.
    for (const { config } of entries) {
      const running = this.#running.get(config.name);
      if (running && this.#running.delete(config.name)) this.#running.set(config.name, running);
    }
    this.#dependencies.changed?.();
  }

  async stop(): Promise<void> {
    await Promise.all(this.instances.map((instance) => instance.stop()));
  }

  async #remove(name: string, instance: Instance): Promise<void> {
    await instance.stop();
    this.#running.delete(name);
    this.#dependencies.snapshots.drop(name);
    this.#repeats.forget(name);
    this.#log.info("Instance removed", { instance: name });
  }

  async #replace({ config, source, fingerprint, prepared }: Starting, delayMs: number): Promise<void> {
    const old = this.#running.get(config.name)?.instance;
    await old?.stop();
    this.#dependencies.snapshots.leave(config.name);
    this.#repeats.renew(config.name);
    const instance = new Instance(config, source, this.#instanceDependencies, old?.history ?? new History());
    this.#running.set(config.name, { instance, fingerprint });
    instance.start(prepared, delayMs);
    if (old) this.#log.info("Instance replaced", { instance: config.name });
  }

  async #prepareOne(
    config: InstanceConfig,
    catalogue: Catalogue,
    deadlineMs: number,
    tolerant: boolean,
  ): Promise<PlanEntry | Problem[]> {
    const problem = (message: string): Problem[] => [{ ...config.place(["plugin"]), message }];
    const source = catalogue.get(config.plugin);
    if (!source) {
      const known = [...catalogue.keys()];
      const hint = nearest(config.plugin, known);
      const meant = hint === undefined ? "" : `; did you mean ${JSON.stringify(hint)}?`;
      return problem(
        `Cannot find plugin ${shownAt(config, ["plugin"], config.plugin)}: expected one of ${known.join(", ")}${meant}`,
      );
    }
    if ("problem" in source) return problem(`Cannot use plugins.${config.name}: ${source.problem}`);
    const { plugin, intervalSeconds, timeoutSeconds, staleAfterSeconds, labels, config: own } = config;
    const fingerprint = JSON.stringify([
      [plugin, source, await sourceDigest(source)],
      [intervalSeconds, timeoutSeconds, staleAfterSeconds],
      [labels, own],
    ]);
    const entry = { config, source, fingerprint };
    if (this.#running.get(config.name)?.fingerprint === fingerprint) return { ...entry, prepared: undefined };

    const worker = new PluginWorker(this.#dependencies.reap);
    try {
      const facts = await worker.load(source, deadlineMs);
      const issues = await worker.validate(config.config, deadlineMs);
      if (issues.length === 0) return { ...entry, prepared: { worker, facts } };
      worker.end(abandoned);
      return issuesToProblems(config, issues);
    } catch (error) {
      const failure =
        error instanceof PluginFailure ? error : new PluginFailure({ reason: "exception", message: messageOf(error) });
      worker.end(failure);
      if (tolerant) return { ...entry, prepared: failure };
      const found = createRedactor(config.secrets)(failure.message);
      return problem(`Cannot load plugin ${JSON.stringify(plugin)} of plugins.${config.name}: ${found}`);
    }
  }
}

/** The plugins that there are; where the folder cannot be read, those in the executable, and what is wrong with it. */
async function readCatalogue(config: AgentConfig): Promise<{ catalogue: Catalogue; problems: Problem[] }> {
  try {
    return { catalogue: await findPlugins(config.pluginDir), problems: [] };
  } catch (error) {
    const found = (error as { code?: string }).code === "ENOTDIR" ? "it is no folder" : reasonOf(error);
    const message =
      error instanceof OpenToAllError ? error.message : `${config.pluginDir}: ${found}, expected a folder of plugins`;
    return { catalogue: await findPlugins(undefined), problems: problemsWith(config, ["plugin_dir"], message) };
  }
}

/** Maps as `Promise.all` would, with so many at work at a time. */
async function inTurns<From, To>(
  all: readonly From[],
  atOnce: number,
  work: (one: From) => Promise<To>,
): Promise<readonly To[]> {
  const results: To[] = [];
  const waiting = all.entries();
  const worker = async () => {
    for (const [index, one] of waiting) results[index] = await work(one);
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
  return results;
}

const abandoned = { reason: "exception", message: "The configuration was not applied" } as const;
