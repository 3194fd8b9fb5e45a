/** What happens by itself: pruning, and backups. */
import { backUp } from "./backups.ts";
import type { Keep } from "./retention.ts";
import type { Server } from "./server.ts";
import type { BackupSettings, Retention, Settings } from "./settings.ts";
import { type Moment, messageOf } from "./state.ts";
import type { Target } from "./target.ts";

/** Timers above 24.8 days fire at once. */
const longestWaitMs = 86_400_000;
const retryMs = 15 * 60_000;
const refreshMs = 3_600_000;

export class Schedule {
  readonly #server: Server;
  readonly #targets: readonly Target[];
  readonly #random: () => number;
  /** When the next backup begins, Unix milliseconds; undefined where there is no schedule, or before it runs. */
  nextBackupAt: number | undefined;

  constructor(server: Server, targets: readonly Target[], random: () => number = Math.random) {
    this.#server = server;
    this.#targets = targets;
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
    if (backup) work.push(this.#keepBackups(backup, signal), this.#watchTargets(signal));
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

  /** A target that cannot be read should be heard of before the next backup is due. */
  async #watchTargets(signal: AbortSignal): Promise<void> {
    const { state } = this.#server.deps;
    do {
      // Where there is no backup yet, there may be no folder yet.
      const used = this.#targets.filter(({ name }) => state.time(`uploadSuccess:${name}`) !== undefined);
      await Promise.all(used.map((target) => target.refresh(signal)));
    } while (await wait(refreshMs, signal));
  }

  async #keepBackups(settings: BackupSettings, signal: AbortSignal): Promise<void> {
    for (;;) {
      const due = Math.min(...this.#targets.map(({ name }) => this.#untilDue(settings, name)));
      const ms = due + settings.jitter * 1000 * this.#random();
      this.nextBackupAt = this.#server.deps.now() + ms;
      if (!(await wait(ms, signal))) return;
      // Those that are due soon come along: after a failure of one, all go on with one snapshot.
      const wanting = this.#targets.filter(({ name }) => this.#untilDue(settings, name) <= (settings.every * 1000) / 2);
      if (wanting.length === 0) {
        this.#server.deps.log.info("The clock was set back: no backup is due yet");
        continue;
      }
      await this.#backUp(settings, wanting, signal).catch((error: unknown) => {
        if (!signal.aborted) this.#server.deps.log.error("Backup failed", { error: messageOf(error) });
      });
    }
  }

  /** What was missed while nothing ran is done at once; what failed is tried again in a while, not in a day. Milliseconds. */
  #untilDue({ every }: BackupSettings, target: string): number {
    const now = this.#server.deps.now();
    const success = this.#past(`uploadSuccess:${target}`, now);
    const attempt = this.#past(`uploadAttempt:${target}`, now);
    const due = success === undefined ? 0 : success + every * 1000;
    const retry = attempt === undefined || attempt <= (success ?? 0) ? 0 : attempt + Math.min(retryMs, every * 1000);
    return Math.max(0, Math.max(due, retry) - now);
  }

  /** A moment of the future is of a clock that was set back since: waiting for it could take years. */
  #past(moment: Moment, now: number): number | undefined {
    const at = this.#server.deps.state.time(moment);
    return at !== undefined && at <= now ? at : undefined;
  }

  /** One snapshot, verified, to each of the targets. @throws {Error} There is no snapshot, or it is damaged. */
  async #backUp(settings: BackupSettings, targets: readonly Target[], signal: AbortSignal): Promise<void> {
    const { state, now } = this.#server.deps;
    for (const { name } of targets) state.mark(`uploadAttempt:${name}`, now());
    let snapshot: string;
    try {
      snapshot = await this.#verifiedSnapshot(settings, signal);
    } catch (error) {
      if (!signal.aborted) for (const { name } of targets) this.#failed(name);
      throw error;
    }
    let failures = 0;
    for (const target of targets) {
      if (!(await this.#bring(snapshot, settings, target, signal))) failures++;
    }
    if (!settings.remove_snapshot) return;
    // A snapshot that not all targets took stays until the next one does better: it may be the last that was verified.
    await this.#clear(state.value.leftBehind.filter((name) => name !== snapshot || failures === 0));
  }

  /** Removes what the schedule took and has no more use for. Never throws: what stays is tried again after the next backup. */
  async #clear(unwanted: readonly string[]): Promise<void> {
    const { state, log } = this.#server.deps;
    const left = state.value.leftBehind.filter((name) => !unwanted.includes(name));
    for (const name of unwanted) {
      try {
        if ((await this.#server.remove(name)) === "in_use") left.push(name);
      } catch (error) {
        log.error("Cannot remove a snapshot", { snapshot: name, error: messageOf(error) });
        left.push(name);
      }
    }
    state.value.leftBehind = left;
    state.save();
  }

  async #verifiedSnapshot(settings: BackupSettings, signal: AbortSignal): Promise<string> {
    const name = await this.#server.takeSnapshot(settings.skip_head, "schedule");
    if (settings.remove_snapshot) {
      // Known before anything is done with it: what ends in a crash is removed after the next backup.
      const { state } = this.#server.deps;
      state.value.leftBehind.push(name);
      state.save();
    }
    const { verifications, store } = this.#server;
    const verified = settings.verify ? await verifications.verify(name, signal) : undefined;
    // One that is empty would take the place of one that has what was lost.
    const isGood = settings.verify ? verified?.ok : (await store.info(name))?.blocks !== 0;
    if (isGood) return name;
    if (settings.remove_snapshot) await this.#clear([name]);
    const [problem] = verified?.report.problems ?? [];
    const found = problem
      ? `it is damaged: ${problem.file}: ${problem.check}: ${problem.found}`
      : "there is no block in it";
    throw new Error(`Cannot keep ${name}: ${found}; earlier backups stay`);
  }

  /** @returns Whether the target has the snapshot now; why not is logged. */
  async #bring(snapshot: string, settings: BackupSettings, target: Target, signal: AbortSignal): Promise<boolean> {
    const { state, series, log, now } = this.#server.deps;
    const startedAt = performance.now();
    try {
      if (state.time(`uploadSuccess:${target.name}`) === undefined) await target.check(signal);
      const what = { name: snapshot, verified: settings.verify };
      const { files, newFiles, newBytes } = await backUp(this.#server, target, what, signal);
      series.count("prombackup_server_uploads_total", { target: target.name, result: "success" });
      state.mark(`uploadSuccess:${target.name}`, now());
      log.info("Backup complete", {
        snapshot,
        target: target.name,
        files,
        new_files: newFiles,
        new_bytes: newBytes,
        duration_seconds: (performance.now() - startedAt) / 1000,
      });
    } catch (error) {
      if (!signal.aborted) this.#failed(target.name);
      if (!signal.aborted) log.error("Backup failed", { snapshot, target: target.name, error: messageOf(error) });
      return false;
    }
    await this.#forget(target, signal);
    await target.refresh(signal);
    return true;
  }

  #failed(target: string): void {
    const { series, state, now } = this.#server.deps;
    series.count("prombackup_server_uploads_total", { target, result: "error" });
    state.mark(`uploadFailure:${target}`, now());
  }

  async #forget(target: Target, signal: AbortSignal): Promise<void> {
    const { log } = this.#server.deps;
    const keep = keepOf(target.settings.retention);
    const isAll = Object.values(keep).every((rule) => rule === undefined);
    try {
      const backups = await target.forget(isAll ? undefined : keep, signal);
      if (backups > 0) log.info("Old backups removed", { target: target.name, backups });
    } catch (error) {
      if (!signal.aborted) log.error("Cannot remove old backups", { target: target.name, error: messageOf(error) });
    }
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
