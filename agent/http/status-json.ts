/** `/api/v1/status`: what the status page shows, for programs. */
import type { AgentStatus, InstanceStatus, RestorableRow } from "../system/status.ts";

/**
 * Keys in snake_case, moments as ISO 8601 in UTC, durations in seconds, null for what is not known or does not apply.
 * Keys may be added; those that there are keep their meaning.
 */
export function statusJson(status: AgentStatus) {
  return {
    version: status.version,
    revision: status.revision,
    bun_version: status.bunVersion,
    started_at: iso(status.startedAt),
    config_file: status.configFile,
    ready: status.ready,
    last_reload: {
      at: iso(status.lastReload.at),
      successful: status.lastReload.successful,
      message: status.lastReload.message ?? null,
    },
    instances: status.instances.map(instanceJson),
  };
}

function instanceJson(instance: InstanceStatus) {
  const { lastError } = instance;
  return {
    name: instance.name,
    plugin: instance.plugin,
    version: instance.version ?? null,
    source: instance.source,
    state: instance.state,
    started_at: iso(instance.startedAt),
    interval_seconds: instance.intervalSeconds ?? null,
    collecting: instance.collecting,
    last_success_at: iso(instance.lastSuccessAt),
    last_duration_seconds: instance.lastDurationSeconds ?? null,
    next_run_at: iso(instance.nextRunAt),
    last_error: lastError ? { at: iso(lastError.at), reason: lastError.reason, message: lastError.message } : null,
    facts: instance.facts,
    problem: instance.problem ?? null,
    restorable: instance.restorable.map(rowJson),
    restarts: instance.restarts,
    series: instance.series,
    has_routes: instance.hasRoutes,
    listen: instance.listen ?? null,
  };
}

function rowJson({ cluster, from, to, reason, detail, walOnly }: RestorableRow) {
  return {
    cluster,
    restorable: walOnly ? null : reason === undefined,
    reason: reason ?? null,
    from: iso(from === undefined ? undefined : from * 1000),
    to: iso(to === undefined ? undefined : to * 1000),
    detail: detail ?? null,
    wal_only: walOnly,
  };
}

/** A moment of the host's clock as a text; null where there is none, or none that a calendar has. */
export function iso(unixMs: number | undefined): string | null {
  if (unixMs === undefined || Math.abs(unixMs) > 8.64e15 || Number.isNaN(unixMs)) return null;
  return new Date(unixMs).toISOString();
}
