import { expect, test } from "bun:test";
import fc from "fast-check";
import { Backoff, defaultStaleAfter, nextTick } from "../../../agent/host/timing.ts";
import { pluginSource, startHost } from "../../harness/host.ts";
import { waitFor } from "../../harness/wait.ts";

test("nextTick() is the first moment of the series after now", () => {
  fc.assert(
    fc.property(fc.nat(1e9), fc.integer({ min: 1, max: 1e7 }), fc.nat(1e9), (first, interval, now) => {
      const next = nextTick(first, interval, now);
      expect(next).toBeGreaterThan(now - (now < first ? 1 : 0));
      expect((next - first) % interval).toBe(0);
      expect(next - interval <= now || next === first).toBe(true);
    }),
  );
});

test("Backoff doubles up to its bound, for ever", () => {
  const backoff = new Backoff(1_000, 60_000);
  expect(Array.from({ length: 8 }, () => backoff.next())).toEqual([1e3, 2e3, 4e3, 8e3, 16e3, 32e3, 60e3, 60e3]);
  for (let n = 0; n < 5_000; n++) backoff.next();
  expect(backoff.next()).toBe(60_000);
  backoff.reset();
  expect(backoff.next()).toBe(1_000);
});

test("collections of one instance never overlap, and what was missed is let go", async () => {
  await using test = await startHost();
  const source = `let running = 0, most = 0, n = 0;
    const worst = metrics.gauge({ name: "slow_most_at_once", help: "x" });
    const count = metrics.gauge({ name: "slow_count", help: "x" });
    return { async collect() {
      most = Math.max(most, ++running);
      await Bun.sleep(120);
      running--;
      worst.set(most); count.set(++n);
    } };`;
  await test.plugin("slow.ts", pluginSource("slow", source));
  const startedAt = performance.now();
  await test.run({ slow: { intervalSeconds: 0.05 } });
  await waitFor("five collections", () => Number(/slow_count (\d+)/.exec(test.text())?.[1]) >= 5);
  expect(test.text()).toContain("slow_most_at_once 1");
  expect(performance.now() - startedAt).toBeGreaterThan(5 * 120);
});

test("gauges start each collection empty, counters persist", async () => {
  await using test = await startHost();
  const source = `let n = 0;
    const g = metrics.gauge({ name: "p_items", help: "x", labelNames: ["item"] });
    const c = metrics.counter({ name: "p_seen_total", help: "x" });
    return { collect() { g.set({ item: String(++n) }, 1); c.inc(); } };`;
  await test.plugin("p.ts", pluginSource("p", source));
  await test.run({ p: { intervalSeconds: 0.05 } });
  await waitFor("three collections", () => test.text().includes("p_seen_total 3"));
  expect(test.text().match(/^p_items/gm)).toHaveLength(1);
});

test("a failed collection keeps the last snapshot until stale_after, then drops it and says so", async () => {
  await using test = await startHost();
  const source = `let n = 0;
    const g = metrics.gauge({ name: "p_value", help: "x" });
    return { collect() { g.set(++n); if (n > 1) throw new Error("down"); } };`;
  await test.plugin("p.ts", pluginSource("p", source));
  await test.run({ p: { intervalSeconds: 0.05, staleAfterSeconds: 3 } });
  await waitFor("a failure", () => test.host.instance("p")?.status().state === "failing");
  expect(test.text()).toContain("p_value 1\n");
  await waitFor("the series to be dropped", () => test.text() === "");
  expect(test.lines.some(({ msg }) => msg === "Series dropped as stale")).toBe(true);
  const warnings = test.lines.filter(({ level, msg }) => level === "warn" && msg === "Collection failed");
  expect(warnings).toHaveLength(1);
});

test("series are stale after five intervals by default, and not before the next good collection can have ended", () => {
  expect(defaultStaleAfter(60, 30)).toBe(300);
  expect(defaultStaleAfter(60, 300)).toBe(360);
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 1e6 }),
      fc.integer({ min: 1, max: 1e6 }),
      fc.nat(),
      (interval, timeout, took) => {
        const published = Math.min(took, timeout);
        const next = nextTick(0, interval, published) + timeout;
        expect(next - published).toBeLessThanOrEqual(defaultStaleAfter(interval, timeout));
      },
    ),
  );
});

test("good collections that each take longer than five intervals keep their series", async () => {
  await using test = await startHost();
  const source = `let n = 0;
    const g = metrics.gauge({ name: "p_value", help: "x" });
    return { async collect() { await Bun.sleep(600); g.set(++n); } };`;
  await test.plugin("p.ts", pluginSource("p", source));
  await test.run({ p: { intervalSeconds: 0.05, timeoutSeconds: 60 } });
  await waitFor("two collections", () => test.text().includes("p_value 2\n"));
  expect(test.lines.some(({ msg }) => msg === "Series dropped as stale")).toBe(false);
});

test("publish() shows values between collections, and never half a collection", async () => {
  await using test = await startHost();
  const source = `const g = metrics.gauge({ name: "live_value", help: "x", labelNames: ["k"] });
    return {
      async start({ signal }) {
        for (let n = 0; !signal.aborted; n++) { await publish(); await Bun.sleep(1); }
      },
      async collect() { g.set({ k: "a" }, 1); await Bun.sleep(20); g.set({ k: "b" }, 2); },
    };`;
  await test.plugin("live.ts", pluginSource("live", source));
  await test.run({ live: { intervalSeconds: 0.03 } });
  await waitFor("the first snapshot", () => test.text().includes("live_value"));
  const end = performance.now() + 400;
  while (performance.now() < end) {
    expect([0, 2]).toContain(test.text().match(/^live_value/gm)?.length ?? 0);
    await Bun.sleep(2);
  }
});

test("two instances of a plugin share a family, told apart by their labels", async () => {
  await using test = await startHost();
  const source = `const g = metrics.gauge({ name: "p_value", help: "Value.", labelNames: ["x"] });
    return { collect() { g.set({ x: "1" }, 7); } };`;
  await test.plugin("p.ts", pluginSource("p", source));
  await test.run({ a: { plugin: "p", labels: { cluster: "a" } }, b: { plugin: "p", labels: { cluster: "b" } } });
  await waitFor("both", () => test.text().match(/^p_value/gm)?.length === 2);
  expect(test.text()).toBe(
    '# HELP p_value Value.\n# TYPE p_value gauge\np_value{x="1",cluster="a"} 7\np_value{x="1",cluster="b"} 7\n',
  );
});

test("a collection may publish what it has so far, whole, before it ends", async () => {
  await using test = await startHost();
  const source = `const g = metrics.gauge({ name: "p_value", help: "x", labelNames: ["k"] });
    return { async collect({ publish }) {
      g.set({ k: "quick" }, 1);
      await publish();
      while (!(await Bun.file(config.file).exists())) await Bun.sleep(5);
      g.set({ k: "slow" }, 2);
    } };`;
  await test.plugin("p.ts", pluginSource("p", source));
  const file = `${test.pluginDir}/go`;
  await test.run({ p: { config: { file } } });
  await waitFor("the quick part", () => test.text().includes('p_value{k="quick"} 1\n'));
  expect(test.text()).not.toContain("slow");
  expect(test.host.instance("p")?.history.collects.success).toBe(0);
  await Bun.write(file, "");
  await waitFor("the rest", () => test.text().includes('p_value{k="slow"} 2\n'));
});
