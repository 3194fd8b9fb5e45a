/** An instance that receives nothing: it gives recoveries what is in the directory and in the archive, as the original's `serve` mode. */
import { isAbsolute, relative } from "node:path";
import type { PluginInstance, PluginStatus, SetupContext } from "holdfast";
import { Hono } from "hono";
import { messageOf } from "../common/storage/errors.ts";
import { pause } from "../common/storage/retry.ts";
import type { WalArchive } from "../common/wal-archive/archive.ts";
import { WalLookup } from "../common/wal-archive/lookup.ts";
import { openWalArchive } from "../common/wal-archive/open.ts";
import { WalSourceError } from "../common/wal-archive/wal-source.ts";
import { systemIdentifierIn } from "./local-system.ts";
import { type ServeCounterName, serveMetricTable } from "./metric-table.ts";
import { RegisteredMetrics } from "./registered-metrics.ts";
import { addServeRoutes, ServeTelemetry, serveResults } from "./serve-routes.ts";
import type { Settings } from "./settings.ts";

const retryMs = 2_000;

export class ServingInstance implements PluginInstance {
  readonly http = new Hono();
  readonly #context: SetupContext<Settings>;
  readonly #served = new ServeTelemetry();
  readonly #page: RegisteredMetrics<never, ServeCounterName>;
  #archive: WalArchive | undefined;
  /** Why the archive that is configured is not open. */
  #problem: string | undefined;

  constructor(context: SetupContext<Settings>) {
    const { config, metrics, log } = context;
    this.#context = context;
    this.#page = new RegisteredMetrics(metrics, serveMetricTable, []);
    const lookup = new WalLookup({
      directory: config.directory,
      archive: config.archive && (() => this.#openArchive()),
      description: config.archive ? `${config.directory} and the archive` : config.directory,
      servesPartial: () => config.serve?.partial ?? true,
      // One disk: WAL in either shows that it is there. An archive elsewhere that is empty may be a disk that is not.
      expectsWal: () => (isArchivedWithin(config) ? "anywhere" : true),
    });
    if (config.serve?.token === undefined)
      log.warn("WAL is served to whoever can reach this instance, as far as the agent's web config lets them", {
        remedy: "set serve.token",
      });
    const status = () => Response.json({ running_mode: "serve", problem: this.#problem });
    for (const path of ["/status", "/api/v1/status"]) this.http.get(path, status);
    this.http.all("/healthz", (c) => c.body(null, 200));
    this.http.get("/", (c) => c.redirect("status"));
    const { token } = config.serve ?? {};
    addServeRoutes(this.http, {
      lookup,
      token,
      telemetry: this.#served,
      log,
      segmentSizeBytes: () => undefined,
      systemIdentifier: () => systemIdentifierIn(config.directory).catch(() => undefined),
    });
  }

  async start({ signal }: { readonly signal: AbortSignal }): Promise<void> {
    await this.#keepOpening(signal);
    if (signal.aborted) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    signal.addEventListener("abort", () => resolve(), { once: true });
    await promise;
  }

  /** Until the archive is open: a file that its settings name may come with a mount, or be put right while a recovery waits. */
  async #keepOpening(signal: AbortSignal): Promise<void> {
    const { config, log, publish } = this.#context;
    while (config.archive && !this.#archive && !signal.aborted) {
      const before = this.#problem;
      try {
        this.#archive = await openWalArchive(config.archive, { environment: process.env });
        this.#problem = undefined;
        if (before !== undefined) log.info("The archive is open");
      } catch (error) {
        this.#problem = messageOf(error);
        if (this.#problem !== before)
          log.error("Cannot open the archive: WAL that is only there is not served", { error: this.#problem });
      }
      if (this.#problem !== before) publish();
      if (!this.#archive) await pause(retryMs, signal).catch(() => {});
    }
  }

  collect(): void {
    for (const result of serveResults) {
      this.#page.countUpTo("pgrwl_serve_requests_total", this.#served.requests.get(result) ?? 0, { result });
    }
    this.#page.countUpTo("pgrwl_serve_bytes_total", this.#served.bytes);
  }

  status(): PluginStatus {
    const { directory, archive } = this.#context.config;
    return { facts: { mode: "serve", directory, archive: archive?.storage.type }, problem: this.#problem };
  }

  async stop(): Promise<void> {
    await this.#archive?.[Symbol.asyncDispose]();
  }

  /** @throws {WalSourceError} outage: nothing is known to be absent then. */
  #openArchive(): WalArchive {
    if (this.#archive) return this.#archive;
    throw new WalSourceError("outage", `The archive is not open${this.#problem ? `: ${this.#problem}` : " yet"}`);
  }
}

/** Whether the archive is a folder in the directory, as the original's local storage is. */
function isArchivedWithin({ archive, directory }: Settings): boolean {
  if (archive?.storage.type !== "local") return false;
  const path = relative(directory, archive.storage.directory);
  return path !== ".." && !path.startsWith("../") && !isAbsolute(path);
}
