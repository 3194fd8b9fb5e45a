/** Plugins that reach past their own instance: into the agent's messages, log and process. */
import { expect, test } from "bun:test";
import { pluginSource, startHost, type TestHost } from "../../harness/host.ts";
import { waitFor } from "../../harness/wait.ts";

const lastError = (test: TestHost, name: string) =>
  waitFor("the failure", () => test.host.instance(name)?.status().lastError?.message);

test.each([
  [
    "a number",
    "return 7;",
    /setup\(\) returned a number: expected an object with any of collect, http, start and stop/,
  ],
  ["a misspelt member", "return { colect() {} };", /setup\(\) returned colect: expected an object with any of collect/],
  ["a collect that is no function", "return { collect: 5 };", /The plugin's collect is a number: expected a function/],
  ["an http that is no app", "return { http: { a: 1 } };", /The plugin's http is no app: expected a `new Hono\(\)`/],
])("a plugin whose setup() returns %s fails, and says what was expected", async (_, source, message) => {
  await using test = await startHost();
  await test.plugin("bad.ts", pluginSource("bad", source));
  await test.run({ bad: {} });
  expect(await lastError(test, "bad")).toMatch(message);
});

test("an object that has fields of its own beside collect() is an instance", async () => {
  await using test = await startHost();
  const source = `const g = metrics.gauge({ name: "own_state", help: "x" });
    return { calls: 0, collect() { g.set(++this.calls); } };`;
  await test.plugin("own.ts", pluginSource("own", source));
  await test.run({ own: {} });
  await waitFor("the series", () => test.text().includes("own_state 1"));
});

test("logging what is no text or number fails no collection, and cannot speak for another instance", async () => {
  await using test = await startHost();
  const source = `return { collect() {
    log.info("odd", { lsn: 16n, symbol: Symbol("s"), instance: "other", plugin: "other", level: "error" });
  } };`;
  await test.plugin("odd.ts", pluginSource("odd", source));
  await test.run({ odd: {} });
  const line = await waitFor("the line", () => test.lines.find(({ msg }) => msg === "odd"));
  expect(line).toMatchObject({ level: "info", instance: "odd", plugin: "odd", field_instance: "other", lsn: "16" });
  await waitFor("the collection", () => test.host.instance("odd")?.status().state === "running");
});

test("a plugin that logs in a loop is heard a thousand times, and then of what was lost", async () => {
  await using test = await startHost();
  const source = `for (let i = 0; i < 50_000; i++) log.info("flood", { i });
    setTimeout(() => log.info("flood", { i: -1 }), 100);
    log.error("heard");
    return {};`;
  await test.plugin("flood.ts", pluginSource("flood", source));
  await test.run({ flood: {} });
  const flood = () => test.lines.filter(({ msg }) => msg === "flood");
  const lost = () => test.lines.filter(({ msg, level }) => level === "info" && msg.startsWith("Lost log lines"));
  await waitFor("the last line", () => flood().at(-1)?.i === -1);
  const total = lost().reduce((sum, { lost_lines }) => sum + Number(lost_lines), flood().length);
  expect(total).toBe(50_001);
  expect(test.lines.filter(({ msg }) => msg === "heard")).toHaveLength(1);
  expect(flood().length).toBeLessThan(2_000);
});

test.each([
  ["postMessage()", "postMessage(null);"],
  ["process.umask(mask)", "process.umask(0o777);"],
  ["process.setuid()", "process.setuid?.(1);"],
])("a plugin cannot call %s", async (name, source) => {
  await using test = await startHost();
  await test.plugin("bad.ts", pluginSource("bad", `return { collect() { ${source} } };`));
  await test.run({ bad: {} });
  expect(await lastError(test, "bad")).toContain(`A plugin cannot call ${name}`);
});

test("a plugin that is still being imported is stopped at once", async () => {
  await using test = await startHost();
  await test.plugin("slow.ts", "for (;;);");
  const prepared = await test.host.prepare(test.config({ slow: {} }), { tolerant: true, deadlineMs: 50 });
  if ("problems" in prepared) throw new Error("refused");
  await test.host.apply(prepared.plan);
  await waitFor("the second import", () => (test.host.instance("slow")?.status().restarts ?? 0) > 0);
  const begin = test.host.instance("slow")?.status().nextRunAt ?? 0;
  await waitFor("its begin", () => Date.now() > begin + 20);
  const startedAt = performance.now();
  await test.host.stop();
  expect(performance.now() - startedAt).toBeLessThan(2_000);
}, 120_000);

test("what a plugin publishes as its last words does not take its successor's series away", async () => {
  await using test = await startHost();
  const source = `const g = metrics.gauge({ name: "pub_value", help: "x" });
    return { collect() { g.set(config.value); }, stop: () => publish() };`;
  await test.plugin("pub.ts", pluginSource("pub", source));
  await test.run({ pub: { staleAfterSeconds: 0.2, intervalSeconds: 0.1, config: { value: 1 } } });
  await waitFor("the series", () => test.text().includes("pub_value 1"));
  await test.run({ pub: { staleAfterSeconds: 60, intervalSeconds: 60, config: { value: 2 } } });
  await waitFor("the successor's series", () => test.text().includes("pub_value 2"));
  // On a slow machine the predecessor's own may have been stale before.
  const known = test.lines.length;
  const until = Date.now() + 500;
  await waitFor("the predecessor's stale_after, long past", () => Date.now() > until);
  expect(test.text()).toContain("pub_value 2");
  expect(test.lines.slice(known).some(({ msg }) => msg === "Series dropped as stale")).toBe(false);
});
