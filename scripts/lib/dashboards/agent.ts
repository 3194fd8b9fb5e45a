import { type Dashboard, hours, noneIsGood, notAbove, yesOrNo } from "./model.ts";

export const agent: Dashboard = {
  name: "agent",
  title: "holdfast: agent",
  description: "The agents themselves: their instances, collections and what they cost.",
  variables: [{ name: "name", label: "Instance", metric: "holdfast_plugin_info" }],
  sections: [
    {
      title: "Now",
      panels: [
        {
          kind: "stat",
          title: "Scraped",
          description: "Agents that answered the last scrape.",
          queries: [{ expr: 'min(up{job=~"$job",instance=~"$instance"})' }],
          words: yesOrNo("all", "not all"),
          width: 4,
        },
        {
          kind: "stat",
          title: "Failing instances",
          description: "Instances whose last collection failed. Their metrics stay for a while, then vanish.",
          queries: [{ expr: "count(holdfast_collect_success{@} == 0) or 0 * count(holdfast_collect_success{@})" }],
          thresholds: noneIsGood,
          width: 5,
        },
        {
          kind: "stat",
          title: "Configuration",
          description:
            "Whether the configuration on the disk is the one that runs. `holdfast check` says what is wrong with it.",
          queries: [{ expr: "min(holdfast_config_last_reload_successful{#})" }],
          words: yesOrNo("as on disk", "refused"),
          width: 5,
        },
        {
          kind: "stat",
          title: "Restarts in a day",
          description: "Workers that ended or hung and were started anew.",
          queries: [{ expr: "sum(increase(holdfast_plugin_restarts_total{@}[1d]))" }],
          thresholds: notAbove(1, 5),
          unit: "short",
          width: 5,
        },
        {
          kind: "table",
          title: "Version",
          description: "The executables that run.",
          rows: { instance: "Agent", version: "Version", revision: "Revision" },
          columns: [
            { title: "Started", expr: "max by (instance) (1000 * process_start_time_seconds{#})", unit: "moment" },
            {
              title: "Runs",
              expr: "max by (instance, version, revision) (holdfast_build_info{#})",
              words: { 1: ["yes", "green"] },
            },
          ],
          width: 5,
          height: 4,
        },
        {
          kind: "table",
          title: "Instances",
          description: "Each instance with its plugin, how its last collection went, and how old its numbers are.",
          rows: { instance: "Agent", name: "Instance", plugin: "Plugin" },
          columns: [
            {
              title: "Last collection",
              expr: "max by (instance, name, plugin) (holdfast_collect_success{@} * on (instance, name) group_left (plugin) holdfast_plugin_info{@})",
              words: yesOrNo("succeeded", "failed"),
            },
            {
              title: "Last success",
              expr: "max by (instance, name, plugin) (time() - holdfast_collect_last_success_timestamp_seconds{@} * on (instance, name) group_left (plugin) holdfast_plugin_info{@})",
              unit: "s",
              thresholds: notAbove(600, hours(1)),
            },
            {
              title: "Took",
              expr: "max by (instance, name, plugin) (holdfast_collect_duration_seconds{@} * on (instance, name) group_left (plugin) holdfast_plugin_info{@})",
              unit: "s",
            },
          ],
          width: 24,
        },
      ],
    },
    {
      title: "Collections",
      panels: [
        {
          kind: "state-timeline",
          title: "Collections",
          description: "Whether the last collection of each instance had succeeded.",
          queries: [{ expr: "holdfast_collect_success{@}", legend: "{{name}} {{instance}}" }],
          words: yesOrNo("succeeded", "failed"),
          width: 24,
        },
        {
          kind: "timeseries",
          title: "Duration",
          description: "How long collections took. One that nears its `timeout` will soon fail.",
          queries: [{ expr: "holdfast_collect_duration_seconds{@}", legend: "{{name}} {{instance}}" }],
          unit: "s",
          width: 12,
        },
        {
          kind: "timeseries",
          title: "Failures in an hour, by reason",
          description:
            "spawn: no such command; exit: it failed; timeout; parse: it answered what nobody understands; oversize; exception: a fault of the plugin.",
          queries: [
            {
              expr: "sum by (name, reason) (increase(holdfast_collect_failures_total{@}[1h])) > 0",
              legend: "{{name}} {{reason}}",
            },
          ],
          unit: "short",
          width: 12,
          mayBeEmpty: "while nothing fails",
        },
      ],
    },
    {
      title: "Cost",
      panels: [
        {
          kind: "timeseries",
          title: "CPU",
          description: "Cores in use, the commands that plugins run not counted.",
          queries: [{ expr: "rate(process_cpu_seconds_total{#}[$__rate_interval])", legend: "{{instance}}" }],
          unit: "percentunit",
          width: 8,
        },
        {
          kind: "timeseries",
          title: "Memory",
          description: "Resident memory of the process, all workers in it.",
          queries: [{ expr: "process_resident_memory_bytes{#}", legend: "{{instance}}" }],
          unit: "bytes",
          width: 8,
        },
        {
          kind: "timeseries",
          title: "Open files",
          description: "Share of the files that the process may open.",
          queries: [{ expr: "process_open_fds{#} / process_max_fds{#}", legend: "{{instance}}" }],
          unit: "percentunit",
          thresholds: ["green", [0.8, "red"]],
          width: 8,
        },
        {
          kind: "timeseries",
          title: "Scrapes",
          description:
            "How long Prometheus waited for /metrics: it waits for no collection, so this stays in milliseconds.",
          queries: [{ expr: 'scrape_duration_seconds{job=~"$job",instance=~"$instance"}', legend: "{{instance}}" }],
          unit: "s",
          width: 12,
        },
        {
          kind: "timeseries",
          title: "Series",
          description: "Samples of a scrape. `per_backup` and `max_backup_series` keep them few.",
          queries: [{ expr: 'scrape_samples_scraped{job=~"$job",instance=~"$instance"}', legend: "{{instance}}" }],
          unit: "short",
          width: 12,
        },
      ],
    },
  ],
};
