/** An agent's status for pictures: some clusters, and one in trouble. */
import type { AgentStatus, InstanceStatus, RestorableRow } from "../../agent/system/status.ts";

/** Unix milliseconds. */
export const now = Date.UTC(2026, 10, 21, 14, 30);
const day = 86_400;

type Row = Partial<RestorableRow> & {
  readonly cluster: string;
  readonly fromDays?: number;
  readonly toSeconds?: number;
};

/** Moments as days and seconds before now. */
function rows(source: string, given: readonly Row[]): RestorableRow[] {
  return given.map(({ fromDays, toSeconds, ...row }) => ({
    source,
    from: fromDays === undefined ? undefined : now / 1000 - fromDays * day,
    to: toSeconds === undefined ? undefined : now / 1000 - toSeconds,
    reason: undefined,
    detail: undefined,
    walOnly: false,
    ...row,
  }));
}

function instance(given: Partial<InstanceStatus> & { readonly name: string; readonly plugin: string }): InstanceStatus {
  return {
    version: "0.1.0",
    source: "built-in",
    state: "running",
    startedAt: now - 9 * day * 1000,
    intervalSeconds: 60,
    collecting: false,
    lastSuccessAt: now - 24_000,
    lastDurationSeconds: 0.42,
    nextRunAt: now + 36_000,
    lastError: undefined,
    facts: {},
    problem: undefined,
    restorable: [],
    restarts: 0,
    series: 120,
    hasRoutes: false,
    listen: undefined,
    ...given,
  };
}

export const shownStatus: AgentStatus = {
  version: "0.1.0",
  revision: "4f2a9c1d07be",
  bunVersion: "1.4.5",
  startedAt: now - 9 * day * 1000,
  configFile: "/etc/holdfast/holdfast.yml",
  ready: true,
  lastReload: { at: now - 2 * 3_600_000, successful: true, message: undefined },
  instances: [
    instance({
      name: "barman",
      plugin: "barman",
      lastDurationSeconds: 2.31,
      series: 412,
      restorable: rows("barman", [
        { cluster: "billing", fromDays: 28.4, toSeconds: 190 },
        { cluster: "shop", fromDays: 14.1, toSeconds: 75 },
      ]),
    }),
    instance({
      name: "wal-g",
      plugin: "walg",
      lastDurationSeconds: 1.18,
      series: 236,
      restorable: rows("wal-g", [
        {
          cluster: "warehouse",
          fromDays: 21.2,
          toSeconds: 5.3 * day,
          reason: "wal_gap",
          detail: "WAL is missing since the newest backup, 3 segments: take a new one",
        },
      ]),
    }),
    instance({
      name: "receiver",
      plugin: "pgrwl",
      intervalSeconds: 5,
      lastSuccessAt: now - 3000,
      nextRunAt: now + 2000,
      lastDurationSeconds: 0.004,
      series: 118,
      hasRoutes: true,
      facts: { Receiver: "streaming", Server: "PostgreSQL 18.1", Slot: "holdfast", Lag: "0 B" },
      restorable: rows("receiver", [{ cluster: "orders", fromDays: 7, toSeconds: 0 }]),
    }),
    instance({
      name: "snapshots",
      plugin: "prombackup",
      series: 44,
      hasRoutes: true,
      restorable: rows("snapshots", [{ cluster: "prometheus:9090", fromDays: 15, toSeconds: 0.41 * day }]),
    }),
  ],
};
