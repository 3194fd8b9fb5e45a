import { type AlertCase, hoursAgo } from "../alert-case.ts";

const restorable = 'instance="a",cluster="main",source="wal"';
const labels = { instance: "a", cluster: "main", source: "wal" };
/** The other host of a fleet with one configuration: its cluster and its source have the same names, and all is well there. */
const elsewhere = 'instance="b",cluster="main",source="wal"';
const up = 'up{job="holdfast",instance="a"}';
const main = 'instance="a",name="main"';

export const restorableCases: readonly AlertCase[] = [
  {
    alert: "HoldfastNotRestorable",
    // The reason changes meanwhile; that must not begin the wait anew.
    fires: [
      `holdfast_restorable{${restorable},reason="no_backup"} 0 0 0 0 stale`,
      `holdfast_restorable{${restorable},reason="gap"} _ _ _ _ 0x60`,
      `holdfast_restorable{${elsewhere},reason=""} 1`,
    ],
    labels,
    quiet: [[`holdfast_restorable{${restorable},reason=""} 1`]],
  },
  {
    alert: "HoldfastRestorableToOldMoment",
    fires: [
      `holdfast_restorable{${restorable},reason=""} 1`,
      `holdfast_restorable_to_timestamp_seconds{${restorable}} ${hoursAgo(31)}`,
      `holdfast_restorable{${elsewhere},reason=""} 1`,
      `holdfast_restorable_to_timestamp_seconds{${elsewhere}} 0`,
    ],
    labels,
    quiet: [
      [
        `holdfast_restorable{${restorable},reason=""} 1`,
        `holdfast_restorable_to_timestamp_seconds{${restorable}} ${hoursAgo(27)}`,
      ],
      // That it cannot be restored at all is told already.
      [
        `holdfast_restorable{${restorable},reason="gap"} 0`,
        `holdfast_restorable_to_timestamp_seconds{${restorable}} ${hoursAgo(31)}`,
      ],
    ],
  },
];

export const agentCases: readonly AlertCase[] = [
  {
    alert: "HoldfastDown",
    fires: [`${up} 0`],
    labels: { job: "holdfast", instance: "a" },
    quiet: [[`${up} 1`], [`${up} 0 0 0 1x60`], ['up{job="other",instance="a"} 0']],
  },
  {
    alert: "HoldfastMissing",
    fires: ['up{job="other",instance="a"} 1'],
    labels: { job: "holdfast" },
    quiet: [[`${up} 1`], [`${up} 0`]],
  },
  {
    alert: "HoldfastPluginFailing",
    fires: [`holdfast_collect_success{${main}} 0`],
    labels: { instance: "a", name: "main" },
    quiet: [[`holdfast_collect_success{${main}} 1`], [`holdfast_collect_success{${main}} 0 0 0 0 1 0 0 0 1x60`]],
  },
  {
    alert: "HoldfastCollectStale",
    fires: [`holdfast_collect_last_success_timestamp_seconds{${main}} ${hoursAgo(1)}`],
    labels: { instance: "a", name: "main" },
    noticedAfter: 1,
    quiet: [
      [`holdfast_collect_last_success_timestamp_seconds{${main}} 0+60x60`],
      [`holdfast_collect_last_success_timestamp_seconds{${main}} ${hoursAgo(0.5)}`],
    ],
  },
  {
    // It has never been well since the agent's start: there is no last success to grow old.
    alert: "HoldfastCollectStale",
    fires: [`holdfast_collect_success{${main}} 0`, `process_start_time_seconds{instance="a"} ${hoursAgo(1)}`],
    labels: { instance: "a", name: "main" },
    noticedAfter: 1,
    quiet: [
      [`holdfast_collect_success{${main}} 1`, `process_start_time_seconds{instance="a"} ${hoursAgo(1)}`],
      [`holdfast_collect_success{${main}} 0`, `process_start_time_seconds{instance="a"} ${hoursAgo(0.5)}`],
      [
        `holdfast_collect_success{${main}} 0`,
        `holdfast_collect_last_success_timestamp_seconds{${main}} ${hoursAgo(0.5)}`,
        `process_start_time_seconds{instance="a"} ${hoursAgo(9)}`,
      ],
    ],
  },
  {
    alert: "HoldfastPluginRestarting",
    fires: [`holdfast_plugin_restarts_total{${main}} 0+1x60`],
    labels: { instance: "a", name: "main" },
    noticedAfter: 3,
    quiet: [[`holdfast_plugin_restarts_total{${main}} 0`], [`holdfast_plugin_restarts_total{${main}} 0 0 1 1 1 2x60`]],
  },
  {
    alert: "HoldfastReloadFailed",
    fires: ['holdfast_config_last_reload_successful{instance="a"} 0'],
    labels: { instance: "a" },
    quiet: [['holdfast_config_last_reload_successful{instance="a"} 1']],
  },
  {
    alert: "HoldfastFilesRunOut",
    fires: ['process_open_fds{job="holdfast",instance="a"} 900', 'process_max_fds{job="holdfast",instance="a"} 1024'],
    labels: { job: "holdfast", instance: "a" },
    quiet: [
      ['process_open_fds{job="holdfast",instance="a"} 40', 'process_max_fds{job="holdfast",instance="a"} 1024'],
      ['process_open_fds{job="other",instance="a"} 1000', 'process_max_fds{job="other",instance="a"} 1024'],
    ],
  },
];
