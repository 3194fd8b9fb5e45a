import type { MetricDefinition } from "./definition.ts";

/** What the plugin tells of its own work, in every profile. */
export const ownMetrics = [
  {
    name: "barman_exporter_command_duration_seconds",
    type: "gauge",
    help: "Time that the last run of a command took; of show-backup the longest of the last collection.",
    labels: ["command"],
    topic: "always",
    source: "measured",
    since: "2.15",
  },
  {
    name: "barman_exporter_command_last_success_timestamp_seconds",
    type: "gauge",
    help: "Unix time at which a command last gave data of a server.",
    labels: ["command", "server"],
    topic: "always",
    source: "measured",
    since: "2.15",
  },
  {
    name: "barman_exporter_commands_total",
    type: "counter",
    help: "Barman processes started.",
    labels: ["command"],
    topic: "always",
    source: "measured",
    since: "2.15",
  },
  {
    name: "barman_exporter_command_failures_total",
    type: "counter",
    help: "Answers that were missing or not whole. partial: Barman reported an error beside its data.",
    labels: ["command", "reason"],
    topic: "always",
    source: "measured",
    since: "2.15",
  },
  {
    name: "barman_exporter_messages",
    type: "gauge",
    help: "Messages in the last answer of a command.",
    labels: ["command", "level"],
    topic: "always",
    source: "`_INFO`, `_WARNING`, `_ERROR`, `_EXCEPTION` of each answer",
    since: "2.15",
  },
] as const satisfies readonly MetricDefinition[];
