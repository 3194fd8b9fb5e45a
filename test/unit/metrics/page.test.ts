import { expect, test } from "bun:test";
import { gunzipSync } from "node:zlib";
import fc from "fast-check";
import { MetricsPage } from "../../../agent/metrics/page.ts";
import { Snapshots } from "../../../agent/metrics/snapshots.ts";

const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
const family = (name: string, lines: string, type = "gauge", help = "Help.") => ({
  name,
  type,
  help,
  bytes: new TextEncoder().encode(lines),
  samples: lines.split("\n").length - 1,
});

test("the page has each family once, in the order of names, with the samples of all instances", () => {
  const snapshots = new Snapshots();
  snapshots.publish("two", "p", [family("b", 'b{i="2"} 2\n'), family("a", "a 1\n")]);
  snapshots.publish("one", "p", [family("b", 'b{i="1"} 1\n')]);
  expect(text(snapshots.page(undefined))).toBe(
    '# HELP a Help.\n# TYPE a gauge\na 1\n# HELP b Help.\n# TYPE b gauge\nb{i="1"} 1\nb{i="2"} 2\n',
  );
  expect(text(snapshots.page(new Set(["one"])))).toBe('# HELP b Help.\n# TYPE b gauge\nb{i="1"} 1\n');
  expect(snapshots.samples("two")).toBe(2);
  snapshots.drop("two");
  expect(text(snapshots.page(undefined))).not.toContain("a 1");
});

test.each([
  ["a gauge", "hist_count", "gauge", "hist", "histogram"],
  ["a summary", "rate", "summary", "rate_sum", "gauge"],
  ["another type", "x", "counter", "x", "gauge"],
])("a family whose samples meet those of another plugin's family is refused: %s", (_, name, type, other, otherType) => {
  const snapshots = new Snapshots();
  snapshots.publish("first", "one", [family(other, "", otherType)]);
  expect(() => snapshots.publish("second", "two", [family(name, "", type)])).toThrow(`"${name}" of plugin "two"`);
  expect(snapshots.has("second")).toBe(false);
});

test("samples of two families of one instance do not meet either", () => {
  const snapshots = new Snapshots();
  expect(() => snapshots.publish("i", "p", [family("h", "", "histogram"), family("h_sum", "")])).toThrow('"h_sum"');
});

test("an instance may take back what only it had, under another plugin", () => {
  const snapshots = new Snapshots();
  snapshots.publish("i", "one", [family("x", "x 1\n")]);
  snapshots.publish("i", "two", [family("x", "x 2\n", "counter")]);
  expect(text(snapshots.page(undefined))).toContain("# TYPE x counter\nx 2\n");
});

test("the compressed page is one gzip member with the same text as the plain one", async () => {
  await fc.assert(
    fc.asyncProperty(fc.string({ unit: "binary" }), fc.string({ unit: "binary" }), async (plugins, own) => {
      const page = new MetricsPage({ plugins: () => new TextEncoder().encode(plugins), own: () => own });
      const compressed = await page.gzip();
      const whole = Buffer.from(await page.plain().bytes());
      expect(gunzipSync(await compressed.bytes()).equals(whole)).toBe(true);
      // A second member, or rubbish behind the first, would be lost on strict readers.
      const strict = await new Response(compressed.stream().pipeThrough(new DecompressionStream("gzip"))).bytes();
      expect(Buffer.from(strict).equals(whole)).toBe(true);
    }),
    { numRuns: 50 },
  );
});

test("each part of the page is made once after a change of its own", async () => {
  let made = 0;
  let owns = 0;
  const page = new MetricsPage({
    plugins: () => {
      made++;
      return new TextEncoder().encode("a 1\n");
    },
    own: () => `own ${++owns}\n`,
  });
  expect(await page.plain().text()).toBe("a 1\nown 1\n");
  expect(gunzipSync(await (await page.gzip()).bytes()).toString()).toBe("a 1\nown 1\n");
  page.invalidateOwn();
  expect(gunzipSync(await (await page.gzip()).bytes()).toString()).toBe("a 1\nown 2\n");
  expect(made).toBe(1);
  page.invalidate();
  expect(await page.plain().text()).toBe("a 1\nown 3\n");
  expect(made).toBe(2);
  page.plain(new Set(["x"]));
  expect(made).toBe(3);
});
