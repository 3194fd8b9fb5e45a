/** What the server can do, whoever asks: its routes, its page or its schedule. */
import { stat } from "node:fs/promises";
import { join } from "node:path";
import type { Log } from "holdfast";
import { isDownloadName } from "../common/tsdb/snapshot-name.ts";
import { Downloads } from "./downloads.ts";
import { goQuote } from "./go-text.ts";
import { Holds } from "./holds.ts";
import { LongReads } from "./long-reads.ts";
import { Prometheus } from "./prometheus.ts";
import { type PruneOptions, type PruneReport, Pruning } from "./pruning.ts";
import type { Series } from "./series.ts";
import type { Settings } from "./settings.ts";
import { type SnapshotInfo, SnapshotStore } from "./snapshot-store.ts";
import type { State } from "./state.ts";
import { Verifications } from "./verifications.ts";

export interface ServerDeps {
  readonly instance: string;
  readonly settings: Settings;
  readonly state: State;
  readonly series: Series;
  readonly log: Log;
  readonly signal: AbortSignal;
  now(): number;
}

/** No snapshot was taken; the message is one line for the client. */
export class SnapshotError extends Error {
  override readonly name = "SnapshotError";
}

export interface ListedSnapshot extends SnapshotInfo {
  readonly inUse: boolean;
  readonly verified: "unknown" | "right" | "damaged";
  readonly problems: readonly string[];
}

export class Server {
  readonly deps: ServerDeps;
  readonly store: SnapshotStore;
  readonly prometheus: Prometheus;
  readonly holds = new Holds();
  readonly downloads: Downloads;
  readonly verifications: Verifications;
  readonly longReads = new LongReads();
  readonly #pruning: Pruning;
  /** When each unfinished request for a snapshot began, Unix milliseconds. */
  readonly #writing = new Set<{ readonly since: number }>();
  /** Of when the newest verified backup in a target is, Unix milliseconds; the targets know. */
  verifiedElsewhereMs: () => number | undefined = () => undefined;

  constructor(deps: ServerDeps) {
    const { settings, state, now } = deps;
    this.deps = deps;
    this.store = new SnapshotStore(settings.snapshot_dir);
    this.prometheus = new Prometheus(settings.prometheus);
    this.downloads = new Downloads(state, now, settings.hold_after_failure * 1000);
    this.verifications = new Verifications({ ...deps, store: this.store, holds: this.holds });
    this.#pruning = new Pruning({
      store: this.store,
      downloads: this.downloads,
      now,
      isVerified: (snapshot) => this.verifications.of(snapshot)?.ok === true,
      verifiedElsewhereMs: () => this.verifiedElsewhereMs(),
      writingSince: () =>
        [...this.#writing].reduce<number | undefined>((least, { since }) => Math.min(least ?? since, since), undefined),
      isHeld: (name) => this.holds.isHeld(name),
    });
  }

  /** @returns The snapshot's name; it is in the folder. @throws {SnapshotError} */
  async takeSnapshot(skipHead: boolean, trigger: "api" | "schedule"): Promise<string> {
    const { series, state, log, now } = this.deps;
    const since = now();
    const writing = { since };
    this.#writing.add(writing);
    state.mark("snapshotAttempt", since);
    const startedAt = performance.now();
    try {
      // Not with the client's signal: Prometheus would finish it all the same, and nobody would know its name.
      const name = await this.prometheus.takeSnapshot(skipHead).catch((cause: Error) => {
        throw new SnapshotError(`Creating snapshot failed: ${cause.message}`, { cause });
      });
      if (!isDownloadName(name)) throw new SnapshotError(`invalid snapshot name: ${goQuote(name)}`);
      await this.#checkShared(name);
      series.observe("prombackup_server_snapshot_duration_seconds", (performance.now() - startedAt) / 1000);
      series.count("prombackup_server_snapshots_total", { trigger, result: "success" });
      state.mark("snapshotSuccess", now());
      log.info("Snapshot taken", { snapshot: name, skip_head: skipHead, trigger });
      return name;
    } catch (error) {
      series.count("prombackup_server_snapshots_total", { trigger, result: "error" });
      log.error("Cannot take a snapshot", { trigger, error: error instanceof Error ? error.message : String(error) });
      throw error;
    } finally {
      this.#writing.delete(writing);
    }
  }

  /** @throws {SnapshotError} Prometheus wrote it to another folder than ours. */
  async #checkShared(name: string): Promise<void> {
    const { snapshot_dir: folder } = this.deps.settings;
    const isThere = await stat(join(folder, name)).then(
      (found) => found.isDirectory(),
      () => false,
    );
    if (isThere) return;
    const flags = await this.prometheus.flags().catch(() => undefined);
    const where = flags?.storagePath === undefined ? "its --storage.tsdb.path" : JSON.stringify(flags.storagePath);
    throw new SnapshotError(
      `Creating snapshot failed: Prometheus made ${name}, but it is not in snapshot_dir: set that to the folder snapshots in ${where}, as this machine sees it`,
    );
  }

  async prune(options: PruneOptions, trigger: "api" | "autoprune" | "backup"): Promise<PruneReport> {
    const { series, log } = this.deps;
    let report: PruneReport;
    try {
      report = await this.#pruning.run(options);
    } catch (error) {
      series.count("prombackup_server_prune_runs_total", { trigger, result: "error" });
      throw error;
    }
    if (report.dryRun) return report;
    const result = report.failed.length === 0 ? "success" : "error";
    series.count("prombackup_server_prune_runs_total", { trigger, result });
    series.count("prombackup_server_pruned_snapshots_total", {}, report.removed.length);
    for (const { reason } of report.skipped) series.count("prombackup_server_prune_skipped_total", { reason });
    for (const { name, error } of report.failed) log.error("Cannot remove a snapshot", { snapshot: name, error });
    for (const name of report.removed) log.info("Snapshot removed", { snapshot: name, trigger });
    return report;
  }

  /** @returns False where there is none, or something reads it. @throws {Error} It cannot be removed. */
  async remove(name: string): Promise<"removed" | "missing" | "in_use"> {
    if (!(await this.store.names()).includes(name)) return "missing";
    if (this.downloads.isInUse(name) || this.holds.isHeld(name)) return "in_use";
    this.store.takeOut(name);
    const failed = (await this.store.sweep()).find((one) => one.name === name);
    if (failed) throw failed.error;
    this.deps.series.count("prombackup_server_pruned_snapshots_total");
    this.deps.log.info("Snapshot removed", { snapshot: name, trigger: "api" });
    return "removed";
  }

  /** The newest first. */
  async list(): Promise<ListedSnapshot[]> {
    const all = await this.store.all();
    return all.reverse().map((info) => {
      const known = this.verifications.of(info);
      return {
        ...info,
        inUse: this.downloads.isInUse(info.name) || this.holds.isHeld(info.name),
        verified: known === undefined ? "unknown" : known.ok ? "right" : "damaged",
        problems: known?.problems ?? [],
      };
    });
  }
}
