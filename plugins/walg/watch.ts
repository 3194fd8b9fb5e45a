/** One instance at work: what it asks, and the page that it makes of the answers. */
import { type CollectContext, type Log, type RestorableWindow, type Run, RunError, type SetupContext } from "holdfast";
import {
  type ConnectionKeywords,
  type Environment,
  namesServer,
  resolveConnection,
} from "../common/postgres/conninfo.ts";
import { type Arrivals, askArrivals, newestSegments } from "./arrivals.ts";
import { countChanges, showBackups } from "./backup-page.ts";
import { backupTypes } from "./backups.ts";
import * as commands from "./commands.ts";
import { deltaChains } from "./delta-chains.ts";
import { commandEnvironment, identityOf } from "./environment.ts";
import { knowledgeOf, type ListedBackups, type Operations } from "./knowledge.ts";
import { failureReason, Operation, type Outcome, pause } from "./operation.ts";
import { countFailure, createCounters, showOperations } from "./own-page.ts";
import { restorableWindows } from "./restorable.ts";
import { Series } from "./series.ts";
import { readServerState } from "./server.ts";
import type { Settings } from "./settings.ts";
import { archivedWal, showWal } from "./wal-page.ts";

const versionIntervalSeconds = 3600;

/** How long an answer waits for others before a page is made of them: many commands start at the same moments. */
const gatheringMs = 100;

/** A page of more backups than this takes tens of megabytes to make, which the runtime is in no hurry to give back. */
const manyBackups = 1000;
const tidyAfterMs = 1000;

export class Watch {
  readonly #context: SetupContext<Settings>;
  readonly #version: string;
  readonly #series: Series;
  readonly #environment: Environment;
  readonly #operations: Operations;
  /** Names of the operations that fail: a failure is told once, and so is its end. */
  readonly #failing = new Set<string>();
  /** What a page is published by: between collections the instance's own, during one what shows it at once. */
  #publish: () => Promise<void>;
  #started = false;
  #windows: readonly RestorableWindow[] = [];
  #isFirstPage = true;
  #republishing: ReturnType<typeof setTimeout> | undefined;
  #tidying: ReturnType<typeof setTimeout> | undefined;
  #warnedOfTimelineZero = false;

  /** @param inherited The agent's own environment. @throws {Error} The configured user cannot be had. */
  static async create(context: SetupContext<Settings>, version: string, inherited: Environment): Promise<Watch> {
    const { config, log, run } = context;
    const { prefix, environment } = await identityOf(config.user, process.getuid?.() ?? 0, run);
    const own = commandEnvironment({ ...inherited, ...environment }, config.environment, log);
    return new Watch(context, version, own, {
      prefix,
      path: config.path,
      configPath: config.config_path,
      environment: own,
      workingDirectory: config.working_directory,
      maxOutputBytes: config.max_output,
    });
  }

  private constructor(
    context: SetupContext<Settings>,
    version: string,
    environment: Environment,
    caller: commands.Caller,
  ) {
    this.#context = context;
    this.#version = version;
    this.#environment = environment;
    this.#publish = context.publish;
    this.#series = new Series(context.metrics, context.config.compat);
    this.#operations = this.#createOperations(caller);
    createCounters(this.#series, this.#all, backupTypes);
  }

  /** Asks everything on its own schedule until stopped: what hangs delays nothing else. */
  async start({ signal, run }: { signal: AbortSignal; run: Run }): Promise<void> {
    this.#started = true;
    this.#republish();
    await Promise.all(this.#scheduled.map((operation) => operation.keepAsking(run, signal)));
    this.stop();
  }

  /**
   * Makes the page of the latest answers. The first collection waits for all of them, for a single one should have them
   * all; each answer is on the page as it comes. Of what comes later than `first_wait` only the list of backups is waited
   * for. Without `start()` everything is asked each time.
   * @throws Why the last list of backups failed.
   */
  async collect({ signal, run, publish }: CollectContext): Promise<void> {
    const { list } = this.#operations;
    if (this.#started) await this.#showingEachAnswer(publish, () => untilAborted(this.#firstAnswers(signal), signal));
    else await Promise.all(this.#scheduled.map((operation) => operation.askOnce(run, signal)));
    if (list.outcome?.error !== undefined) {
      // The gauges go back to what they were; what other commands found since then follows.
      this.#republish();
      throw list.outcome.error;
    }
    signal.throwIfAborted();
    // The page of this collection has all that one under way would have.
    clearTimeout(this.#republishing);
    this.#republishing = undefined;
    this.#fillPage();
  }

  async #showingEachAnswer(publish: () => Promise<void>, waiting: () => Promise<void>): Promise<void> {
    this.#publish = publish;
    try {
      await waiting();
    } finally {
      this.#publish = this.#context.publish;
    }
  }

  async #firstAnswers(signal: AbortSignal): Promise<void> {
    await this.#operations.list.firstOutcome;
    if (this.#operations.list.isSound && this.#isFirstPage) {
      const all = Promise.all(this.#scheduled.map(({ firstOutcome }) => firstOutcome));
      const enough = new AbortController();
      const patience = pause(this.#context.config.first_wait * 1000, AbortSignal.any([signal, enough.signal]));
      await Promise.race([all, patience]);
      enough.abort();
    }
    this.#isFirstPage = false;
  }

  /** What can be restored, and to when, as of the last page. */
  get windows(): readonly RestorableWindow[] {
    return this.#windows;
  }

  stop(): void {
    clearTimeout(this.#republishing);
    clearTimeout(this.#tidying);
  }

  get #all(): readonly Operation<unknown>[] {
    return Object.values(this.#operations).filter((operation) => operation !== undefined);
  }

  /** A wal-show that only stands in for a failing wal-verify has no schedule. */
  get #scheduled(): readonly Operation<unknown>[] {
    const { timelines } = this.#operations;
    return this.#all.filter((operation) => operation !== timelines || !this.#showIsStandIn);
  }

  get #showIsStandIn(): boolean {
    const { compat, wal } = this.#context.config;
    return compat === "release" && wal.commands === undefined;
  }

  #createOperations(caller: commands.Caller): Operations {
    const { config, now, signal } = this.#context;
    const { list, wal, wal_times: walTimes, storage, compat } = config;
    const operation = <Answer>(name: string, intervalSeconds: number, ask: (run: Run) => Promise<Answer>) =>
      new Operation<Answer>({
        name,
        intervalSeconds,
        ask,
        now,
        onOutcome: (which, outcome) => this.#onOutcome(which, outcome),
      });
    const asking = (run: Run, { timeout }: { timeout: number }): commands.Asking => ({
      run,
      timeoutMs: timeout * 1000,
    });
    const asksFor = (command: "wal-show" | "wal-verify") =>
      wal.commands?.includes(command) ?? (command === "wal-show" || compat !== "readme");

    const backups: Operation<ListedBackups> = operation("backup-list", list.interval, async (run) => {
      const known = backups.answer;
      const found = await commands.listBackups(caller, asking(run, list), known, (error) =>
        this.#onRefusedDetails(error),
      );
      const listed = { ...found, chains: deltaChains(found.backups) };
      countChanges(this.#series, known, listed);
      // What the text was made into is garbage by now; the page is about to be made beside it.
      if (listed.backups.length > manyBackups) Bun.gc(true);
      return listed;
    });
    const timelines = asksFor("wal-show")
      ? operation("wal-show", wal.interval, async (run) => {
          const found = await commands.showTimelines(caller, asking(run, wal), wal.without_backups);
          if (found.some(({ id }) => id === 0)) this.#warnOfTimelineZero();
          return found;
        })
      : undefined;
    const verification = asksFor("wal-verify")
      ? operation("wal-verify", wal.interval, async (run) => {
          try {
            return await commands.verifyWal(caller, asking(run, wal));
          } catch (error) {
            if (this.#showIsStandIn) await timelines?.askOnce(run, signal);
            throw error;
          }
        })
      : undefined;
    const connection = this.#serverKeywords();
    const server =
      connection &&
      operation("postgres", list.interval, async () => {
        const target = await resolveConnection(connection, this.#environment);
        return readServerState(target, { timeoutMs: config.postgres_timeout * 1000, signal });
      });
    const arrivals: Operation<Arrivals> | undefined =
      (walTimes.enabled ?? compat !== "release")
        ? operation("wal-times", walTimes.interval, async (run) => {
            if (server) await untilAborted(server.firstOutcome, signal);
            const isTold = server?.isSound && server.answer?.lastArchived !== undefined;
            if (isTold && walTimes.enabled === undefined) return arrivals?.answer ?? new Map();
            const newest = newestSegments(timelines?.answer, verification?.answer);
            return askArrivals(caller, asking(run, walTimes), newest, arrivals?.answer);
          })
        : undefined;
    const probe = (ways: readonly (readonly string[])[]) => (run: Run) =>
      commands.probeStorage(caller, asking(run, storage), ways);
    return {
      list: backups,
      timelines,
      verification,
      storage: operation(
        "storage-check",
        storage.interval,
        probe(commands.readProbes.slice(compat === "readme" ? 1 : 0)),
      ),
      storageWrite: storage.write_interval
        ? operation("storage-write", storage.write_interval, probe(commands.writeProbes))
        : undefined,
      storageUsage: storage.usage_interval
        ? operation("storage-usage", storage.usage_interval, (run) => commands.measureStorage(caller, asking(run, wal)))
        : undefined,
      segments: arrivals,
      server,
      version: operation("version", versionIntervalSeconds, (run) =>
        commands.askVersion(caller, asking(run, storage)).catch(() => undefined),
      ),
    };
  }

  /** How to reach the server; undefined when nothing says that there is one to reach. */
  #serverKeywords(): ConnectionKeywords | undefined {
    const { postgres } = this.#context.config;
    if (postgres === false) return undefined;
    return postgres ?? (namesServer(this.#environment) ? {} : undefined);
  }

  #onOutcome({ name }: Operation<unknown>, { error, durationSeconds }: Outcome): void {
    this.#series.observe("walg_command_duration_seconds", { operation: name }, durationSeconds);
    if (error !== undefined) countFailure(this.#series, name, failureReason(error));
    this.#tell(name, error, durationSeconds);
    if (this.#started) this.#republish();
  }

  #tell(operation: string, error: unknown, durationSeconds: number): void {
    const { log } = this.#context;
    if (error === undefined) {
      if (this.#failing.delete(operation)) log.info("Command works again", { operation });
      else log.debug("Command answered", { operation, duration_seconds: durationSeconds });
      return;
    }
    const level: keyof Log = this.#failing.has(operation) ? "debug" : "warn";
    this.#failing.add(operation);
    log[level]("Command failed", {
      operation,
      reason: failureReason(error),
      duration_seconds: durationSeconds,
      ...describe(error),
    });
  }

  #onRefusedDetails(error: RunError): void {
    countFailure(this.#series, "backup-list", "exit");
    const level: keyof Log = this.#failing.has("backup details") ? "debug" : "warn";
    this.#failing.add("backup details");
    this.#context.log[level]("Listing backups without details, for wal-g refuses them", describe(error));
  }

  #warnOfTimelineZero(): void {
    if (this.#warnedOfTimelineZero) return;
    this.#warnedOfTimelineZero = true;
    this.#context.log.warn(
      "The WAL folder holds a file that is named like a segment of timeline 0, which no server writes",
    );
  }

  /**
   * Makes the page anew and publishes it, soon: answers that come together make one page, and a page that is being
   * rendered, which takes a chain of microtasks, is not changed under way.
   */
  #republish(): void {
    this.#republishing ??= setTimeout(() => {
      this.#republishing = undefined;
      this.#fillPage();
      void this.#publish();
    }, gatheringMs);
  }

  #fillPage(): void {
    const { config, now } = this.#context;
    const known = knowledgeOf(this.#operations, config, this.#environment.WALG_PG_WAL_SIZE, now() / 1000);
    const archived = archivedWal(known);
    this.#windows = restorableWindows(this.#operations, known, archived);
    this.#series.clearGauges();
    showOperations(this.#series, this.#operations, known, this.#version);
    if (known.backups) showBackups(this.#series, known.backups, config.max_backup_series, known.nowSeconds);
    showWal(this.#series, known, archived);
    if ((known.backups?.backups.length ?? 0) > manyBackups) this.#tidyUp();
  }

  /** A page is published as soon as it is made, and the next one is made of the answers: its series need not be kept. */
  #tidyUp(): void {
    clearTimeout(this.#tidying);
    this.#tidying = setTimeout(() => {
      this.#series.clearGauges();
      Bun.gc(true);
    }, tidyAfterMs);
  }
}

/** What the log says of a failure: the message, and of a command the end of what it wrote. */
function describe(error: unknown): Record<string, string> {
  const message = error instanceof Error ? error.message : String(error);
  if (!(error instanceof RunError)) return { error: message };
  const tail = (text: string) => text.trim().slice(-500);
  return { error: message, stderr: tail(error.stderr), stdout: tail(error.stdout) };
}

async function untilAborted(promise: Promise<void>, signal: AbortSignal): Promise<void> {
  const aborted = Promise.withResolvers<never>();
  const abort = () => aborted.reject(signal.reason);
  if (signal.aborted) abort();
  signal.addEventListener("abort", abort, { once: true });
  try {
    await Promise.race([promise, aborted.promise]);
  } finally {
    signal.removeEventListener("abort", abort);
  }
}
