import { expect, test } from "bun:test";
import fc from "fast-check";
import { toFamilies, toText } from "../../../../agent/sdk/exposition.ts";
import { InstanceMetrics } from "../../../../agent/sdk/metrics.ts";
import { createReadyMadeHistogram } from "../../../../plugins/pgrwl/ready-made-histogram.ts";

const bounds = [0.001, 0.5, 2];
const options = { name: "took_seconds", help: "How long it took.", bounds };

async function readyMade(observations: { counts: readonly number[]; sum: number }, labels = {}): Promise<string> {
  const metrics = new InstanceMetrics(Object.keys(labels));
  createReadyMadeHistogram(metrics, options)(observations);
  return toText(await toFamilies(metrics.all(), labels));
}

test("counts by bucket become the cumulated ones of the text format", async () => {
  expect(
    await readyMade({ counts: [1, 0, 2, 4], sum: 8.5 }, { cluster: "main" }),
  ).toBe(`# HELP took_seconds How long it took.
# TYPE took_seconds histogram
took_seconds_bucket{le="0.001",cluster="main"} 1
took_seconds_bucket{le="0.5",cluster="main"} 1
took_seconds_bucket{le="2",cluster="main"} 3
took_seconds_bucket{le="+Inf",cluster="main"} 7
took_seconds_sum{cluster="main"} 8.5
took_seconds_count{cluster="main"} 7
`);
});

test("it shows what prom-client shows of the same values", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.constantFrom(0.0005, 0.001, 0.25, 0.5, 1, 2, 64)), async (values) => {
      const metrics = new InstanceMetrics();
      const observed = metrics.histogram({ name: options.name, help: options.help, buckets: bounds });
      const counts = [0, 0, 0, 0];
      for (const value of values) {
        observed.observe(value);
        const bucket = bounds.findIndex((bound) => value <= bound);
        const index = bucket === -1 ? bounds.length : bucket;
        counts[index] = (counts[index] ?? 0) + 1;
      }
      const sum = values.reduce((total, value) => total + value, 0);
      expect(await readyMade({ counts, sum })).toBe(toText(await toFamilies(metrics.all())));
    }),
  );
});

test("each showing takes the place of the one before", async () => {
  const metrics = new InstanceMetrics();
  const show = createReadyMadeHistogram(metrics, options);
  show({ counts: [1, 1, 1, 1], sum: 9 });
  show({ counts: [1, 1, 1, 2], sum: 19 });
  const text = toText(await toFamilies(metrics.all()));
  expect(text).toContain("took_seconds_count 5\n");
  expect(text.match(/took_seconds_count/g)).toHaveLength(1);
});
