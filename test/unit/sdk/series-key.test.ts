import { expect, test } from "bun:test";
import fc from "fast-check";
import { toFamilies } from "../../../agent/sdk/exposition.ts";
import { InstanceMetrics } from "../../../agent/sdk/metrics.ts";
import { seriesKey } from "../../../agent/sdk/series-key.ts";

const odd = [
  { a: "x,b:y", b: "z" },
  { a: "x", b: "y,b:z" },
  { a: "1:x", b: "" },
  { a: "1", b: ":x" },
];

test("series whose label values hold commas and colons stay apart, in every kind of metric", async () => {
  const metrics = new InstanceMetrics();
  const labelNames = ["a", "b"] as const;
  const gauge = metrics.gauge({ name: "g", help: "x", labelNames });
  const counter = metrics.counter({ name: "c_total", help: "x", labelNames });
  const histogram = metrics.histogram({ name: "h", help: "x", labelNames, buckets: [1] });
  const summary = metrics.summary({ name: "s", help: "x", labelNames, percentiles: [0.5] });
  for (const [index, labels] of odd.entries()) {
    gauge.set(labels, index);
    counter.inc(labels, index);
    histogram.observe(labels, index);
    summary.observe(labels, index);
  }
  const counts = (await toFamilies(metrics.all())).map(({ name, samples }) => [name, samples]);
  // A histogram has a line a bucket, `+Inf`, sum and count; a summary one a quantile, sum and count.
  expect(counts).toEqual([
    ["g", 4],
    ["c_total", 4],
    ["h", 16],
    ["s", 12],
  ]);
  gauge.remove(odd[0] as { a: string; b: string });
  counter.remove(odd[0] as { a: string; b: string });
  const left = (await toFamilies(metrics.all())).map(({ samples }) => samples);
  expect(left.slice(0, 2)).toEqual([3, 3]);
});

test("an unlabelled metric has one series, and a label given in any order is the same", async () => {
  const metrics = new InstanceMetrics();
  const counter = metrics.counter({ name: "c_total", help: "x" });
  counter.inc();
  counter.inc(2);
  const gauge = metrics.gauge({ name: "g", help: "x", labelNames: ["a", "b"] });
  gauge.set({ a: "1", b: "2" }, 1);
  gauge.inc({ b: "2", a: "1" });
  expect((await toFamilies(metrics.all())).map(({ text }) => text)).toEqual(["c_total 3\n", 'g{a="1",b="2"} 2\n']);
});

test("seriesKey() is equal for equal label sets and for no others", () => {
  const labels = fc.dictionary(fc.constantFrom("a", "b", "c"), fc.string({ unit: "binary" }));
  fc.assert(
    fc.property(labels, labels, (one, other) => {
      const sorted = (set: Record<string, string>) => JSON.stringify(Object.entries(set).sort());
      expect(seriesKey(one) === seriesKey(other)).toBe(sorted(one) === sorted(other));
    }),
  );
});
