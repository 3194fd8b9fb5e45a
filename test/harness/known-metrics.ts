/** Every metric that can come of a scrape, as the code declares it; and the names that a PromQL expression asks for. */
import { ownFamilies } from "../../agent/metrics/own.ts";
import { processFamilies } from "../../agent/metrics/process.ts";
import { exporterMetrics, predecessorMetrics } from "../../plugins/barman/metrics/compat.ts";
import { extendedMetrics } from "../../plugins/barman/metrics/extended.ts";
import { ownMetrics } from "../../plugins/barman/metrics/own.ts";
import * as pgrwl from "../../plugins/pgrwl/metric-table.ts";
import * as prombackup from "../../plugins/prombackup/metric-table.ts";
import * as walg from "../../plugins/walg/metric-table.ts";

interface Declared {
  readonly name: string;
  readonly type: string;
  readonly labels: readonly string[];
  readonly help?: string;
}

/** What Prometheus adds. */
const prometheusOwn: readonly Declared[] = [
  { name: "up", type: "gauge", labels: [] },
  { name: "scrape_duration_seconds", type: "gauge", labels: [] },
  { name: "scrape_samples_scraped", type: "gauge", labels: [] },
  { name: "ALERTS", type: "gauge", labels: ["alertname", "alertstate", "severity"] },
];

/** The agent's own, of an agent with an instance that has had everything happen to it. */
const agentOwn = [
  ...ownFamilies({
    version: "",
    revision: "",
    bunVersion: "",
    lastReloadSuccessful: true,
    lastReloadSuccessAt: 1,
    instances: [
      {
        name: "",
        plugin: "",
        version: "",
        source: "",
        collects: true,
        lastSucceeded: true,
        lastDurationSeconds: 1,
        lastSuccessAt: 1,
        collectSuccesses: 1,
        collectFailures: 1,
        failures: new Map(),
        restarts: 1,
        restorable: [{ cluster: "", source: "", from: 1, to: 1, reason: undefined, walOnly: false }],
      },
    ],
  }),
  ...processFamilies(),
].map(([name, type, help, samples]) => ({ name, type, labels: Object.keys(samples[0]?.[0] ?? {}), help }));

export interface DeclaredMetric extends Declared {
  readonly help: string;
  /** The plugin that has it; `agent` without one. */
  readonly of: "agent" | "barman" | "pgrwl" | "prombackup" | "walg";
  /** The setting that it needs, as it is written; undefined where the plugin's defaults have it. */
  readonly needs?: string | undefined;
}

/** Every metric that the code declares, once for each setting that gives it other labels or another meaning. */
export const declaredMetrics: readonly DeclaredMetric[] = [
  ...agentOwn.map((one) => ({ ...one, of: "agent" as const })),
  ...[...exporterMetrics, ...extendedMetrics, ...ownMetrics].map((one) => ({ ...one, of: "barman" as const })),
  ...predecessorMetrics.map((one) => ({ ...one, of: "barman" as const, needs: "compat: predecessor" })),
  ...[...pgrwl.metricTable, ...pgrwl.archiveMetricTable, ...pgrwl.serveMetricTable, ...pgrwl.verifyMetricTable].map(
    (one) => ({ ...one, of: "pgrwl" as const }),
  ),
  ...prombackup.metricTable.map((one) => ({ ...one, of: "prombackup" as const })),
  ...walg.metricTable.map((one) => ({ ...one, of: "walg" as const })),
];

const declared: readonly Declared[] = [...declaredMetrics, ...prometheusOwn];

/** Labels by the name of a series; those that Prometheus and an instance's `labels:` add are left out. */
export const knownLabels: ReadonlyMap<string, ReadonlySet<string>> = seriesLabels();

function seriesLabels(): Map<string, ReadonlySet<string>> {
  const known = new Map<string, Set<string>>();
  for (const { name, type, labels } of declared) {
    const names = type === "histogram" ? ["_bucket", "_sum", "_count"].map((suffix) => name + suffix) : [name];
    // A name that two profiles have with other labels has them all.
    for (const one of names) known.set(one, new Set([...(known.get(one) ?? []), ...labels]));
  }
  return known;
}

export interface AskedFor {
  readonly name: string;
  /** Labels in its braces. */
  readonly labels: readonly string[];
}

const keywords = new Set([
  "and",
  "or",
  "unless",
  "by",
  "without",
  "on",
  "ignoring",
  "group_left",
  "group_right",
  "bool",
]);

/** The series that an expression asks for. It must be right: this is no parser that finds mistakes. */
export function seriesIn(expr: string): AskedFor[] {
  const bare = expr
    .replaceAll(/"(?:[^"\\]|\\.)*"/g, '""')
    .replaceAll(/\[[^\]]*\]/g, "")
    .replaceAll(/\boffset\s+\S+/g, "")
    .replaceAll(/\b(?:by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)/g, "");
  return [...bare.matchAll(/(?<![\w:.$])([a-zA-Z_:][\w:]*)\s*(\{[^}]*\})?(?!\s*\()(?![\w:])/g)]
    .filter(([, name = ""]) => !keywords.has(name))
    .map(([, name = "", braces = ""]) => ({
      name,
      labels: [...braces.matchAll(/(\w+)\s*(?:=~|!~|!=|=)/g)].map(([, label = ""]) => label),
    }));
}
