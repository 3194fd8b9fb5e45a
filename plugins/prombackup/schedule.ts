/** What happens by itself: pruning, and backups. */
import type { Backups } from "./backups.ts";
import type { Keep } from "./retention.ts";
import type { Server } from "./server.ts";
import type { BackupSettings, Retention, Settings } from "./settings.ts";
import { messageOf } from "./state.ts";

/** Timers above 24.8 days fire at once. */
const longestWaitMs = 86_400_000;
const retryMs = 15 * 60_000;

export class Schedule {
  readonly #server: Server;
  readonly #backups: Backups | undefined;
  readonly #random: () => number;

  constructor(server: Server, backups: Backups | undefined, random: () => number = Math.random) {
    this.#server = server;
    this.#backups = backups;
    this.#random = random;
  }

  /** Runs until the signal is aborted. */
  async run(signal: AbortSignal): Promise<void> {
    const { autoprune, backup } = this.#server.deps.settings;
    const stopped = new Promise<void>((resolve) => {
      if (signal.aborted) resolve();
      signal.addEventListener("abort", () => resolve(), { once: true });
    });
    const work = [stopped];
    if (autoprune) work.push(this.#autoprune(autoprune, signal));
    if (backup && this.#backups) work.push(this.#keepBackups(backup, this.#backups, signal));
    await Promise.all(work);
  }

  /** First after a tenth of the interval, then after each; a tenth more or less, so that many hosts do not meet. */
  async #autoprune(rules: NonNullable<Settings["autoprune"]>, signal: AbortSignal): Promise<void> {
    for (let interval = rules.interval / 10; ; interval = rules.interval) {
      const ms = Math.max(1000, interval * 1000 * (0.9 + 0.2 * this.#random()));
      if (!(await wait(ms, signal))) return;
      await this.#server.prune({ keep: keepOf(rules), keepNewest: true }, "autoprune").catch((error: unknown) => {
        this.#server.deps.log.error("Cannot prune", { error: messageOf(error) });
      });
    }
  }

  async #keepBackups(settings: BackupSettings, backups: Backups, signal: AbortSignal): Promise<void> {
    for (;;) {
      if (!(await wait(this.#untilNext(settings), signal))) return;
      await this.backUp(settings, backups, signal).catch((error: unknown) => {
        if (!signal.aborted) this.#server.deps.log.error("Backup failed", { error: messageOf(error) });
      });
    }
  }

  /** What was missed while nothing ran is done at once; what failed is tried again in a while, not in a day. */
  #untilNext({ every, jitter }: BackupSettings): number {
    const { state, now } = this.#server.deps;
    const success = state.time("uploadSuccess");
    const attempt = state.time("uploadAttempt");
    const due = success === undefined ? 0 : success + every * 1000;
    const retry = attempt === undefined || attempt <= (success ?? 0) ? 0 : attempt + Math.min(retryMs, every * 1000);
    // A clock that was set back must not delay a backup by more than one interval.
    const ms = Math.min(Math.max(due, retry) - now(), every * 1000);
    return Math.max(0, ms) + jitter * 1000 * this.#random();
  }

  /** One backup: snapshot, verification, target, retention. @throws {Error} What failed; it is counted. */
  async backUp(settings: BackupSettings, backups: Backups, signal: AbortSignal): Promise<void> {
    const { state, series, log, now } = this.#server.deps;
    const target = backups.kind;
    state.mark("uploadAttempt", now());
    const startedAt = performance.now();
    try {
      const name = await this.#server.takeSnapshot(settings.skip_head, "schedule");
      if (settings.verify) {
        const verified = await this.#server.verifications.verify(name, signal);
        if (!verified?.ok) throw new Error(`${name} is damaged or empty: it does not replace an earlier backup`);
      }
      const result = await backups.store(name, settings.verify, signal);
      series.count("prombackup_server_uploads_total", { target, result: "success" });
      state.mark("uploadSuccess", now());
      log.info("Backup complete", {
        snapshot: name,
        target,
        files: result.files,
        new_files: result.newFiles,
        new_bytes: result.newBytes,
        duration_seconds: (performance.now() - startedAt) / 1000,
      });
      if (settings.remove_snapshot) await this.#server.remove(name);
    } catch (error) {
      series.count("prombackup_server_uploads_total", { target, result: "error" });
      throw error;
    }
    const keep = keepOf(settings.retention);
    if (Object.values(keep).every((rule) => rule === undefined)) return;
    const forgotten = await backups.forget(keep);
    if (forgotten > 0) log.info("Old backups removed", { target, backups: forgotten });
  }
}

export function keepOf(rules: Retention): Keep {
  return {
    withinMs: rules.keep_within === undefined ? undefined : rules.keep_within * 1000,
    last: rules.keep_last,
    daily: rules.keep_daily,
    weekly: rules.keep_weekly,
    monthly: rules.keep_monthly,
  };
}

/** @returns False where the signal was aborted first. */
async function wait(milliseconds: number, signal: AbortSignal): Promise<boolean> {
  for (let left = milliseconds; left > 0 && !signal.aborted; left -= longestWaitMs) {
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, Math.min(left, longestWaitMs));
    const stop = () => resolve();
    signal.addEventListener("abort", stop, { once: true });
    await promise;
    clearTimeout(timer);
    signal.removeEventListener("abort", stop);
  }
  return !signal.aborted;
}
