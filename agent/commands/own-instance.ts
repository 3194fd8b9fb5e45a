/** An instance as the agent's own metrics tell of it. */
import type { Instance } from "../host/instance.ts";
import type { OwnInstance } from "../metrics/own.ts";

export function ownInstance(instance: Instance): OwnInstance {
  const { config, history, collects } = instance;
  const { version, source, restorable } = instance.status();
  return {
    name: config.name,
    plugin: config.plugin,
    version,
    source,
    collects,
    lastSucceeded: history.lastSucceeded,
    lastDurationSeconds: history.lastDurationSeconds,
    lastSuccessAt: history.lastSuccessAt,
    collectSuccesses: history.collects.success,
    collectFailures: history.collects.failure,
    failures: history.failures,
    restarts: history.restarts,
    restorable,
  };
}
