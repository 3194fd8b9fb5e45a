/** Verifies snapshots in the folder, one at a time, and remembers which state of which was found right. */
import type { Log } from "holdfast";
import { snapshotFolder } from "../common/tsdb/block-files.ts";
import { type SnapshotReport, verifySnapshot } from "../common/tsdb/verify.ts";
import type { Holds } from "./holds.ts";
import type { Series } from "./series.ts";
import type { SnapshotInfo, SnapshotStore } from "./snapshot-store.ts";
import type { State, Verification } from "./state.ts";

export interface VerifiedSnapshot {
  readonly info: SnapshotInfo;
  readonly report: SnapshotReport;
  readonly ok: boolean;
}

export class Verifications {
  readonly #store: SnapshotStore;
  readonly #state: State;
  readonly #holds: Holds;
  readonly #series: Series;
  readonly #log: Log;
  readonly #now: () => number;
  #last: Promise<unknown> = Promise.resolve();
  /** Those that have not begun, by snapshot. */
  readonly #waiting = new Map<string, Promise<VerifiedSnapshot | undefined>>();

  constructor(deps: { store: SnapshotStore; state: State; holds: Holds; series: Series; log: Log; now: () => number }) {
    this.#store = deps.store;
    this.#state = deps.state;
    this.#holds = deps.holds;
    this.#series = deps.series;
    this.#log = deps.log;
    this.#now = deps.now;
  }

  /** What is known of the snapshot as it is now. */
  of(info: SnapshotInfo): Verification | undefined {
    const known = this.#state.value.verifications[info.name];
    return known?.state === info.state ? known : undefined;
  }

  /** @returns Undefined where there is no such snapshot. @throws {Error} It cannot be listed, or the signal was aborted. */
  verify(name: string, signal: AbortSignal): Promise<VerifiedSnapshot | undefined> {
    // It will see what the one sees that is asked for now.
    const waiting = this.#waiting.get(name);
    if (waiting) return waiting;
    const mine = this.#last.then(() => {
      this.#waiting.delete(name);
      return this.#verify(name, signal);
    });
    this.#waiting.set(name, mine);
    // Two at once would only take the disk from each other.
    this.#last = mine.catch(() => {});
    return mine;
  }

  async #verify(name: string, signal: AbortSignal): Promise<VerifiedSnapshot | undefined> {
    using _ = this.#holds.hold(name);
    const info = await this.#store.info(name);
    if (!info) return undefined;
    const report = await verifySnapshot(await snapshotFolder(`${this.#store.folder}/${name}`), signal);
    // An empty snapshot is no damage; it is no backup either.
    const ok = report.problems.length === 0 && report.blocks.length > 0;
    const problems = [
      ...report.problems.map(({ file, check, found }) => `${file}: ${check}: ${found}`),
      ...report.warnings,
    ];
    this.#remember(name, { state: info.state, at: this.#now(), ok, problems });
    this.#series.count("prombackup_server_verifications_total", { result: ok ? "success" : "error" });
    if (ok) this.#state.mark("verificationSuccess", this.#now());
    else {
      const fields = { snapshot: name, problems: report.problems.length, first: problems[0] };
      this.#log.error("A snapshot is damaged or empty", fields);
    }
    return { info, report, ok };
  }

  #remember(name: string, verification: Verification): void {
    this.#state.value.verifications[name] = verification;
    this.#state.save();
  }

  /** Forgets what is no longer in the folder. An empty one may be a disk that is not there: what was verified is needed again. */
  keepOnly(names: readonly string[]): void {
    if (names.length === 0) return;
    const known = this.#state.value.verifications;
    const present = new Set(names);
    const gone = Object.keys(known).filter((name) => !present.has(name));
    for (const name of gone) delete known[name];
    if (gone.length > 0) this.#state.save();
  }
}
