/** Metrics of one instance: prom-client's own objects, in a registry of the instance. */
import type {
  Counter,
  CounterConfiguration,
  Gauge,
  GaugeConfiguration,
  Histogram,
  HistogramConfiguration,
  Metric,
  Registry,
  Summary,
  SummaryConfiguration,
} from "prom-client";
import "./series-key.ts";

// By file: the whole of prom-client costs each worker 2.5 MB more. By require(): after series-key.ts has done its work,
// for what is imported from a CommonJS module is loaded before any module of ours runs.
const CounterClass: typeof Counter = require("prom-client/lib/counter.js");
const GaugeClass: typeof Gauge = require("prom-client/lib/gauge.js");
const HistogramClass: typeof Histogram = require("prom-client/lib/histogram.js");
const RegistryClass: typeof Registry = require("prom-client/lib/registry.js");
const SummaryClass: typeof Summary = require("prom-client/lib/summary.js");

/** Hands out metrics. A name that breaks the rules of the text format, is taken, or is the agent's own is refused. */
export interface Metrics {
  gauge<L extends string = never>(options: GaugeConfiguration<L>): Gauge<L>;
  counter<L extends string = never>(options: CounterConfiguration<L>): Counter<L>;
  histogram<L extends string = never>(options: HistogramConfiguration<L>): Histogram<L>;
  summary<L extends string = never>(options: SummaryConfiguration<L>): Summary<L>;
}

/** What prom-client keeps and does not type: the label sets of a metric. */
type Series = { hashMap: Record<string, unknown> };

const metricName = /^[a-zA-Z_:][a-zA-Z0-9_:]*$/;
const labelName = /^[a-zA-Z_][a-zA-Z0-9_]*$/;
const reservedMetrics = /^(holdfast|process)_/;
/** Prometheus sets these itself and would rename ours to `exported_…`; double underscores are its own too. */
const reservedLabels = /^(instance|job|__.*)$/;

/** The registry of one instance, with the life of gauges: empty at the start of a collection, as before if it fails. */
export class InstanceMetrics implements Metrics {
  readonly #registry = new RegistryClass();
  readonly #labels: ReadonlySet<string>;

  /** @param instanceLabels Names of the labels that the configuration adds to every series. */
  constructor(instanceLabels: Iterable<string> = []) {
    this.#labels = new Set(instanceLabels);
  }

  gauge<L extends string = never>(options: GaugeConfiguration<L>): Gauge<L> {
    const gauge = new GaugeClass({ ...this.#checked(options), registers: [this.#registry] });
    // An unlabelled gauge is born as 0: a value that nobody measured.
    (gauge as unknown as Series).hashMap = {};
    return gauge;
  }
  counter<L extends string = never>(options: CounterConfiguration<L>): Counter<L> {
    return new CounterClass({ ...this.#checked(options), registers: [this.#registry] });
  }
  histogram<L extends string = never>(options: HistogramConfiguration<L>): Histogram<L> {
    return new HistogramClass({ ...this.#checked(options), registers: [this.#registry] });
  }
  summary<L extends string = never>(options: SummaryConfiguration<L>): Summary<L> {
    return new SummaryClass({ ...this.#checked(options), registers: [this.#registry] });
  }

  /** All metrics, in order of registration. */
  all(): Metric[] {
    return this.#registry.getMetricsAsArray() as unknown as Metric[];
  }

  /** Empties the gauges. The returned function puts back what they held. */
  emptyGauges(): () => void {
    const gauges = this.all().filter((metric) => metric instanceof GaugeClass) as unknown as Series[];
    const before = gauges.map((gauge) => gauge.hashMap);
    for (const gauge of gauges) gauge.hashMap = {};
    return () => {
      for (const [index, gauge] of gauges.entries()) gauge.hashMap = before[index] ?? {};
    };
  }

  #checked<T extends { name: string; help: string; labelNames?: readonly string[] }>(options: T): T {
    const { name, help, labelNames = [] } = options;
    const refuse = (why: string): never => {
      throw new Error(`Cannot register metric ${JSON.stringify(name)}: ${why}`);
    };
    if (typeof name !== "string" || !metricName.test(name)) refuse("a name has letters, digits, _ and : only");
    if (reservedMetrics.test(name)) refuse("names that begin with holdfast_ and process_ are the agent's own");
    if (typeof help !== "string" || help === "") refuse("it needs a help text");
    if (this.#registry.getSingleMetric(name)) refuse("this instance has a metric of that name already");
    const seen = new Set<string>();
    for (const label of labelNames) {
      if (!labelName.test(label)) refuse(`the label name ${JSON.stringify(label)} has letters, digits and _ only`);
      if (reservedLabels.test(label)) refuse(`the label ${JSON.stringify(label)} is set by Prometheus itself`);
      if (this.#labels.has(label)) refuse(`the label ${JSON.stringify(label)} is set by labels: in the configuration`);
      if (seen.has(label)) refuse(`the label ${JSON.stringify(label)} is named twice`);
      seen.add(label);
    }
    return options;
  }
}
