/** What is known of an instance's windows, and what may still be believed of it. */
import type { RestorableReason } from "../sdk/restorable.ts";
import type { RestorableRow } from "../system/status.ts";
import type { PlainWindow, PlainWindows } from "./plain-windows.ts";

/** What the rows depend on beside the windows. */
export interface Circumstances {
  readonly instance: string;
  /** `labels.cluster` of the instance, for windows that have no name of their own. */
  readonly labelled: string | undefined;
  /** Undefined before the first collection has ended, and where there is nothing to collect. */
  readonly lastSucceeded: boolean | undefined;
  readonly lastError: string | undefined;
  readonly staleAfterSeconds: number;
  /** Unix milliseconds. */
  readonly now: number;
}

/** Outlives the worker, and a reload of the instance: what was known does not vanish, it loses its credit. */
export class KnownWindows {
  #windows: readonly PlainWindow[] = [];
  #problem: string | undefined;
  #isTold = false;
  /** Unix milliseconds of the last good answer. */
  #at = 0;

  /** @param isGood Whether the plugin spoke after a collection that succeeded, or by `publish()`. */
  hear(said: PlainWindows | undefined, isGood: boolean, now: number): void {
    if (said === undefined) {
      this.#windows = [];
      this.#isTold = false;
      this.#problem = undefined;
      return;
    }
    this.#isTold = true;
    this.#problem = said.problem;
    if (said.problem === undefined && (isGood || said.windows.length > 0)) this.#windows = said.windows;
    if (isGood && said.problem === undefined) this.#at = now;
  }

  /** Why the plugin's last answer could not be used. */
  get problem(): string | undefined {
    return this.#problem;
  }

  rows(given: Circumstances): RestorableRow[] {
    if (!this.#isTold) return [];
    const distrust = this.#distrust(given);
    // Nothing was ever told of any cluster: the failure is all that can be told, and it must not go unseen.
    if (this.#windows.length === 0 && distrust) return [{ ...nothing, ...distrust, source: given.instance }];
    return this.#windows.map(({ cluster, reason, detail, ...window }) => {
      const row = { ...window, cluster: cluster ?? given.labelled ?? given.instance, source: given.instance };
      // The plugin's own reason says more than that its collection failed; but an old one is old.
      if (distrust && (reason === undefined || distrust.reason === "stale")) return { ...row, ...distrust };
      const future = reason === undefined ? ofTheFuture(window, given.now) : undefined;
      return { ...row, reason, detail, ...future };
    });
  }

  #distrust(given: Circumstances): { reason: RestorableReason; detail: string } | undefined {
    const { lastSucceeded, lastError, staleAfterSeconds, now } = given;
    if (this.#problem !== undefined) return { reason: "collect_failed", detail: this.#problem };
    if (lastSucceeded === false) {
      return { reason: "collect_failed", detail: `The last collection failed: ${lastError ?? "see the log"}` };
    }
    const ageSeconds = (now - this.#at) / 1000;
    if (this.#windows.length === 0 || ageSeconds <= staleAfterSeconds) return undefined;
    return { reason: "stale", detail: `Nothing was heard of it for ${Math.floor(ageSeconds)} s` };
  }
}

/** Clocks of hosts and storages differ by less. */
const mostAheadSeconds = 3600;

/** Nobody can restore what has not been yet: its age would be below every threshold until then, whatever happens. */
function ofTheFuture({ from = 0, to = 0 }: Pick<PlainWindow, "from" | "to">, now: number) {
  const latest = Math.max(from, to);
  if (latest <= now / 1000 + mostAheadSeconds) return undefined;
  const detail = `It reaches to ${new Date(latest * 1000).toISOString()}, which is to come: a clock is or was wrong, here or there`;
  return { reason: "unknown", detail } as const;
}

const nothing = { cluster: "", from: undefined, to: undefined, walOnly: false };
