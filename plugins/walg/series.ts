/** The registered metrics of one instance. What its profile leaves out can be set all the same, and nothing comes of it. */
import type { Metrics } from "holdfast";
import {
  type CounterName,
  type GaugeName,
  type HistogramName,
  type MetricDefinition,
  metricTable,
  type Profile,
} from "./metric-table.ts";

type Labels = Readonly<Record<string, string>>;
type AnyGauge = ReturnType<typeof anyGauge>;
type AnyCounter = ReturnType<typeof anyCounter>;
type AnyHistogram = ReturnType<typeof anyHistogram>;

const anyGauge = (metrics: Metrics, { name, help, labels }: MetricDefinition) =>
  metrics.gauge<string>({ name, help, labelNames: [...labels] });
const anyCounter = (metrics: Metrics, { name, help, labels }: MetricDefinition) =>
  metrics.counter<string>({ name, help, labelNames: [...labels] });
const anyHistogram = (metrics: Metrics, { name, help, labels }: MetricDefinition) =>
  metrics.histogram<string>({
    name,
    help,
    labelNames: [...labels],
    buckets: [0.1, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600],
  });

export class Series {
  readonly profile: Profile;
  readonly #gauges = new Map<string, { gauge: AnyGauge; labelled: boolean }>();
  readonly #counters = new Map<string, AnyCounter>();
  readonly #histograms = new Map<string, AnyHistogram>();

  constructor(metrics: Metrics, profile: Profile) {
    this.profile = profile;
    for (const definition of metricTable as readonly MetricDefinition[]) {
      if (!definition.profiles.includes(profile)) continue;
      const { name, type, labels } = definition;
      if (type === "gauge")
        this.#gauges.set(name, { gauge: anyGauge(metrics, definition), labelled: labels.length > 0 });
      else if (type === "counter") this.#counters.set(name, anyCounter(metrics, definition));
      else this.#histograms.set(name, anyHistogram(metrics, definition));
    }
  }

  /** Sets a gauge; an undefined value sets none. */
  set(name: GaugeName, labels: Labels, value: number | undefined): void {
    if (value !== undefined) this.#gauges.get(name)?.gauge.set(labels, value);
  }

  /** Takes a counter off the page until it is set: it is born as 0, which nobody may have counted. */
  hide(name: CounterName): void {
    this.#counters.get(name)?.remove();
  }

  add(name: CounterName, labels: Labels, by = 1): void {
    this.#counters.get(name)?.inc(labels, by);
  }

  /** Makes a counter repeat another's count, which may begin anew. */
  copyCount(name: CounterName, count: number): void {
    const counter = this.#counters.get(name);
    counter?.reset();
    counter?.inc(count);
  }

  observe(name: HistogramName, labels: Labels, value: number): void {
    this.#histograms.get(name)?.observe(labels, value);
  }

  clearGauges(): void {
    for (const { gauge, labelled } of this.#gauges.values()) {
      // reset() would give an unlabelled gauge the value 0, which nobody measured.
      if (labelled) gauge.reset();
      else gauge.remove();
    }
  }
}
