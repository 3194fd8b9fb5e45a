import { type Dashboard, hours, notAbove, yesOrNo } from "./model.ts";

const server = "{{cluster}} {{instance}}";
const target = "{{target}} {{instance}}";

export const prombackup: Dashboard = {
  name: "prombackup",
  title: "holdfast: Prometheus snapshots",
  description: "Snapshots of Prometheus, their verification, and the backups made of them.",
  plugin: "prombackup",
  variables: [{ name: "cluster", label: "Cluster", metric: "prombackup_server_build_info" }],
  sections: [
    {
      title: "Now",
      panels: [
        {
          kind: "stat",
          title: "Prometheus",
          description: "Whether it answered the last collection.",
          queries: [{ expr: "prombackup_server_prometheus_up{@}", legend: server }],
          words: yesOrNo("answers", "away"),
          width: 4,
        },
        {
          kind: "stat",
          title: "Takes snapshots",
          description: "Whether it runs with --web.enable-admin-api.",
          queries: [{ expr: "prombackup_server_prometheus_admin_api_enabled{@}", legend: server }],
          words: yesOrNo("yes", "no"),
          width: 4,
        },
        {
          kind: "stat",
          title: "Newest snapshot",
          description: "Its age.",
          queries: [{ expr: "time() - prombackup_server_snapshot_last_success_timestamp_seconds{@}", legend: server }],
          unit: "s",
          thresholds: notAbove(hours(25), hours(30)),
          width: 5,
        },
        {
          kind: "stat",
          title: "Last found right",
          description: "Time since a snapshot was verified and nothing was wrong with it.",
          queries: [
            { expr: "time() - prombackup_server_verification_last_success_timestamp_seconds{@}", legend: server },
          ],
          unit: "s",
          thresholds: notAbove(hours(30), hours(48)),
          width: 5,
        },
        {
          kind: "stat",
          title: "Lack files",
          description: "Snapshots that are being written, or were left behind by a failure.",
          queries: [{ expr: "prombackup_server_snapshots_incomplete{@}", legend: server }],
          thresholds: ["green", [1, "orange"]],
          width: 6,
        },
      ],
    },
    {
      title: "Backups",
      panels: [
        {
          kind: "table",
          title: "Targets",
          description: "Where backups are kept.",
          rows: { instance: "Agent", cluster: "Cluster", target: "Target" },
          columns: [
            {
              title: "Newest backup",
              expr: "1000 * max by (instance, cluster, target) (prombackup_server_upload_last_success_timestamp_seconds{@})",
              unit: "moment",
            },
            {
              title: "Its age",
              expr: "time() - max by (instance, cluster, target) (prombackup_server_upload_last_success_timestamp_seconds{@})",
              unit: "s",
              thresholds: notAbove(hours(25), hours(30)),
            },
            { title: "Backups", expr: "max by (instance, cluster, target) (prombackup_server_target_backups{@})" },
            {
              title: "Bytes",
              expr: "max by (instance, cluster, target) (prombackup_server_target_bytes{@})",
              unit: "bytes",
            },
          ],
          width: 12,
        },
        {
          kind: "timeseries",
          title: "Age of the newest backup",
          description: "In each target. It falls to nothing with each backup that is completed.",
          queries: [{ expr: "time() - prombackup_server_upload_last_success_timestamp_seconds{@}", legend: target }],
          unit: "s",
          thresholds: ["green", [hours(30), "red"]],
          width: 12,
        },
        {
          kind: "timeseries",
          title: "Size of the targets",
          description: "Files that the backups consist of, each counted once.",
          queries: [{ expr: "prombackup_server_target_bytes{@}", legend: target }],
          unit: "bytes",
          width: 8,
        },
        {
          kind: "timeseries",
          title: "Written in a day",
          description: "Files that a target did not have: new blocks, and the head.",
          queries: [{ expr: "increase(prombackup_server_upload_bytes_total{@}[1d])", legend: target }],
          unit: "bytes",
          width: 8,
        },
        {
          kind: "timeseries",
          title: "Uploads in a day, by result",
          description: "A failed one is tried again after 15 minutes.",
          queries: [
            {
              expr: "sum by (target, result) (increase(prombackup_server_uploads_total{@}[1d]))",
              legend: "{{target}} {{result}}",
            },
          ],
          unit: "short",
          width: 8,
        },
      ],
    },
    {
      title: "Snapshots",
      panels: [
        {
          kind: "timeseries",
          title: "Snapshots in the folder",
          description: "Each keeps blocks that Prometheus itself has deleted.",
          queries: [{ expr: "prombackup_server_snapshots_stored{@}", legend: server }],
          unit: "short",
          width: 8,
        },
        {
          kind: "timeseries",
          title: "Space that only snapshots hold",
          description: "What pruning them all would free.",
          queries: [{ expr: "prombackup_server_snapshots_stored_exclusive_bytes{@}", legend: server }],
          unit: "bytes",
          width: 8,
        },
        {
          kind: "timeseries",
          title: "Size of the newest",
          description: "A sudden fall is a Prometheus that lost its data.",
          queries: [{ expr: "prombackup_server_snapshot_last_size_bytes{@}", legend: server }],
          unit: "bytes",
          width: 8,
          mayBeEmpty: "while the folder is empty: a backup removes its snapshot",
        },
        {
          kind: "timeseries",
          title: "Duration",
          description: "Mean time that Prometheus took for a snapshot: mostly for writing the head.",
          queries: [
            {
              expr: "rate(prombackup_server_snapshot_duration_seconds_sum{@}[1d]) / (rate(prombackup_server_snapshot_duration_seconds_count{@}[1d]) > 0)",
              legend: server,
            },
          ],
          unit: "s",
          width: 8,
          mayBeEmpty: "while none is taken",
        },
        {
          kind: "timeseries",
          title: "Verifications in a day, by result",
          description: "error: the log names file and block.",
          queries: [
            { expr: "sum by (result) (increase(prombackup_server_verifications_total{@}[1d]))", legend: "{{result}}" },
          ],
          unit: "short",
          width: 8,
        },
        {
          kind: "timeseries",
          title: "Runs of pruning in a day, by result",
          description: "And snapshots that stayed although the rules would remove them, by reason.",
          queries: [
            { expr: "sum by (result) (increase(prombackup_server_prune_runs_total{@}[1d]))", legend: "{{result}}" },
            {
              expr: "sum by (reason) (increase(prombackup_server_prune_skipped_total{@}[1d]))",
              legend: "stayed: {{reason}}",
            },
          ],
          unit: "short",
          width: 8,
          mayBeEmpty: "while nothing is pruned",
        },
      ],
    },
    {
      title: "Downloads",
      panels: [
        {
          kind: "timeseries",
          title: "Downloads in an hour, by result",
          description: "aborted: the client went away.",
          queries: [
            {
              expr: "sum by (format, result) (increase(prombackup_server_downloads_total{@}[1h]))",
              legend: "{{format}} {{result}}",
            },
          ],
          unit: "short",
          width: 12,
          mayBeEmpty: "while nothing is downloaded",
        },
        {
          kind: "timeseries",
          title: "Sent",
          description: "Bytes of archives handed on to clients.",
          queries: [
            {
              expr: "sum by (format) (rate(prombackup_server_download_bytes_total{@}[$__rate_interval]))",
              legend: "{{format}}",
            },
          ],
          unit: "Bps",
          width: 12,
          mayBeEmpty: "while nothing is downloaded",
        },
      ],
    },
  ],
};
