/** What the agent tells about itself: the status page, its JSON and the service manager's status line read this. */
import type { RestorableReason } from "../sdk/restorable.ts";

export type InstanceState =
  /** Its worker is being started, or its first collection has not ended. */
  | "starting"
  /** The last collection succeeded, or there is nothing to collect and its work goes on. */
  | "running"
  /** The last collection failed. */
  | "failing"
  /** Its worker ended; a new one starts at `nextRunAt`. */
  | "restarting"
  | "stopping";

/** What can be restored, and to when; moments are Unix seconds. */
export interface RestorableRow {
  /** Empty: the instance has failed before it told of any. */
  readonly cluster: string;
  /** The instance that tells it. */
  readonly source: string;
  readonly from: number | undefined;
  readonly to: number | undefined;
  /** Undefined: one can count on it. */
  readonly reason: RestorableReason | undefined;
  readonly detail: string | undefined;
  /** WAL without a base backup that could be seen: it claims nothing. */
  readonly walOnly: boolean;
}

/** Moments are Unix milliseconds. */
export interface InstanceStatus {
  readonly name: string;
  readonly plugin: string;
  readonly version: string | undefined;
  /** `built-in`, or the path of the plugin's file. */
  readonly source: string;
  readonly state: InstanceState;
  readonly startedAt: number;
  readonly intervalSeconds: number | undefined;
  readonly collecting: boolean;
  readonly lastSuccessAt: number | undefined;
  readonly lastDurationSeconds: number | undefined;
  readonly nextRunAt: number | undefined;
  readonly lastError: { readonly at: number; readonly reason: string; readonly message: string } | undefined;
  /** What the plugin says of itself to people, by name. */
  readonly facts: Readonly<Record<string, string>>;
  /** Why, by the plugin's word, somebody should look at it although it runs. */
  readonly problem: string | undefined;
  readonly restorable: readonly RestorableRow[];
  readonly restarts: number;
  readonly series: number;
  /** Whether `/<name>/` answers. */
  readonly hasRoutes: boolean;
  /** The instance's own address, when it has one. */
  readonly listen: string | undefined;
  /** Where the metrics are there; undefined: `/metrics`. */
  readonly metricsPath?: string | undefined;
}

export interface AgentStatus {
  readonly version: string;
  readonly revision: string;
  readonly bunVersion: string;
  readonly startedAt: number;
  readonly configFile: string;
  readonly ready: boolean;
  readonly lastReload: { readonly at: number; readonly successful: boolean; readonly message: string | undefined };
  readonly instances: readonly InstanceStatus[];
}
