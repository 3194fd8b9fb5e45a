import { describe, expect, test } from "bun:test";
import { toFamilies, toText } from "../../../agent/sdk/exposition.ts";
import { InstanceMetrics } from "../../../agent/sdk/metrics.ts";

const textOf = async (metrics: InstanceMetrics) => toText(await toFamilies(metrics.all()));
/** The sample lines alone. */
const samplesOf = async (metrics: InstanceMetrics) =>
  (await textOf(metrics)).split("\n").filter((line) => line !== "" && !line.startsWith("#"));

describe("registering", () => {
  test.each<[what: string, name: string, labelNames: string[], why: string]>([
    ["a hyphen in the name", "a-b", [], "letters, digits, _ and : only"],
    ["a digit first", "1a", [], "letters, digits, _ and : only"],
    ["an empty name", "", [], "letters, digits, _ and : only"],
    ["a line feed in the name", "a\n", [], "letters, digits, _ and : only"],
    ["a name of the agent", "holdfast_x", [], "the agent's own"],
    ["a name of the process", "process_cpu_seconds_total", [], "the agent's own"],
    ["a hyphen in a label", "a", ["b-c"], '"b-c" has letters, digits and _ only'],
    ["a colon in a label", "a", ["b:c"], '"b:c" has letters, digits and _ only'],
    ["the label instance", "a", ["instance"], "set by Prometheus itself"],
    ["the label job", "a", ["job"], "set by Prometheus itself"],
    ["a label with two underscores first", "a", ["__name__"], "set by Prometheus itself"],
    ["a label of the configuration", "a", ["cluster"], "set by labels: in the configuration"],
    ["a label named twice", "a", ["b", "b"], "named twice"],
  ])("refuses %s", (_, name, labelNames, why) => {
    const metrics = new InstanceMetrics(["cluster"]);
    for (const kind of ["gauge", "counter", "histogram", "summary"] as const) {
      expect(() => metrics[kind]({ name, help: "h", labelNames })).toThrow(
        new RegExp(`^Cannot register metric .*: .*${RegExp.escape(why)}`, "s"),
      );
    }
    expect(metrics.all()).toEqual([]);
  });

  test("refuses a metric without help", () => {
    expect(() => new InstanceMetrics().gauge({ name: "a", help: "" })).toThrow("needs a help text");
  });

  test("refuses a name that the instance has already, and keeps the first", async () => {
    const metrics = new InstanceMetrics();
    metrics.gauge({ name: "a", help: "first" }).set(1);
    expect(() => metrics.counter({ name: "a", help: "second" })).toThrow("has a metric of that name already");
    expect(await textOf(metrics)).toBe("# HELP a first\n# TYPE a gauge\na 1\n");
  });

  test("takes a name in each of two instances", () => {
    for (const metrics of [new InstanceMetrics(), new InstanceMetrics()]) metrics.gauge({ name: "a", help: "h" });
  });
});

describe("gauges", () => {
  test("without labels have no sample before they are set", async () => {
    const metrics = new InstanceMetrics();
    const gauge = metrics.gauge({ name: "a", help: "h" });
    expect(await samplesOf(metrics)).toEqual([]);
    gauge.set(0);
    expect(await samplesOf(metrics)).toEqual(["a 0"]);
  });

  test("lose their series at the start of a collection: what is gone vanishes", async () => {
    const metrics = new InstanceMetrics();
    const gauge = metrics.gauge({ name: "a", help: "h", labelNames: ["x"] });
    gauge.set({ x: "old" }, 1);
    metrics.emptyGauges();
    gauge.set({ x: "new" }, 2);
    expect(await samplesOf(metrics)).toEqual(['a{x="new"} 2']);
  });

  test("have their series back after a failed collection, and not what it set", async () => {
    const metrics = new InstanceMetrics();
    const labelled = metrics.gauge({ name: "a", help: "h", labelNames: ["x"] });
    const plain = metrics.gauge({ name: "b", help: "h" });
    labelled.set({ x: "old" }, 1);
    plain.set(5);
    const restore = metrics.emptyGauges();
    labelled.set({ x: "new" }, 2);
    labelled.set({ x: "old" }, 3);
    plain.inc();
    restore();
    expect(await samplesOf(metrics)).toEqual(['a{x="old"} 1', "b 5"]);
  });

  test("that a collection has registered stay after it failed", async () => {
    const metrics = new InstanceMetrics();
    const restore = metrics.emptyGauges();
    metrics.gauge({ name: "late", help: "h" }).set(1);
    restore();
    expect(await samplesOf(metrics)).toEqual(["late 1"]);
  });
});

test("counters, histograms and summaries go on through collections", async () => {
  const metrics = new InstanceMetrics();
  const counter = metrics.counter({ name: "a_total", help: "h" });
  const histogram = metrics.histogram({ name: "b", help: "h", buckets: [] });
  counter.inc(2);
  histogram.observe(1);
  const restore = metrics.emptyGauges();
  counter.inc();
  histogram.observe(1);
  restore();
  expect(await samplesOf(metrics)).toEqual(["a_total 3", 'b_bucket{le="+Inf"} 2', "b_sum 2", "b_count 2"]);
});
