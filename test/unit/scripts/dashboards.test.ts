/** The dashboards of config/grafana: as they are described, well-formed, and of metrics that exist. */
import { expect, test } from "bun:test";
import { readdirSync } from "node:fs";
import { dashboards } from "../../../scripts/lib/dashboards/index.ts";
import { type Dashboard, expand, type Panel, queriesOf } from "../../../scripts/lib/dashboards/model.ts";
import { renderDashboard } from "../../../scripts/lib/dashboards/render.ts";
import { alerts, recordings } from "../../harness/alert-rules.ts";
import { knownLabels, seriesIn } from "../../harness/known-metrics.ts";

const folder = new URL("../../../config/grafana/dashboards/", import.meta.url);
const named = dashboards.map((dashboard) => [dashboard.name, dashboard] as const);
const panelsOf = ({ sections }: Dashboard): readonly Panel[] => sections.flatMap(({ panels }) => panels);

/** With UPDATE_DOCS=1 the files are written anew. */
test.each(named)("config/grafana/dashboards has %s as it is described", async (name, dashboard) => {
  const file = Bun.file(new URL(`holdfast-${name}.json`, folder));
  const text = `${JSON.stringify(renderDashboard(dashboard), undefined, 2)}\n`;
  if (Bun.env.UPDATE_DOCS) await file.write(text);
  else expect(await file.text()).toBe(text);
});

test("config/grafana/dashboards has nothing else", () => {
  expect(readdirSync(folder).sort()).toEqual(dashboards.map(({ name }) => `holdfast-${name}.json`).sort());
});

interface Placed {
  readonly id: number;
  readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number };
}

test.each(named)("panels of %s have a place of their own, a title and a description", (_, dashboard) => {
  const { panels } = renderDashboard(dashboard) as { panels: readonly Placed[] };
  expect(new Set(panels.map(({ id }) => id)).size).toBe(panels.length);
  const taken = new Set<string>();
  for (const { gridPos } of panels) {
    expect(gridPos.x + gridPos.w).toBeLessThanOrEqual(24);
    for (let x = gridPos.x; x < gridPos.x + gridPos.w; x++) {
      for (let y = gridPos.y; y < gridPos.y + gridPos.h; y++) {
        expect(taken.has(`${x} ${y}`)).toBe(false);
        taken.add(`${x} ${y}`);
      }
    }
  }
  for (const { title, panels: members } of dashboard.sections) {
    expect(new Set(members.map((panel) => panel.title)).size).toBe(members.length);
    for (const panel of members)
      expect([title, panel.title, panel.description]).toEqual([title, panel.title, expect.stringMatching(/\.$/)]);
  }
});

test.each(named)("legends and rows of %s name labels that the series have", (_, dashboard) => {
  for (const panel of panelsOf(dashboard)) {
    if (panel.kind === "table") continue;
    for (const { expr, legend = "" } of panel.queries) {
      const has = new Set(["instance", "job", "cluster", ...labelsLeft(expand(expr, dashboard))]);
      const wanted = [...legend.matchAll(/\{\{(\w+)\}\}/g)].map(([, label = ""]) => label);
      expect([panel.title, wanted.filter((label) => !has.has(label))]).toEqual([panel.title, []]);
    }
  }
});

/** Labels that series of an expression may have: those of its metrics, or those that its outer `by` leaves. */
function labelsLeft(expr: string): string[] {
  const [, by] = /\bby \(([^)]*)\)/.exec(expr) ?? [];
  if (by !== undefined) return by.split(/,\s*/);
  return seriesIn(expr).flatMap(({ name }) => [...(knownLabels.get(name) ?? [])]);
}

const expressions: readonly (readonly [where: string, expr: string])[] = [
  ...dashboards.flatMap((dashboard) =>
    panelsOf(dashboard).flatMap((panel) =>
      queriesOf(panel).map(({ expr }) => [`${dashboard.name}: ${panel.title}`, expand(expr, dashboard)] as const),
    ),
  ),
  ...dashboards.flatMap(({ name, variables }) =>
    variables.map(({ name: label, metric }) => [`${name}: variable`, `${metric}{${label}=""}`] as const),
  ),
  ...alerts.map(({ alert, expr }) => [alert, expr] as const),
  ...recordings.map(({ record, expr }) => [record, expr] as const),
];

test("each metric and label that a dashboard or a rule asks for is one that the code declares", () => {
  // Prometheus' own, and that which an instance's `labels:` adds by convention.
  const everywhere = new Set(["job", "instance", "cluster", "le"]);
  for (const [where, expr] of expressions) {
    const asked = seriesIn(expr);
    expect([where, asked.length]).not.toEqual([where, 0]);
    for (const { name, labels } of asked) {
      expect([where, name, knownLabels.has(name)]).toEqual([where, name, true]);
      const unknown = labels.filter((label) => !everywhere.has(label) && !knownLabels.get(name)?.has(label));
      expect([where, name, unknown]).toEqual([where, name, []]);
    }
  }
});

test("seriesIn() finds the metrics of an expression and nothing else", () => {
  const expr = `sum by (a, b) (rate(x_total{job=~"$job",c!="up{d}"}[5m])) / on (e) group_left (f) y:z > 0.5
    unless time() - w{l="1"} offset 6h > 30 * 3600 or vector(0)`;
  expect(seriesIn(expr)).toEqual([
    { name: "x_total", labels: ["job", "c"] },
    { name: "y:z", labels: [] },
    { name: "w", labels: ["l"] },
  ]);
});

test.each(expressions)("%s shows nothing, not NaN, where nothing was counted", (_, expr) => {
  for (const [, divisor = ""] of expr.matchAll(/ \/ (.*)/g)) {
    if (/\b(?:rate|increase)\(/.test(divisor)) expect(divisor).toContain(" > 0)");
  }
});
