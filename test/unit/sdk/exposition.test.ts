import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { type Family, formatValue, head, sample, toFamilies, toText } from "../../../agent/sdk/exposition.ts";
import { InstanceMetrics } from "../../../agent/sdk/metrics.ts";
import { parseSamples } from "./parse-exposition.ts";

const textOf = async (metrics: InstanceMetrics, labels?: Record<string, string>) =>
  toText(await toFamilies(metrics.all(), labels));

describe("sample lines", () => {
  test("escape backslash, quote and line feed in label values, and nothing else", () => {
    expect(sample("x", { a: 'back\\slash "quote"\nline', b: "täb\t€" }, 1)).toBe(
      'x{a="back\\\\slash \\"quote\\"\\nline",b="täb\t€"} 1\n',
    );
  });

  test("hold no half of a surrogate pair", () => {
    expect(sample("x", { a: "\ud83d", b: '"\udc00' }, 1)).toBe('x{a="\ufffd",b="\\"\ufffd"} 1\n');
  });

  test("have no braces without labels", () => {
    expect(sample("x", {}, 2)).toBe("x 2\n");
  });

  test("read back as what was written", () => {
    const name = fc.stringMatching(/^[a-zA-Z_][a-zA-Z0-9_]{0,9}$/);
    const labels = fc.dictionary(name, fc.string({ unit: "binary" }), { maxKeys: 4 });
    fc.assert(
      fc.property(fc.array(fc.tuple(name, labels, fc.double()), { maxLength: 5 }), (written) => {
        const text = written.map(([metric, pairs, value]) => sample(metric, pairs, value)).join("");
        const expected = written.map(([metric, pairs, value]) => ({
          name: metric,
          labels: Object.fromEntries(Object.entries(pairs).map(([label, text]) => [label, text.toWellFormed()])),
          value: value === 0 ? 0 : value,
        }));
        expect(parseSamples(text)).toEqual(expected);
      }),
      { numRuns: 300 },
    );
  });
});

describe("values", () => {
  test.each([
    [0, "0"],
    [-0, "0"],
    [1e21, "1e+21"],
    [1763712000.123, "1763712000.123"],
    [Number.POSITIVE_INFINITY, "+Inf"],
    [Number.NEGATIVE_INFINITY, "-Inf"],
    [Number.NaN, "NaN"],
  ])("%p is written %s", (value, text) => {
    expect(formatValue(value)).toBe(text);
  });

  test("are written in the shortest form that reads back the same", () => {
    fc.assert(
      fc.property(fc.double({ noDefaultInfinity: true, noNaN: true }), (value) => {
        expect(Number(formatValue(value))).toBe(value === 0 ? 0 : value);
      }),
    );
  });
});

describe("families", () => {
  test("have their help with backslash and line feed escaped, quotes as they are", () => {
    expect(head({ name: "x", type: "gauge", help: 'a\\b\n"c"' })).toBe('# HELP x a\\\\b\\n"c"\n# TYPE x gauge\n');
  });

  test("come in the order of their names", () => {
    const family = (name: string): Family => ({ name, type: "gauge", help: "h", text: `${name} 1\n`, samples: 1 });
    const text = toText(["b", "a_b", "a", "B"].map(family));
    expect(parseSamples(text).map(({ name }) => name)).toEqual(["B", "a", "a_b", "b"]);
  });

  test("without samples are left out", async () => {
    const metrics = new InstanceMetrics();
    metrics.gauge({ name: "empty", help: "h" });
    metrics.counter({ name: "labelled_total", help: "h", labelNames: ["a"] });
    expect(await textOf(metrics)).toBe("");
  });

  test("carry the instance's labels behind their own, on every line", async () => {
    const metrics = new InstanceMetrics(["cluster"]);
    metrics.gauge({ name: "plain", help: "h" }).set(1);
    metrics.gauge({ name: "own", help: "h", labelNames: ["a"] }).set({ a: "1" }, 2);
    metrics.histogram({ name: "seconds", help: "h", buckets: [1] }).observe(0.5);
    const lines = (await textOf(metrics, { cluster: 'm"1' })).split("\n").filter((line) => !line.startsWith("#"));
    expect(lines).toEqual([
      'own{a="1",cluster="m\\"1"} 2',
      'plain{cluster="m\\"1"} 1',
      'seconds_bucket{le="1",cluster="m\\"1"} 1',
      'seconds_bucket{le="+Inf",cluster="m\\"1"} 1',
      'seconds_sum{cluster="m\\"1"} 0.5',
      'seconds_count{cluster="m\\"1"} 1',
      "",
    ]);
  });

  test("count the samples of their text", async () => {
    const metrics = new InstanceMetrics();
    metrics.histogram({ name: "seconds", help: "h", buckets: [1, 2] }).observe(3);
    metrics.summary({ name: "bytes", help: "h", percentiles: [0.5, 0.9] }).observe(3);
    const families = await toFamilies(metrics.all());
    expect(families.map(({ name, type, samples }) => [name, type, samples])).toEqual([
      ["seconds", "histogram", 5],
      ["bytes", "summary", 4],
    ]);
    for (const { text, samples } of families) expect(text.split("\n")).toHaveLength(samples + 1);
  });

  test("ask a metric's own collect callback first", async () => {
    const metrics = new InstanceMetrics();
    metrics.gauge({
      name: "live",
      help: "h",
      collect() {
        this.set(7);
      },
    });
    expect(await textOf(metrics)).toEndWith("\nlive 7\n");
  });
});
