import type { Snapshots } from "../metrics/snapshots.ts";
import type { Log, LogFields } from "../sdk/log.ts";
import type { Repeats } from "../system/repeats.ts";
import type { PluginWorker } from "./plugin-worker.ts";
import type { PluginFacts } from "./protocol.ts";

/** What an instance needs of the agent. */
export interface InstanceDependencies {
  readonly snapshots: Snapshots;
  /** A log whose lines carry the fields given and none of the secrets. */
  createLog(fields: LogFields, secrets: readonly string[]): Log;
  readonly repeats: Repeats;
  /** A new path at which a worker may serve the instance's routes. */
  socketPath(): string;
  reap(pid: number): boolean;
  /** Told when the agent's own metrics of the instance have changed. */
  changed(): void;
}

/** A plugin's worker that has loaded its plugin and waits for its setup. */
export interface Prepared {
  readonly worker: PluginWorker;
  readonly facts: PluginFacts;
}
