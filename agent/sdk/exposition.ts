/** The Prometheus text format 0.0.4: metrics of one instance to families of finished lines. */
import type { Metric, MetricObjectWithValues, MetricValue } from "prom-client";

/** A metric family as an instance publishes it: its head, and its sample lines ready to send. */
export interface Family {
  readonly name: string;
  readonly type: "counter" | "gauge" | "histogram" | "summary";
  readonly help: string;
  /** Sample lines, each ended by a newline; never empty. */
  readonly text: string;
  /** How many samples `text` holds. */
  readonly samples: number;
}

/**
 * Reads the metrics and writes their samples. A family without samples is left out.
 * @param labels Added to every sample, behind its own labels.
 */
export async function toFamilies(
  metrics: readonly Metric[],
  labels: Readonly<Record<string, string>> = {},
): Promise<Family[]> {
  const tail = labelPairs(labels);
  const families: Family[] = [];
  for (const metric of metrics) {
    const { name, type, help, values } = (await metric.get()) as MetricObjectWithValues<MetricValue<string>>;
    if (values.length === 0) continue;
    const lines = values.map(
      (value) => `${sampleName(value, name)}${labelSet(value.labels, tail)} ${formatValue(value.value)}\n`,
    );
    families.push({ name, type: String(type) as Family["type"], help, text: lines.join(""), samples: lines.length });
  }
  return families;
}

/** The text of families, in the order of their names. Families of one name must come merged. */
export function toText(families: Iterable<Family>): string {
  const sorted = [...families].sort((a, b) => (a.name < b.name ? -1 : 1));
  return sorted.map((family) => `${head(family)}${family.text}`).join("");
}

/** The `# HELP` and `# TYPE` lines of a family. */
export function head({ name, type, help }: { name: string; type: string; help: string }): string {
  const text = help.replace(/[\\\n]/g, (c) => (c === "\n" ? "\\n" : "\\\\"));
  return `# HELP ${name} ${text}\n# TYPE ${name} ${type}\n`;
}

/** One sample line of a family that needs no registry. */
export function sample(name: string, labels: Readonly<Record<string, string>>, value: number): string {
  return `${name}${labelSet(labels, "")} ${formatValue(value)}\n`;
}

function sampleName(value: MetricValue<string> & { metricName?: string }, family: string): string {
  return value.metricName ?? family;
}

function labelSet(labels: Readonly<Record<string, unknown>>, tail: string): string {
  const own = labelPairs(labels);
  if (own === "") return tail === "" ? "" : `{${tail}}`;
  return tail === "" ? `{${own}}` : `{${own},${tail}}`;
}

function labelPairs(labels: Readonly<Record<string, unknown>>): string {
  let pairs = "";
  for (const name in labels) {
    const value = labels[name];
    if (value === undefined || value === null) continue;
    if (pairs !== "") pairs += ",";
    pairs += `${name}="${escapeValue(String(value))}"`;
  }
  return pairs;
}

const special = /[\\"\n]/;
const specials = /[\\"\n]/g;
function escapeValue(value: string): string {
  if (!special.test(value)) return value.isWellFormed() ? value : value.toWellFormed();
  return value.toWellFormed().replace(specials, (c) => (c === "\n" ? "\\n" : `\\${c}`));
}

/** A sample's value: the shortest decimal that reads back the same, `+Inf`, `-Inf` or `NaN`. */
export function formatValue(value: number): string {
  if (value === Number.POSITIVE_INFINITY) return "+Inf";
  if (value === Number.NEGATIVE_INFINITY) return "-Inf";
  return String(value);
}
