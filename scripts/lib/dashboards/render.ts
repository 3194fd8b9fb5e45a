/** Grafana's JSON of a dashboard. Source: Grafana's dashboard JSON model, schema version 39 (Grafana 10.4 and later). */
import {
  type Column,
  type Dashboard,
  expand,
  type Panel,
  queriesOf,
  type Section,
  type Table,
  type Thresholds,
  type Unit,
  type Variable,
  type Words,
} from "./model.ts";

type Json = { readonly [key: string]: unknown };

const datasource = { type: "prometheus", uid: "${datasource}" };
/** A panel is so high unless it says otherwise. */
const usualHeights = { stat: 4, timeseries: 8, "state-timeline": 7, table: 8 } as const;
const refId = (index: number): string => String.fromCharCode("A".charCodeAt(0) + index);

export function renderDashboard(dashboard: Dashboard): Json {
  const { name, title, description, sections, variables } = dashboard;
  return {
    uid: `holdfast-${name}`,
    title,
    description,
    tags: ["holdfast"],
    schemaVersion: 39,
    version: 1,
    editable: true,
    graphTooltip: 1,
    refresh: "1m",
    time: { from: "now-24h", to: "now" },
    timezone: "browser",
    links: [
      {
        type: "dashboards",
        title: "holdfast",
        icon: "external link",
        tooltip: "",
        url: "",
        tags: ["holdfast"],
        asDropdown: true,
        includeVars: true,
        keepTime: true,
        targetBlank: false,
      },
    ],
    annotations: { list: [] },
    templating: {
      list: [
        { name: "datasource", label: "Data source", type: "datasource", query: "prometheus", hide: 0, refresh: 1 },
        variable({ name: "job", label: "Job", metric: "holdfast_build_info" }, ""),
        variable({ name: "instance", label: "Agent", metric: agentsMetric(dashboard) }, 'job=~"$job"'),
        ...variables.map((one) => variable(one, 'job=~"$job",instance=~"$instance"')),
      ],
    },
    panels: layOut(sections, dashboard),
  };
}

/** Agents on which an instance of the plugin runs. */
const agentsMetric = ({ plugin }: Dashboard) =>
  plugin === undefined ? "holdfast_build_info" : `holdfast_plugin_info{plugin="${plugin}"}`;

function variable({ name, label, metric }: Variable, selector: string): Json {
  const [, metricName = metric, own = ""] = /^(\w+)\{(.*)\}$/.exec(metric) ?? [];
  const selectors = [selector, own].filter(Boolean).join(",");
  const query = `label_values(${metricName}${selectors === "" ? "" : `{${selectors}}`}, ${name})`;
  return {
    name,
    label,
    type: "query",
    datasource,
    query: { query, refId: "StandardVariableQuery" },
    refresh: 2,
    sort: 1,
    multi: true,
    includeAll: true,
    // Series without that label are shown too.
    allValue: ".*",
    current: { selected: true, text: ["All"], value: ["$__all"] },
    hide: 0,
  };
}

/** Panels from left to right, below each other where a line is full; each section has a row of its own above it. */
function layOut(sections: readonly Section[], dashboard: Dashboard): Json[] {
  const panels: Json[] = [];
  let y = 0;
  const place = (panel: Json, gridPos: Json) => panels.push({ id: panels.length + 1, ...panel, gridPos });
  for (const { title, panels: members } of sections) {
    place({ type: "row", title, collapsed: false, panels: [] }, { x: 0, y, w: 24, h: 1 });
    y += 1;
    let [x, lineHeight] = [0, 0];
    for (const panel of members) {
      const height = panel.height ?? usualHeights[panel.kind];
      if (x + panel.width > 24) {
        y += lineHeight;
        [x, lineHeight] = [0, 0];
      }
      place(renderPanel(panel, dashboard), { x, y, w: panel.width, h: height });
      x += panel.width;
      lineHeight = Math.max(lineHeight, height);
    }
    y += lineHeight;
  }
  return panels;
}

function renderPanel(panel: Panel, dashboard: Dashboard): Json {
  const instant = panel.kind === "table" || panel.kind === "stat";
  const { title, kind: type, mayBeEmpty } = panel;
  const description = `${panel.description}${mayBeEmpty === undefined ? "" : ` Empty ${mayBeEmpty}.`}`;
  return {
    type,
    title,
    description,
    datasource,
    targets: queriesOf(panel).map(({ expr, legend }, index) => ({
      refId: refId(index),
      datasource,
      expr: expand(expr, dashboard),
      legendFormat: legend ?? "__auto",
      instant,
      range: !instant,
      format: panel.kind === "table" ? "table" : "time_series",
    })),
    fieldConfig: {
      defaults: {
        ...shown(panel),
        // Lines would all have the colour of their threshold.
        ...(panel.kind === "timeseries" ? { color: { mode: "palette-classic" } } : {}),
        noValue: "no data",
        custom: custom(panel),
      },
      overrides: panel.kind === "table" ? panel.columns.map(override) : [],
    },
    options: options(panel),
    ...(panel.kind === "table" ? { transformations: transformations(panel) } : {}),
  };
}

function shown({ unit, thresholds, words }: { unit?: Unit; thresholds?: Thresholds; words?: Words }): Json {
  return {
    ...(unit === undefined ? {} : { unit: unit === "moment" ? "dateTimeAsIso" : unit }),
    ...(thresholds === undefined
      ? { color: { mode: "palette-classic" } }
      : { color: { mode: "thresholds" }, thresholds: { mode: "absolute", steps: steps(thresholds) } }),
    ...(words === undefined ? {} : { mappings: mappings(words), color: { mode: "thresholds" } }),
  };
}

function steps([first, ...rest]: Thresholds): Json[] {
  return [{ color: first, value: null }, ...rest.map(([value, color]) => ({ color, value }))];
}

function mappings(words: Words): Json[] {
  const entries = Object.entries(words).map(([value, [text, color]], index) => [value, { text, color, index }]);
  return [{ type: "value", options: Object.fromEntries(entries) }];
}

function custom(panel: Panel): Json {
  if (panel.kind === "state-timeline") return { fillOpacity: 80, lineWidth: 0 };
  if (panel.kind === "table") return { align: "auto", filterable: true };
  if (panel.kind === "stat") return {};
  return {
    drawStyle: "line",
    lineWidth: 1,
    fillOpacity: panel.stacked ? 30 : 5,
    showPoints: "never",
    spanNulls: false,
    scaleDistribution: panel.logarithmic ? { type: "log", log: 10 } : { type: "linear" },
    stacking: { mode: panel.stacked ? "normal" : "none", group: "A" },
    thresholdsStyle: { mode: panel.thresholds === undefined ? "off" : "dashed" },
  };
}

function options(panel: Panel): Json {
  switch (panel.kind) {
    case "stat":
      return {
        reduceOptions: { calcs: ["lastNotNull"], fields: "", values: false },
        colorMode: panel.thresholds === undefined && panel.words === undefined ? "value" : "background",
        graphMode: "none",
        textMode: "auto",
        justifyMode: "auto",
        orientation: "auto",
      };
    case "timeseries":
      return {
        legend: { displayMode: "list", placement: "bottom", showLegend: true, calcs: [] },
        tooltip: { mode: "multi", sort: "desc" },
      };
    case "state-timeline":
      return {
        mergeValues: true,
        showValue: "auto",
        rowHeight: 0.8,
        legend: { displayMode: "list", placement: "bottom", showLegend: false, calcs: [] },
        tooltip: { mode: "single", sort: "none" },
      };
    case "table":
      return { showHeader: true, cellHeight: "sm" };
  }
}

/** Where the merged table has the values of a query. */
const valueField = (index: number, columns: readonly Column[]) =>
  columns.length === 1 ? "Value" : `Value #${refId(index)}`;

/** One row for each set of labels, the queries' values beside each other; all other labels are left out. */
function transformations({ rows, columns }: Table): Json[] {
  const labels = {
    ...rows,
    ...Object.fromEntries(columns.flatMap(({ label, title }) => (label ? [[label, title]] : []))),
  };
  const values = columns.flatMap(({ label, title }, index) =>
    label ? [] : [[valueField(index, columns), title] as const],
  );
  const wanted = [...Object.keys(rows), ...columns.map(({ label }, index) => label ?? valueField(index, columns))];
  return [
    { id: "merge", options: {} },
    { id: "filterFieldsByName", options: { include: { names: wanted } } },
    {
      id: "organize",
      options: {
        excludeByName: {},
        indexByName: Object.fromEntries(wanted.map((name, index) => [name, index])),
        renameByName: { ...labels, ...Object.fromEntries(values) },
      },
    },
  ];
}

function override({ title, unit, thresholds, words }: Column): Json {
  const properties: Json[] = [];
  const {
    unit: id,
    thresholds: limits,
    mappings: texts,
  } = shown({
    ...(unit === undefined ? {} : { unit }),
    ...(thresholds === undefined ? {} : { thresholds }),
    ...(words === undefined ? {} : { words }),
  });
  if (id !== undefined) properties.push({ id: "unit", value: id });
  if (limits !== undefined) properties.push({ id: "thresholds", value: limits });
  if (texts !== undefined) properties.push({ id: "mappings", value: texts });
  if (limits !== undefined || texts !== undefined) {
    properties.push({ id: "custom.cellOptions", value: { type: "color-background", mode: "basic" } });
  }
  return { matcher: { id: "byName", options: title }, properties };
}
