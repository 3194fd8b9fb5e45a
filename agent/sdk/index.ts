/** What a plugin author imports as `holdfast`. */
export { z } from "zod";
export { ClientGoneError, type DirectAnswer, type DirectClient, type RouteEnv } from "./direct.ts";
export type { Log, LogFields, LogLevel } from "./log.ts";
export type { Metrics } from "./metrics.ts";
export {
  type CheckContext,
  type CheckResult,
  type CollectContext,
  definePlugin,
  type Plugin,
  type PluginInstance,
  type PluginStatus,
  type SetupContext,
} from "./plugin.ts";
export { type Recording, type Replay, replay } from "./replay.ts";
export { type RestorableReason, type RestorableWindow, restorableReasons } from "./restorable.ts";
export { createRun, type Run, RunError, type RunErrorReason, type RunOptions, type RunResult } from "./run.ts";
export { type LogLine, type TestInstance, type TestOptions, testPlugin } from "./testing.ts";
export {
  type Address,
  address,
  duration,
  formatAddress,
  parseAddress,
  parseDuration,
  parseSize,
  size,
} from "./units.ts";
