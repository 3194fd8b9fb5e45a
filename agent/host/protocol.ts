/** The messages between the agent and the worker of an instance. */
import type { SnapshotFamily } from "../metrics/snapshots.ts";
import type { PlainIssue } from "../sdk/issues.ts";
import type { LogFields, LogLevel } from "../sdk/log.ts";
import type { PlainStatus } from "./plain-status.ts";
import type { PlainWindows } from "./plain-windows.ts";

export type { SnapshotFamily };

/** What an instance says of itself beside its metrics. */
export interface Said {
  readonly status: PlainStatus | undefined;
  readonly windows: PlainWindows | undefined;
}

/** Where a plugin comes from: the executable, or a file. */
export type PluginSource = { readonly builtIn: string } | { readonly file: string; readonly name: string };

/** Why a collection failed: the closed list of `holdfast_collect_failures_total`. */
export type FailureReason = "spawn" | "exit" | "timeout" | "parse" | "oversize" | "exception";

/** An error that crossed the border of a worker. */
export interface Failure {
  readonly reason: FailureReason;
  readonly message: string;
}

/** How a plugin's check of one thing went, as texts. */
export interface PlainCheckResult {
  readonly what: string;
  readonly problem: string | undefined;
  readonly notes: readonly string[];
}

/** What the agent keeps of a plugin's definition. */
export interface PluginFacts {
  readonly name: string;
  readonly description: string;
  readonly version: string | undefined;
  readonly intervalSeconds: number | undefined;
  readonly timeoutSeconds: number | undefined;
}

export interface SetupRequest {
  readonly kind: "setup";
  readonly name: string;
  readonly config: unknown;
  readonly labels: Readonly<Record<string, string>>;
  /** Path at which the instance's routes are to be served. */
  readonly socket: string;
}

export type ToWorker =
  | { readonly kind: "load"; readonly source: PluginSource }
  | { readonly kind: "validate"; readonly config: unknown }
  | { readonly kind: "describe" }
  | { readonly kind: "check"; readonly name: string; readonly config: unknown }
  | SetupRequest
  | { readonly kind: "collect" }
  | { readonly kind: "abort" }
  | { readonly kind: "stop" };

export type FromWorker =
  | { readonly kind: "loaded"; readonly facts: PluginFacts }
  | { readonly kind: "validated"; readonly issues: readonly PlainIssue[] }
  | { readonly kind: "described"; readonly schema: object }
  | { readonly kind: "checked"; readonly results: readonly PlainCheckResult[] }
  | { readonly kind: "ready"; readonly collects: boolean; readonly routes: boolean }
  /** `load`, `validate`, `describe`, `check` or `setup` could not be done. */
  | { readonly kind: "refused"; readonly failure: Failure }
  | { readonly kind: "collected"; readonly families: readonly SnapshotFamily[]; readonly said: Said }
  | { readonly kind: "collect-failed"; readonly failure: Failure; readonly said: Said }
  | { readonly kind: "published"; readonly families: readonly SnapshotFamily[]; readonly said: Said }
  /** The worker is of no more use: a stray error, or work that ended by itself. */
  | { readonly kind: "broken"; readonly failure: Failure }
  | { readonly kind: "stopped" }
  | { readonly kind: "log"; readonly level: LogLevel; readonly message: string; readonly fields: LogFields }
  | { readonly kind: "spawned" | "exited"; readonly pid: number };
