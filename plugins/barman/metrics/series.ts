/** The registered metrics, set by name: a sample whose metric is not wanted by the configuration goes nowhere. */
import type { Metrics } from "holdfast";
import type { Config } from "../config.ts";
import { exporterMetrics, predecessorMetrics } from "./compat.ts";
import type { MetricDefinition } from "./definition.ts";
import { extendedMetrics } from "./extended.ts";
import { ownMetrics } from "./own.ts";

type Defined =
  | (typeof exporterMetrics)[number]
  | (typeof predecessorMetrics)[number]
  | (typeof extendedMetrics)[number]
  | (typeof ownMetrics)[number];
export type MetricName = Defined["name"];
/** The labels of a metric; a name that both profiles have may be given the labels of either. */
export type LabelsOf<Name extends MetricName> =
  Extract<Defined, { name: Name }> extends infer Metric
    ? Metric extends { labels: readonly (infer Label extends string)[] }
      ? Readonly<Record<Label, string>>
      : never
    : never;

/** The metrics that a configuration asks for. */
export function wantedMetrics({
  compat,
  extended,
  collect,
}: Pick<Config, "compat" | "extended" | "collect">): readonly MetricDefinition[] {
  const all: readonly MetricDefinition[] = [
    ...(compat === "exporter" ? exporterMetrics : predecessorMetrics),
    ...(extended ? extendedMetrics : []),
    ...ownMetrics,
  ];
  return all.filter(({ topic }) => topic === "always" || collect.includes(topic));
}

interface Sink {
  set(labels: Record<string, string>, value: number): void;
  add(labels: Record<string, string>, value: number): void;
  reset(): void;
}

/** Sets samples. Values that are absent or not finite are left out: nothing is ever shown that nobody measured. */
export class Series {
  readonly #sinks = new Map<string, { readonly sink: Sink; readonly definition: MetricDefinition }>();

  constructor(metrics: Metrics, definitions: readonly MetricDefinition[]) {
    for (const definition of definitions) {
      this.#sinks.set(definition.name, { sink: register(metrics, definition), definition });
    }
  }

  set<Name extends MetricName>(name: Name, labels: LabelsOf<Name>, value: number | boolean | undefined): void {
    const found = this.#sinks.get(name);
    const number = Number(value);
    if (found === undefined || value === undefined || !Number.isFinite(number)) return;
    found.sink.set(ordered(found.definition, labels), number);
  }
  /** Adds to a counter that the plugin itself counts. */
  add<Name extends MetricName>(name: Name, labels: LabelsOf<Name>, value: number): void {
    const found = this.#sinks.get(name);
    found?.sink.add(ordered(found.definition, labels), value);
  }
  /** Forgets all samples but those of the plugin's own counters. */
  clear(): void {
    for (const { sink, definition } of this.#sinks.values()) {
      if (definition.type === "gauge" || definition.topic !== "always") sink.reset();
    }
  }
}

function register(metrics: Metrics, { name, type, help, labels }: MetricDefinition): Sink {
  const options = { name, help, labelNames: [...labels] };
  if (type === "gauge") {
    const gauge = metrics.gauge<string>(options);
    // prom-client's reset() would give an unlabelled gauge the value 0, which nobody measured.
    const reset = () => (labels.length === 0 ? gauge.remove({}) : gauge.reset());
    return {
      set: (sample, value) => gauge.set(sample, value),
      add: (sample, value) => gauge.inc(sample, value),
      reset,
    };
  }
  const counter = metrics.counter<string>(options);
  const add = (sample: Record<string, string>, value: number) => counter.inc(sample, value);
  // Counted by somebody else: set once after each reset().
  return { set: add, add, reset: () => counter.reset() };
}

/** Labels in the definition's order, which is the order in which they are printed. */
function ordered(
  { labels: names }: MetricDefinition,
  labels: Readonly<Record<string, string>>,
): Record<string, string> {
  const result: Record<string, string> = {};
  for (const name of names) result[name] = labels[name] ?? "";
  return result;
}
