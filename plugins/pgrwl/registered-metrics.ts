/** A table of metrics, registered: gauges that are set, counters that are brought up to a total. */
import type { Metrics } from "holdfast";
import type { MetricDefinition } from "./metric-table.ts";
import { createReadyMadeHistogram, type Observations } from "./ready-made-histogram.ts";

export type Labels = Readonly<Record<string, string>>;
type AnyGauge = ReturnType<Metrics["gauge"]> & { set(labels: Labels, value: number): void };
type AnyCounter = ReturnType<Metrics["counter"]> & { inc(labels: Labels, by: number): void };

export class RegisteredMetrics<GaugeName extends string, CounterName extends string> {
  readonly #gauges = new Map<string, AnyGauge>();
  readonly #counters = new Map<string, AnyCounter>();
  readonly #histograms = new Map<string, (observations: Observations) => void>();
  readonly #counted = new Map<string, number>();

  /** @param bounds Of the histograms' buckets. */
  constructor(metrics: Metrics, table: readonly MetricDefinition[], bounds: readonly number[]) {
    for (const { name, type, labels, help } of table) {
      const labelNames = [...labels];
      if (type === "gauge") this.#gauges.set(name, metrics.gauge<string>({ name, help, labelNames }));
      else if (type === "counter") this.#counters.set(name, metrics.counter<string>({ name, help, labelNames }));
      else this.#histograms.set(name, createReadyMadeHistogram(metrics, { name, help, bounds }));
    }
  }

  /** Undefined is not known, and not shown. */
  set(name: GaugeName, value: number | undefined, labels: Labels = {}): void {
    if (value !== undefined) this.#gauges.get(name)?.set(labels, value);
  }

  observe(name: string, observations: Observations): void {
    this.#histograms.get(name)?.(observations);
  }

  /** From the start with 0: `increase()` misses the first event of a series that was not there before. */
  countUpTo(name: CounterName, total: number, labels: Labels = {}): void {
    const key = [name, ...Object.values(labels)].join(" ");
    const counted = this.#counted.get(key) ?? 0;
    this.#counted.set(key, total);
    // A total that has shrunk began anew.
    this.#counters.get(name)?.inc(labels, total >= counted ? total - counted : total);
  }

  /** Takes everything off the page that may not be known any more, where no collection has done so. */
  clearGauges(): void {
    for (const gauge of this.#gauges.values()) {
      // reset() would give a gauge without labels the value 0, which nobody measured.
      gauge.reset();
      gauge.remove({});
    }
  }
}
