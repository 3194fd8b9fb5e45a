/** The registered metrics, by name. */
import type { Metrics } from "holdfast";
import { type MetricDefinition, type MetricName, metricTable } from "./metric-table.ts";

type NameOf<Type extends MetricDefinition["type"]> = Extract<MetricDefinition, { type: Type }>["name"];
type Labels = Readonly<Record<string, string>>;

export class Series {
  readonly #gauges = new Map<MetricName, ReturnType<Metrics["gauge"]>>();
  readonly #counters = new Map<MetricName, ReturnType<Metrics["counter"]>>();
  readonly #histograms = new Map<MetricName, ReturnType<Metrics["histogram"]>>();

  constructor(metrics: Metrics) {
    for (const definition of metricTable) {
      const { name, help, type } = definition;
      const options = { name, help, labelNames: [...definition.labels] };
      if (type === "gauge") this.#gauges.set(name, metrics.gauge(options) as ReturnType<Metrics["gauge"]>);
      else if (type === "counter") this.#counters.set(name, metrics.counter(options) as ReturnType<Metrics["counter"]>);
      else {
        const histogram = metrics.histogram({ ...options, buckets: [...definition.buckets] });
        this.#histograms.set(name, histogram as ReturnType<Metrics["histogram"]>);
      }
    }
  }

  /** Undefined: no value, and so no series. */
  set(name: NameOf<"gauge">, value: number | undefined, labels: Labels = {}): void {
    if (value !== undefined) this.#gauges.get(name)?.set(labels as never, value);
  }
  count(name: NameOf<"counter">, labels: Labels = {}, by = 1): void {
    this.#counters.get(name)?.inc(labels as never, by);
  }
  observe(name: NameOf<"histogram">, value: number): void {
    this.#histograms.get(name)?.observe(value);
  }
}
