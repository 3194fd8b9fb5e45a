/** The running agent: a host, its metrics page, its addresses, and what a reload does to them. */
import { revision, version } from "../build.ts";
import type { AgentConfig, Problem } from "../config/config.ts";
import type { LoadResult } from "../config/load.ts";
import { formatProblem, sortProblems } from "../config/problems.ts";
import { messageOf } from "../host/failures.ts";
import { Host, type Plan } from "../host/host.ts";
import { Reloader, type ReloadResult } from "../host/reload.ts";
import { createApp, createInstanceApp } from "../http/app.ts";
import { Ports, type WantedPort } from "../http/ports.ts";
import { ownFamilies, ownText } from "../metrics/own.ts";
import { MetricsPage } from "../metrics/page.ts";
import { processFamilies } from "../metrics/process.ts";
import { Snapshots } from "../metrics/snapshots.ts";
import type { Log } from "../sdk/index.ts";
import { reap } from "../system/libc.ts";
import { configureLog, createLog } from "../system/log.ts";
import type { ServiceManager } from "../system/notify.ts";
import type { AgentStatus } from "../system/status.ts";
import { allProblems, webConfigProblems } from "./configuration.ts";
import { ownInstance } from "./own-instance.ts";

/** Reads the configuration anew, with the flags that the agent was started with. */
export type ReadConfig = () => Promise<LoadResult>;

/** A configuration that cannot be run, at the start. */
export class ConfigError extends Error {
  override readonly name = "ConfigError";
  readonly problems: readonly Problem[];

  constructor(problems: readonly Problem[]) {
    super("Cannot run with this configuration");
    this.problems = problems;
  }
}

/** Time that each plugin has to load at the start, before the others go on without it. */
const loadAtStartMs = 2_000;
const isStopping: ReloadResult = { successful: false, message: "The agent is stopping" };
/** Time that running requests have to end when the agent stops. */
const drainMs = 5_000;

export class Agent {
  readonly #read: ReadConfig;
  readonly #serviceManager: ServiceManager;
  readonly #log: Log = createLog();
  readonly #page = new MetricsPage({
    plugins: (instances) => this.#snapshots.page(instances),
    own: (instances) => this.#ownText(instances),
  });
  readonly #snapshots = new Snapshots(() => this.#page.invalidate());
  readonly #host: Host;
  readonly #ports: Ports;
  readonly #reloader = new Reloader(() => this.#reload());
  readonly #startedAt = Date.now() - process.uptime() * 1000;
  #config: AgentConfig | undefined;
  #applying: Promise<void> | undefined;
  #isStopping = false;
  #lastReload: AgentStatus["lastReload"] = { at: Date.now(), successful: true, message: undefined };
  #lastReloadSuccessAt = Date.now();

  constructor(read: ReadConfig, serviceManager: ServiceManager, runtimeDir: string) {
    this.#read = read;
    this.#serviceManager = serviceManager;
    this.#host = new Host({
      snapshots: this.#snapshots,
      createLog,
      runtimeDir,
      reap,
      changed: () => this.#page.invalidateOwn(),
    });
    this.#ports = new Ports(this.#log);
  }

  /** @throws {ConfigError} @throws {Error} An address cannot be listened at. */
  async start(): Promise<void> {
    const read = await this.#read();
    if ("problems" in read) throw new ConfigError(await allProblems(read, this.#host));
    const { config } = read;
    configureLog(config.log);
    const [prepared, ofWebConfigs] = await Promise.all([
      this.#host.prepare(config, { deadlineMs: loadAtStartMs, tolerant: true }),
      webConfigProblems(config),
    ]);
    if ("problems" in prepared) throw new ConfigError(sortProblems([...prepared.problems, ...ofWebConfigs]));
    if (ofWebConfigs.length > 0) {
      this.#host.abandon(prepared.plan);
      throw new ConfigError(ofWebConfigs);
    }
    try {
      await this.#ports.open(this.#wantedPorts(config));
    } catch (error) {
      this.#host.abandon(prepared.plan);
      throw error;
    }
    await this.#host.apply(prepared.plan);
    this.#config = config;
    const addresses = this.#ports.urls().join(", ");
    this.#warnOfOpenFiles(config);
    this.#log.info("holdfast is ready", {
      version,
      addresses,
      config: config.file,
      instances: config.instances.length,
    });
    this.#serviceManager.ready(this.#statusLine());
    this.#serviceManager.startWatchdog();
  }

  /** Reloads now, or once more after the reload that runs. Never throws. */
  reload(): Promise<ReloadResult> {
    return this.#reloader.request();
  }

  /** Stops every instance and every listener. */
  async stop(): Promise<void> {
    this.#isStopping = true;
    this.#serviceManager.stopping("Stopping");
    // What is only being read or loaded is not waited for: it will not be applied any more.
    await this.#applying?.catch(() => {});
    await Promise.all([this.#host.stop(), this.#ports.close(drainMs)]);
    this.#log.info("holdfast has stopped");
  }

  async #reload(): Promise<ReloadResult> {
    if (this.#isStopping) return isStopping;
    this.#serviceManager.reloading();
    const failed = await this.#change().then(
      (problems) => problems.map(formatProblem),
      (error: unknown) => [messageOf(error)],
    );
    if (this.#isStopping) return isStopping;
    const successful = failed.length === 0;
    const at = Date.now();
    this.#lastReload = { at, successful, message: successful ? undefined : failed.join("\n") };
    if (successful) {
      this.#lastReloadSuccessAt = at;
      this.#log.info("Configuration reloaded", { instances: this.#config?.instances.length });
    } else {
      for (const problem of failed) this.#log.error("Configuration not reloaded, the running one stays", { problem });
    }
    this.#page.invalidateOwn();
    this.#serviceManager.ready(this.#statusLine());
    return { successful, message: successful ? "Reloaded." : failed.join("\n") };
  }

  /** Makes the configuration that is read now the running one, or changes nothing. @returns What is wrong with it. */
  async #change(): Promise<readonly Problem[]> {
    const read = await this.#read();
    if ("problems" in read) return allProblems(read, this.#host);
    const { config } = read;
    const prepared = await this.#host.prepare(config);
    if ("problems" in prepared) return prepared.problems;
    if (this.#isStopping) {
      this.#host.abandon(prepared.plan);
      return [];
    }
    this.#applying = this.#applyWhole(config, prepared.plan);
    await this.#applying;
    configureLog(config.log);
    this.#warnOfOpenFiles(config);
    return [];
  }

  #warnOfOpenFiles({ openSecretFiles = [] }: AgentConfig): void {
    for (const file of openSecretFiles)
      this.#log.warn("Every user of this machine can read a file of the configuration's secrets", {
        file,
        remedy: "chmod 0600",
      });
  }

  async #applyWhole(config: AgentConfig, plan: Plan): Promise<void> {
    try {
      await this.#ports.open(this.#wantedPorts(config));
    } catch (error) {
      this.#host.abandon(plan);
      throw error;
    }
    await this.#host.apply(plan);
    this.#config = config;
    await this.#ports.closeOthers(drainMs);
  }

  #wantedPorts(config: AgentConfig): WantedPort[] {
    const routes = {
      status: () => this.status(),
      socketOf: (name: string) => this.#host.instance(name)?.socket,
      log: this.#log,
      maxRequests: () => this.#config?.maxRequests ?? config.maxRequests,
      metrics: {
        page: (filter?: ReadonlySet<string>) => this.#page.plain(filter),
        gzipPage: (filter?: ReadonlySet<string>) => this.#page.gzip(filter),
        names: () => this.#host.instances.map((instance) => instance.config.name),
      },
    };
    const isReady = () => this.#config !== undefined;
    const app = createApp({
      ...routes,
      isReady,
      hasInstance: (name) => this.#host.instance(name) !== undefined,
      ...(config.enableReload ? { reload: () => this.reload() } : {}),
      notices: () => this.#notices(),
    });
    const ofInstances = config.listen.length > 0 ? routes : { ...routes, isReady };
    return [
      ...config.listen.map((address) => ({ address, webConfig: config.webConfig, fetch: app.fetch })),
      ...config.instances.flatMap(({ name, listen, metricsPath, webConfig = config.webConfig }) =>
        listen
          ? [
              {
                instance: name,
                address: listen,
                webConfig,
                fetch: createInstanceApp(name, ofInstances, metricsPath).fetch,
              },
            ]
          : [],
      ),
    ];
  }

  #notices(): string[] {
    const { successful, message } = this.#lastReload;
    return [...(successful ? [] : [`The configuration was not reloaded: ${message}`]), ...this.#ports.problems()];
  }

  status(): AgentStatus {
    return {
      version,
      revision,
      bunVersion: Bun.version,
      startedAt: this.#startedAt,
      configFile: this.#config?.file ?? "",
      ready: this.#config !== undefined,
      lastReload: this.#lastReload,
      instances: this.#host.instances.map((instance) => instance.status()),
    };
  }

  #statusLine(): string {
    const addresses = this.#ports.urls().join(", ");
    const reload = this.#lastReload.successful ? "" : "; the last reload failed, see the log";
    return `${this.#host.instances.length} instances, serving at ${addresses}${reload}`;
  }

  #ownText(names: ReadonlySet<string> | undefined): string {
    const chosen = this.#host.instances.filter(({ config }) => !names || names.has(config.name));
    const instances = chosen.map(ownInstance);
    const facts = {
      version,
      revision,
      bunVersion: Bun.version,
      instances,
      lastReloadSuccessful: this.#lastReload.successful,
      lastReloadSuccessAt: this.#lastReloadSuccessAt,
    };
    return ownText([...ownFamilies(facts), ...processFamilies()]);
  }
}
