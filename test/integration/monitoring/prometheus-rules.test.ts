/** The rules of config/prometheus, by promtool: each alert fires when it should, and not when it should not. */
import { expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { stringify } from "yaml";
import { dashboards } from "../../../scripts/lib/dashboards/index.ts";
import { expand, queriesOf } from "../../../scripts/lib/dashboards/model.ts";
import { type Alert, alerts, forMinutes, recordings, ruleFiles } from "../../harness/alert-rules.ts";
import { describeWith } from "../../harness/describe-with.ts";
import { createFolder } from "../../harness/folders.ts";
import { runTool } from "../../harness/processes.ts";
import type { AlertCase } from "./alert-case.ts";
import { agentCases, restorableCases } from "./alert-cases/agent.ts";
import { barmanCases } from "./alert-cases/barman.ts";
import { pgrwlCases } from "./alert-cases/pgrwl.ts";
import { prombackupCases } from "./alert-cases/prombackup.ts";
import { walgCases } from "./alert-cases/walg.ts";

const configFolder = new URL("../../../config/prometheus/", import.meta.url).pathname;
const cases = [...restorableCases, ...agentCases, ...barmanCases, ...walgCases, ...pgrwlCases, ...prombackupCases];
const promtool = (args: readonly string[], cwd = configFolder) => runTool(["promtool", ...args], { user: "root", cwd });

/** Longer than every `for` and window in the cases. */
const lastMinute = 900;

function alertOf(name: string): Alert {
  const found = alerts.find(({ alert }) => alert === name);
  if (found === undefined) throw new Error(`No rule file has the alert ${name}`);
  return found;
}

/** `SERIES VALUES`; a value alone is stretched over the whole test. */
function inputSeries(line: string) {
  const [, series = "", values = ""] = /^(.*\}) ([^}]*)$/.exec(line) ?? [];
  return { series, values: /^-?[\d.]+$/.test(values) ? `${values}x${lastMinute}` : values };
}

/** Whether the alert fires at a minute: with exactly these labels, or, without any, not at all. */
const firing = (name: string, minute: number, labels?: Readonly<Record<string, string>>) => ({
  expr: `ALERTS{alertname="${name}",alertstate="firing"}`,
  eval_time: `${minute}m`,
  exp_samples: labels === undefined ? [] : [{ labels: seriesOf({ __name__: "ALERTS", ...labels }), value: 1 }],
});

const seriesOf = ({ __name__ = "", ...labels }: Readonly<Record<string, string>>) =>
  `${__name__}{${Object.entries(labels).map(([label, value]) => `${label}=${JSON.stringify(value)}`)}}`;

function testsOf({ alert: name, fires, labels, quiet, noticedAfter = 0 }: AlertCase): object[] {
  const alert = alertOf(name);
  const minutes = forMinutes(alert);
  const whole = { alertname: name, alertstate: "firing", severity: alert.labels.severity, ...labels };
  const before = minutes === 0 ? [] : [firing(name, noticedAfter + minutes - 1)];
  const bad = [...before, firing(name, noticedAfter + minutes + 1, whole)];
  const good = [minutes, minutes + 1, 2 * minutes + 3].map((minute) => firing(name, minute));
  return [
    { interval: "1m", input_series: fires.map(inputSeries), promql_expr_test: bad },
    ...quiet.map((series) => ({ interval: "1m", input_series: series.map(inputSeries), promql_expr_test: good })),
  ];
}

/** The only query of each of these panels, for all values of the variables. */
function panelQueries(name: string, titles: readonly string[]): string[] {
  const dashboard = dashboards.find((one) => one.name === name);
  if (dashboard === undefined) throw new Error(`No dashboard ${name}`);
  const panels = dashboard.sections.flatMap((section) => section.panels);
  return titles.map((title) => {
    const [query] = panels.filter((panel) => panel.title === title).flatMap(queriesOf);
    if (query === undefined) throw new Error(`No panel ${title}`);
    return expand(query.expr, dashboard).replaceAll(/"\$\w+"/g, '".*"');
  });
}

async function runTests(rule_files: readonly string[], tests: readonly object[]): Promise<string> {
  await using folder = await createFolder("holdfast-rules");
  const file = join(folder.path, "tests.yml");
  await writeFile(file, stringify({ rule_files, evaluation_interval: "1m", tests }, { aliasDuplicateObjects: false }));
  return await promtool(["test", "rules", file], folder.path);
}

describeWith(["promtool"], "config/prometheus", () => {
  test("prometheus.yml and all rules pass promtool's checks without a remark", async () => {
    expect(await promtool(["check", "config", "prometheus.yml"])).not.toContain("FAILED");
    expect(await promtool(["check", "rules", ...ruleFiles])).not.toMatch(/FAILED|duplicate/);
  });

  test("prometheus.yml is right with each commented setting put in, too", async () => {
    await using folder = await createFolder("holdfast-rules");
    const example = await readFile(join(configFolder, "prometheus.yml"), "utf8");
    const comments = [...example.matchAll(/^( *)# ([a-z_]+:.*(?:\n\1# {3}.*)*)$/gm)];
    expect(comments.length).toBeGreaterThanOrEqual(7);
    for (const [comment, indent = "", text = ""] of comments) {
      const setting = indent + text.replaceAll(/\n *# /g, `\n${indent}`);
      const file = join(folder.path, "prometheus.yml");
      await writeFile(
        file,
        example.replace(comment, () => setting),
      );
      // The files that it names are not here.
      await promtool(["check", "config", "--syntax-only", file]);
    }
  });

  test.each(cases.map((one, index) => [one.alert, index] as const))(
    "%s fires, and keeps quiet (case %i)",
    async (name, index) => {
      const one = cases[index];
      if (one === undefined) throw new Error(`No case ${index}`);
      expect(await runTests([alertOf(name).file], testsOf(one))).toContain("SUCCESS");
    },
  );

  test("each alert has a case that makes it fire and one that does not", () => {
    for (const { alert } of alerts) {
      const own = cases.filter((one) => one.alert === alert);
      expect([alert, own.length > 0, own.some(({ quiet }) => quiet.length > 0)]).toEqual([alert, true, true]);
    }
  });

  test("the reason why nothing can be restored stands in the alert", async () => {
    const series = 'holdfast_restorable{instance="a",cluster="main",source="wal",reason="the archive has a gap"} 0';
    const elsewhere = 'holdfast_restorable{instance="b",cluster="main",source="wal",reason="something else"} 0 1x900';
    const { file, annotations } = alertOf("HoldfastNotRestorable");
    const exp_annotations = {
      summary: "main cannot be restored from wal on a",
      description:
        "Were main lost now, wal could not bring it back: the archive has a gap. Open the status page of a, " +
        "correct what it names, and take a full backup as soon as one can be taken.",
      runbook: annotations.runbook,
    };
    const exp_labels = { severity: "critical", instance: "a", cluster: "main", source: "wal" };
    const alert = {
      alertname: "HoldfastNotRestorable",
      eval_time: "15m",
      exp_alerts: [{ exp_labels, exp_annotations }],
    };
    const input_series = [series, elsewhere].map(inputSeries);
    await runTests([file], [{ interval: "1m", input_series, alert_rule_test: [alert] }]);
  });

  test("the overview counts what can be restored, and says nothing where nobody tells", async () => {
    const expressions = panelQueries("overview", [
      "Cannot be restored",
      "Can be restored",
      "Most that would be lost now",
    ]);
    const known = [
      'holdfast_restorable{instance="a",cluster="main",source="wal",reason="gap"} 0',
      'holdfast_restorable{instance="a",cluster="main",source="barman",reason=""} 1',
      'holdfast_restorable{instance="b",cluster="other",source="barman",reason=""} 1',
      'holdfast_restorable_to_timestamp_seconds{instance="a",cluster="main",source="wal"} -400',
      'holdfast_restorable_to_timestamp_seconds{instance="a",cluster="main",source="barman"} -90',
      'holdfast_restorable_to_timestamp_seconds{instance="b",cluster="other",source="barman"} -40',
    ];
    const answers = (values: readonly (number | undefined)[]) =>
      expressions.map((expr, index) => {
        const value = values[index];
        return { expr, eval_time: "10s", exp_samples: value === undefined ? [] : [{ labels: "{}", value }] };
      });
    await runTests(
      [],
      [
        { interval: "10s", input_series: known.map(inputSeries), promql_expr_test: answers([1, 2, 100]) },
        {
          interval: "10s",
          input_series: known.slice(1, 3).map(inputSeries),
          promql_expr_test: answers([0, 2, undefined]),
        },
        {
          // Another host has the same configuration, and so the same names.
          interval: "10s",
          input_series: [...known, known[0]?.replace('"a"', '"b"').replace('"gap"} 0', '""} 1') ?? ""].map(inputSeries),
          promql_expr_test: answers([1, 3, 100]),
        },
        {
          // Behind a gap the newest WAL is no moment that can be restored.
          interval: "10s",
          input_series: known
            .slice(0, 2)
            .concat(known.slice(3, 5))
            .map((line) => line.replace("-400", "0"))
            .map(inputSeries),
          promql_expr_test: answers([1, 1, 100]),
        },
        { interval: "10s", input_series: [], promql_expr_test: answers([undefined, undefined, undefined]) },
      ],
    );
  });

  test("recording rules record", async () => {
    const input_series = [
      'holdfast_restorable{instance="a",cluster="main",source="wal",reason="gap"} 0',
      'holdfast_restorable{instance="b",cluster="main",source="wal",reason=""} 1',
      'barman_backup_last_end_timestamp_seconds{server="main"} 7',
      'walg_backup_last_completion_timestamp_seconds{instance="a",backup_type="full"} 3',
      'walg_backup_last_completion_timestamp_seconds{instance="a",backup_type="delta"} 5',
      'prombackup_server_upload_last_success_timestamp_seconds{target="disk"} 9',
      'holdfast_collects_total{name="x",result="success"} 0+3x900',
      'holdfast_collects_total{name="x",result="failure"} 0+1x900',
      'pgrwl_wal_bytes_received_total{instance="a"} 0+600x900',
      'pgrwl_flush_duration_seconds_bucket{instance="a",le="1"} 0+10x900',
      'pgrwl_flush_duration_seconds_bucket{instance="a",le="+Inf"} 0+10x900',
    ].map(inputSeries);
    const ends = "holdfast:backup_last_end_timestamp_seconds";
    const expected: Readonly<Record<string, readonly (readonly [Readonly<Record<string, string>>, number])[]>> = {
      "cluster_source:holdfast_restorable:max": [[{ cluster: "main", source: "wal" }, 1]],
      [ends]: [
        [{ plugin: "barman", server: "main" }, 7],
        [{ plugin: "walg", instance: "a" }, 5],
        [{ plugin: "prombackup", target: "disk" }, 9],
      ],
      "holdfast:collects:failure_ratio1h": [[{ name: "x" }, 0.25]],
      "pgrwl:wal_received_bytes:rate5m": [[{ instance: "a" }, 10]],
      "pgrwl:flush_duration_seconds:p99_5m": [[{ instance: "a" }, 0.99]],
    };
    expect(recordings.map(({ record }) => record).sort()).toEqual(Object.keys(expected).sort());
    const promql_expr_test = Object.entries(expected).map(([expr, samples]) => ({
      expr,
      eval_time: "90m",
      exp_samples: samples.map(([labels, value]) => ({ labels: seriesOf({ __name__: expr, ...labels }), value })),
    }));
    const files = recordings.map(({ file }) => file);
    await runTests([...new Set(files)], [{ interval: "1m", input_series, promql_expr_test }]);
  });
});

test("each alert says what is wrong, what to do, how bad it is and where to read on", async () => {
  expect(new Set(alerts.map(({ alert }) => alert)).size).toBe(alerts.length);
  const troubleshooting = new URL("../../../docs/troubleshooting.md", import.meta.url).pathname;
  const anchors = existsSync(troubleshooting) ? headingAnchors(await readFile(troubleshooting, "utf8")) : undefined;
  for (const { alert, labels, annotations } of alerts) {
    expect([alert, labels.severity]).toEqual([alert, expect.stringMatching(/^(?:critical|warning)$/)]);
    expect(annotations.description.length).toBeGreaterThan(60);
    expect(annotations.description).toMatch(/\.$/);
    const [page, anchor = ""] = annotations.runbook.split("#");
    expect(page).toBe("docs/troubleshooting.md");
    if (anchors !== undefined) expect(anchors).toContain(anchor);
    const own = cases.filter((one) => one.alert === alert).map((one) => Object.keys(one.labels));
    const used = [...`${annotations.summary} ${annotations.description}`.matchAll(/\$labels\.(\w+)/g)].map(
      ([, name = ""]) => name,
    );
    // A label that the alert does not have leaves a hole in its text.
    for (const names of own) expect([alert, used.filter((name) => !names.includes(name))]).toEqual([alert, []]);
  }
});

/** The anchors that GitHub makes of a page's headings. */
function headingAnchors(markdown: string): string[] {
  const headings = [...markdown.matchAll(/^#+ (.*)$/gm)].map(([, title = ""]) => title);
  return headings.map((title) =>
    title
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N} _-]/gu, "")
      .replaceAll(" ", "-"),
  );
}
