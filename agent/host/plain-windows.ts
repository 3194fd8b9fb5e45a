/** What a plugin's `restorable()` gives, as a message can carry it and the metrics can bear it: it may be anything, or throw. */
import type { PluginInstance } from "../sdk/plugin.ts";
import { type RestorableReason, restorableReasons } from "../sdk/restorable.ts";
import { messageOf } from "./failures.ts";

/** A window as the plugin told it; `cluster` undefined: the agent names it. */
export interface PlainWindow {
  readonly cluster: string | undefined;
  readonly from: number | undefined;
  readonly to: number | undefined;
  readonly reason: RestorableReason | undefined;
  readonly detail: string | undefined;
  readonly walOnly: boolean;
}

export interface PlainWindows {
  /** Each cluster once. */
  readonly windows: readonly PlainWindow[];
  /** Why what the plugin gave cannot be used; then there are no windows. */
  readonly problem: string | undefined;
}

const mostWindows = 1_000;
const longestCluster = 200;
const longestDetail = 500;
/** The end of the year 9999; milliseconds of these days are beyond. */
const mostSeconds = 253_402_300_799;

/** Undefined without a `restorable()`. */
export function plainWindows(instance: PluginInstance): PlainWindows | undefined {
  if (instance.restorable === undefined) return undefined;
  try {
    return { windows: windowsOf(instance.restorable()), problem: undefined };
  } catch (error) {
    return { windows: [], problem: `The plugin's restorable() failed: ${messageOf(error)}`.slice(0, 2_000) };
  }
}

/** Windows without the instance's secrets. */
export function redactedWindows(said: PlainWindows, redact: (text: string) => string): PlainWindows {
  const windows = said.windows.map((window) => ({
    ...window,
    cluster: window.cluster && redact(window.cluster),
    detail: window.detail && redact(window.detail),
  }));
  return { windows, problem: said.problem && redact(said.problem) };
}

/** @throws {TypeError} It is no list of windows. */
function windowsOf(given: unknown): PlainWindow[] {
  // Nobody waits for a promise; its rejection must not end the worker.
  if (given instanceof Promise) given.catch(() => {});
  if (!Array.isArray(given)) throw new TypeError(`expected a list of windows, found ${shown(given)}`);
  if (given.length > mostWindows) {
    throw new TypeError(`expected at most ${mostWindows} windows, found ${given.length}`);
  }
  const windows = given.map(windowOf);
  const clusters = new Set<string | undefined>();
  for (const { cluster } of windows) {
    if (clusters.has(cluster)) throw new TypeError(`expected one window a cluster, found two of ${shown(cluster)}`);
    clusters.add(cluster);
  }
  return windows;
}

function windowOf(given: unknown): PlainWindow {
  if (typeof given !== "object" || given === null) throw new TypeError(`expected a window, found ${shown(given)}`);
  const { cluster, from, to, reason, detail, walOnly } = given as Record<string, unknown>;
  const name = cluster ?? undefined;
  if (name !== undefined && (typeof name !== "string" || name === "")) {
    throw new TypeError(`expected a name as the cluster, found ${shown(name)}`);
  }
  return {
    cluster: name?.slice(0, longestCluster),
    from: moment("from", from),
    to: moment("to", to),
    reason: reasonOf(reason ?? undefined),
    detail: detail === undefined || detail === null ? undefined : String(detail).slice(0, longestDetail),
    walOnly: walOnly === true,
  };
}

function moment(what: string, given: unknown): number | undefined {
  if (given === undefined || given === null) return undefined;
  if (typeof given === "number" && given >= 0 && given <= mostSeconds) return given;
  throw new TypeError(`expected Unix seconds as ${what}, found ${shown(given)}`);
}

function reasonOf(given: unknown): RestorableReason | undefined {
  if (given === undefined) return undefined;
  const reason = restorableReasons.find((one) => one === given);
  if (reason !== undefined) return reason;
  throw new TypeError(`expected one of ${restorableReasons.join(", ")} as the reason, found ${shown(given)}`);
}

function shown(value: unknown): string {
  if (value instanceof Promise) return "a promise";
  if (typeof value === "string") return JSON.stringify(value.slice(0, 100));
  if (typeof value === "number" || value === undefined || value === null) return String(value);
  return Array.isArray(value) ? "a list" : typeof value === "object" ? "an object" : `a ${typeof value}`;
}
