/** An agent's status with an instance in each state. */
import type { AgentStatus, InstanceStatus } from "../../../agent/system/status.ts";

export const now = Date.UTC(2026, 10, 21, 8, 30);

export function instance(given: Partial<InstanceStatus>): InstanceStatus {
  return {
    name: "walg",
    plugin: "walg",
    version: "0.1.0",
    source: "built-in",
    state: "running",
    startedAt: now - 7_200_000,
    intervalSeconds: 60,
    collecting: false,
    lastSuccessAt: now - 42_000,
    lastDurationSeconds: 0.4183,
    nextRunAt: now + 18_000,
    lastError: undefined,
    facts: {},
    problem: undefined,
    restorable: [],
    restarts: 0,
    series: 128,
    hasRoutes: false,
    listen: undefined,
    ...given,
  };
}

export const status: AgentStatus = {
  version: "0.1.0",
  revision: "ef6841e",
  bunVersion: "1.4.5",
  startedAt: now - 9 * 86_400_000 - 4 * 3_600_000,
  configFile: "/etc/holdfast/holdfast.yml",
  ready: true,
  lastReload: { at: now - 7_200_000, successful: true, message: undefined },
  instances: [
    instance({ hasRoutes: true }),
    instance({
      name: "archive",
      plugin: "pgrwl",
      intervalSeconds: undefined,
      lastSuccessAt: undefined,
      lastDurationSeconds: undefined,
      nextRunAt: undefined,
      listen: ":7070",
      series: 24,
      facts: { Receiver: "streaming", Flushed: "0/3000148 on timeline 1", Lag: "0 B" },
    }),
    instance({
      name: "barman-main",
      plugin: "barman",
      state: "failing",
      lastSuccessAt: now - 900_000,
      lastDurationSeconds: 30.002,
      lastError: {
        at: now - 20_000,
        reason: "exit",
        message:
          "Command failed: barman -f json list-backups main: exit code 1\nERROR: Unknown server 'main'. Specify --all if you want to include all servers",
      },
      series: 3211,
    }),
    instance({
      name: "spool",
      plugin: "spool",
      version: undefined,
      source: "/etc/holdfast/plugins/spool.ts",
      state: "restarting",
      restarts: 3,
      series: 0,
      nextRunAt: now + 8_000,
      lastError: { at: now - 2000, reason: "timeout", message: "No answer within 30 s" },
    }),
    instance({
      name: "prometheus",
      plugin: "prombackup",
      lastError: { at: now - 3_600_000, reason: "spawn", message: 'Cannot run "prombackup": no such file' },
    }),
    instance({ name: "timescale", plugin: "timescale", state: "starting", lastSuccessAt: undefined, series: 0 }),
  ],
};
