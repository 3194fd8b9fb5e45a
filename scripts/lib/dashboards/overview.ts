import { type Dashboard, hours, noneIsGood, notAbove, yesOrNo } from "./model.ts";

/** Of each agent: where hosts have one configuration, clusters and sources have the same names on all of them. */
const perSource = (expr: string) => `max by (instance, cluster, source) (${expr})`;
const restorable = perSource('holdfast_restorable{cluster=~"$cluster"}');
const from = perSource('holdfast_restorable_from_timestamp_seconds{cluster=~"$cluster"}');
const to = perSource('holdfast_restorable_to_timestamp_seconds{cluster=~"$cluster"}');
/** Only of what can be counted on: behind a gap the newest WAL is no moment that can be restored. */
const lost = `time() - (${to} and ${restorable} == 1)`;
const source = "{{cluster}} from {{source}} on {{instance}}";
const ours = 'alertstate="firing",alertname=~"(Holdfast|Barman|Walg|Pgrwl|Prombackup).+"';

/** Empty, and not 0, where nobody tells. */
const countOf = (value: 0 | 1) => `count(${restorable} == ${value}) or 0 * count(${restorable})`;

export const overview: Dashboard = {
  name: "overview",
  title: "holdfast: can I restore, and to when?",
  description: "Every cluster with every source that could bring it back, how far back and how close to now.",
  variables: [{ name: "cluster", label: "Cluster", metric: "holdfast_restorable" }],
  sections: [
    {
      title: "Can I restore, and to when?",
      panels: [
        {
          kind: "stat",
          title: "Cannot be restored",
          description:
            "Pairs of cluster and source that could not bring the cluster back now. The table names the reason.",
          queries: [{ expr: countOf(0) }],
          thresholds: noneIsGood,
          width: 6,
        },
        {
          kind: "stat",
          title: "Can be restored",
          description: "Pairs of cluster and source from which a restore is possible.",
          queries: [{ expr: countOf(1) }],
          thresholds: ["red", [1, "green"]],
          width: 6,
        },
        {
          kind: "stat",
          title: "Most that would be lost now",
          description:
            "Time since the newest moment to which the worst-off cluster that can be restored can be, by its best source.",
          queries: [{ expr: `max(min by (cluster) (${lost}))` }],
          unit: "s",
          thresholds: notAbove(hours(1), hours(30)),
          width: 6,
        },
        {
          kind: "stat",
          title: "Critical alerts",
          description: "Alerts of config/prometheus/rules that fire now. Needs these rules.",
          queries: [{ expr: `count(ALERTS{${ours},severity="critical"}) or vector(0)` }],
          thresholds: noneIsGood,
          width: 6,
        },
        {
          kind: "table",
          title: "Each cluster, from each source",
          description: "From the earliest to the latest moment that a restore can reach, and why where none can.",
          rows: { cluster: "Cluster", source: "Source", instance: "Agent" },
          columns: [
            { title: "Restorable", expr: restorable, words: yesOrNo("yes", "no") },
            { title: "From", expr: `1000 * ${from}`, unit: "moment" },
            { title: "To", expr: `1000 * ${to}`, unit: "moment" },
            { title: "Lost now", expr: lost, unit: "s", thresholds: notAbove(hours(1), hours(30)) },
            {
              title: "Reason",
              expr: 'max by (instance, cluster, source, reason) (holdfast_restorable{cluster=~"$cluster",reason!=""} == 0)',
              label: "reason",
              mayBeEmpty: true,
            },
          ],
          width: 24,
          height: 9,
        },
        {
          kind: "state-timeline",
          title: "Restorable over time",
          description: "Whether each cluster could have been restored from each source at that time.",
          queries: [{ expr: restorable, legend: source }],
          words: yesOrNo("yes", "no"),
          width: 24,
        },
        {
          kind: "timeseries",
          title: "Lost, had it happened then",
          description:
            "Time from the newest moment that could be restored to now: what a loss would have cost. A line ends where nothing could be.",
          queries: [{ expr: lost, legend: source }],
          unit: "s",
          logarithmic: true,
          width: 12,
        },
        {
          kind: "timeseries",
          title: "How far back",
          description:
            "Time from now to the earliest moment that can be restored. It grows between two runs of retention.",
          queries: [{ expr: `time() - ${from}`, legend: source }],
          unit: "s",
          width: 12,
        },
      ],
    },
    {
      title: "Backups",
      panels: [
        {
          kind: "timeseries",
          title: "Age of the newest backup",
          description:
            "A saw: it falls to nothing with each backup that ends well. A line that goes on rising has no new backup.",
          queries: [
            { expr: "time() - barman_backup_last_end_timestamp_seconds{#}", legend: "barman {{server}}" },
            {
              expr: "time() - max without (backup_type) (walg_backup_last_completion_timestamp_seconds{#})",
              legend: "walg {{cluster}} {{instance}}",
            },
            {
              expr: "time() - prombackup_server_upload_last_success_timestamp_seconds{#}",
              legend: "prombackup {{target}} {{instance}}",
            },
          ],
          unit: "s",
          thresholds: ["green", [hours(30), "red"]],
          width: 12,
        },
        {
          kind: "timeseries",
          title: "Backups kept",
          description: "Backups that can be restored. What retention takes is taken from here.",
          queries: [
            { expr: 'barman_backups{#,status="DONE"}', legend: "barman {{server}}" },
            { expr: "sum without (backup_type) (walg_backups{#})", legend: "walg {{cluster}} {{instance}}" },
            { expr: "prombackup_server_target_backups{#}", legend: "prombackup {{target}} {{instance}}" },
          ],
          unit: "short",
          width: 12,
        },
      ],
    },
    {
      title: "WAL",
      panels: [
        {
          kind: "state-timeline",
          title: "Receivers",
          description: "Whether each receiver of WAL was connected to its server.",
          queries: [{ expr: "pgrwl_connected{#}", legend: "pgrwl {{cluster}} {{instance}}" }],
          words: yesOrNo("connected", "away"),
          width: 12,
        },
        {
          kind: "timeseries",
          title: "WAL that is on the server alone",
          description: "What would be lost with the server: not received (pgrwl), not archived (walg).",
          queries: [
            { expr: "pgrwl_lag_bytes{#}", legend: "pgrwl {{cluster}} {{instance}}" },
            { expr: "walg_lsn_lag_bytes{#}", legend: "walg {{cluster}} {{instance}}" },
          ],
          unit: "bytes",
          width: 12,
          height: 7,
        },
        {
          kind: "stat",
          title: "Gaps",
          description: "WAL that is missing. No recovery passes over a gap: take a full backup.",
          queries: [
            { expr: "sum(pgrwl_gap{#})", legend: "receiving" },
            { expr: "sum(walg_pitr_gap_segments{#})", legend: "WAL-G archive" },
          ],
          thresholds: noneIsGood,
          width: 12,
        },
        {
          kind: "stat",
          title: "Verifications",
          description: "What was read back and found wrong: 0 is good.",
          queries: [
            { expr: "count(pgrwl_archive_whole{#} == 0) or 0 * count(pgrwl_archive_whole{#})", legend: "WAL archives" },
            {
              // A result that never was is not counted from 0.
              expr: 'sum(increase(prombackup_server_verifications_total{#,result="error"}[1d])) or 0 * sum(increase(prombackup_server_verifications_total{#}[1d]))',
              legend: "snapshots of Prometheus",
            },
          ],
          thresholds: noneIsGood,
          width: 12,
          mayBeEmpty: "before the first verification",
        },
      ],
    },
    {
      title: "Agents",
      panels: [
        {
          kind: "table",
          title: "Agents",
          description: "Each agent that is scraped.",
          rows: { instance: "Agent" },
          columns: [
            {
              title: "Scraped",
              expr: 'max by (instance) (up{job=~"$job",instance=~"$instance"})',
              words: yesOrNo("yes", "no"),
            },
            { title: "Instances", expr: "count by (instance) (holdfast_plugin_info{#})" },
            {
              title: "Failing",
              expr: "count by (instance) (holdfast_collect_success{#} == 0) or 0 * count by (instance) (holdfast_plugin_info{#})",
              thresholds: noneIsGood,
            },
            {
              title: "Configuration",
              expr: "max by (instance) (holdfast_config_last_reload_successful{#})",
              words: yesOrNo("as on disk", "refused"),
            },
          ],
          width: 12,
        },
        {
          kind: "table",
          title: "Alerts",
          description: "Alerts of config/prometheus/rules that fire now; docs/monitoring.md says what each means.",
          rows: { alertname: "Alert", severity: "Severity" },
          columns: [{ title: "Count", expr: `sum by (alertname, severity) (ALERTS{${ours}})` }],
          width: 12,
          mayBeEmpty: "while all is well",
        },
      ],
    },
  ],
};
