import { expect, test } from "bun:test";
import { ownInstance } from "../../../agent/commands/own-instance.ts";
import { Reloader } from "../../../agent/host/reload.ts";
import { lastCollections, ownText } from "../../../agent/metrics/own.ts";
import { pluginSource, startHost, type TestHost } from "../../harness/host.ts";
import { waitFor } from "../../harness/wait.ts";

const counter = (name: string, value = 1) =>
  pluginSource(
    name,
    `const g = metrics.gauge({ name: "${name}_value", help: "x" });
     const started = metrics.gauge({ name: "${name}_started", help: "x" });
     const at = performance.timeOrigin + performance.now();
     return { collect() { g.set(${value}); started.set(at); }, stop() { log.info("stopped by the agent"); } };`,
  );

const startedAt = (test: TestHost, name: string) => new RegExp(`^${name}_started (.*)$`, "m").exec(test.text())?.[1];

test("an unchanged instance keeps its worker, a changed one gets a new one, a removed one stops cleanly", async () => {
  await using test = await startHost();
  for (const name of ["same", "changed", "gone"]) await test.plugin(`${name}.ts`, counter(name));
  await test.run({ same: {}, changed: {}, gone: {} });
  const before = await waitFor("all series", () => {
    const all = ["same", "changed", "gone"].map((name) => startedAt(test, name));
    return all.every((at) => at !== undefined) && all;
  });
  const same = test.host.instance("same");
  await test.run({ changed: { config: { a: 1 } }, same: {} });
  expect(test.host.instance("same")).toBe(same as NonNullable<typeof same>);
  expect(test.text()).toContain("changed_value");
  expect(test.text()).not.toContain("gone_value");
  await waitFor("the new worker's snapshot", () => startedAt(test, "changed") !== before[1]);
  expect(startedAt(test, "same")).toBe(before[0]);
  expect(test.host.instances.map(({ config }) => config.name)).toEqual(["changed", "same"]);
  const stopped = () => test.lines.filter(({ msg }) => msg === "stopped by the agent").map(({ instance }) => instance);
  await waitFor("both to stop", () => stopped().length >= 2);
  expect(stopped().sort()).toEqual(["changed", "gone"]);
});

test("a changed plugin file, and a file that it imports, are a changed instance", async () => {
  await using test = await startHost();
  await test.plugin("value.ts.txt", "");
  await test.plugin("p.ts", counter("p", 1));
  await test.run({ p: {} });
  await waitFor("the series", () => test.text().includes("p_value 1"));
  await test.plugin("p.ts", counter("p", 2));
  await test.run({ p: {} });
  await waitFor("the new code", () => test.text().includes("p_value 2"));

  const library = (value: number) => Bun.write(`${test.pluginDir}/lib/value.ts`, `export const value = ${value};`);
  await library(3);
  const source = `const g = metrics.gauge({ name: "p_value", help: "x" }); return { collect() { g.set(value); } };`;
  await test.plugin("p.ts", pluginSource("p", source, `import { value } from "./lib/value.ts";`));
  await test.run({ p: {} });
  await waitFor("the imported value", () => test.text().includes("p_value 3"));
  await library(4);
  await test.run({ p: {} });
  await waitFor("the changed import", () => test.text().includes("p_value 4"));
});

test("an instance under another name starts when the one that had the name before has let go of everything", async () => {
  await using test = await startHost();
  const source = `mkdirSync(config.lock);
    const g = metrics.gauge({ name: "p_value", help: "x" });
    return { collect() { g.set(1); }, async stop() { await Bun.sleep(100); rmdirSync(config.lock); } };`;
  await test.plugin("p.ts", pluginSource("p", source, 'import { mkdirSync, rmdirSync } from "node:fs";'));
  const instance = { plugin: "p", config: { lock: `${test.pluginDir}/lock` } };
  await test.run({ before: instance });
  await waitFor("the series", () => test.text().includes("p_value 1"), 20_000);
  await test.run({ after: instance });
  expect(await test.host.instance("after")?.firstCollection).toBeUndefined();
  expect(test.host.instance("after")?.status()).toMatchObject({ restarts: 0, lastError: undefined });
  expect(test.text().match(/^p_value 1$/gm)).toHaveLength(1);
});

test("two instances of a plugin whose metric became another type do not stand in each other's way", async () => {
  await using test = await startHost();
  const source = (type: string, set: string) =>
    pluginSource(
      "p",
      `const m = metrics.${type}({ name: "p_value", help: "x" }); return { collect() { m.${set}(1); } };`,
    );
  const instances = { a: { plugin: "p", labels: { k: "a" } }, b: { plugin: "p", labels: { k: "b" } } };
  const values = () => test.text().match(/^p_value/gm)?.length;
  await test.plugin("p.ts", source("gauge", "set"));
  await test.run(instances);
  await waitFor("the gauges", () => values() === 2, 20_000);
  await test.plugin("p.ts", source("counter", "inc"));
  await test.run(instances);
  for (const { firstCollection } of test.host.instances) expect(await firstCollection).toBeUndefined();
  expect(values()).toBe(2);
  expect(test.text()).toContain("# TYPE p_value counter");
});

test("of an instance that collects no more no old collection is told, which alerts would take for one that fails", async () => {
  await using test = await startHost();
  await test.plugin("p.ts", counter("p"));
  await test.run({ p: {} });
  const told = () => {
    const instances = test.host.instances.map(ownInstance);
    return ownText(lastCollections(instances));
  };
  await waitFor("a collection", () => told().includes("last_success_timestamp_seconds{"), 20_000);
  await test.plugin("p.ts", pluginSource("p", "return {};"));
  await test.run({ p: {} });
  expect(await test.host.instance("p")?.firstCollection).toBeUndefined();
  expect(told()).toBe("");
});

test("a change that mends nothing is told as a failure anew, and one that does as a recovery", async () => {
  await using test = await startHost();
  await test.plugin("p.ts", pluginSource("p", "return { collect() { if (config.isDown) throw new Error('down'); } };"));
  const told = (text: string) => test.lines.filter(({ msg, level }) => msg === text && level !== "debug").length;
  for (const attempt of [1, 2, 3]) {
    await test.run({ p: { config: { isDown: true, attempt } } });
    expect(await test.host.instance("p")?.firstCollection).toMatchObject({ message: "down" });
    expect(told("Collection failed")).toBe(attempt);
  }
  await test.run({ p: {} });
  expect(await test.host.instance("p")?.firstCollection).toBeUndefined();
  expect(told("Collection succeeds again")).toBe(1);
});

test("what a predecessor has left ages by the plugin's own interval", async () => {
  await using test = await startHost();
  const source = `const g = metrics.gauge({ name: "p_value", help: "x" });
    return { collect() { if (config.isDown) throw new Error("down"); g.set(1); } };`;
  await test.plugin(
    "p.ts",
    pluginSource("p", source).replace("config:", 'defaults: { interval: "1s", timeout: "1s" }, config:'),
  );
  await test.run({ p: {} });
  await waitFor("the series", () => test.text().includes("p_value 1"), 20_000);
  await test.run({ p: { config: { isDown: true } } });
  expect(test.text()).toContain("p_value 1");
  await waitFor("the series to be dropped", () => test.text() === "", 20_000);
}, 60_000);

test("there is no moment without an instance's series while it is replaced", async () => {
  await using test = await startHost();
  const source = `const g = metrics.gauge({ name: "p_value", help: "x" });
    return { async collect() { await Bun.sleep(30); g.set(config.value); } };`;
  await test.plugin("p.ts", pluginSource("p", source));
  await test.run({ p: { config: { value: 0 } } });
  await waitFor("the series", () => test.text().includes("p_value 0"));
  let over = false;
  const watching = (async () => {
    for (; !over; await Bun.sleep(1)) expect(test.text()).toContain("p_value");
  })();
  for (let value = 1; value <= 10; value++) {
    await test.run({ p: { config: { value } } });
    await waitFor("the new value", () => test.text().includes(`p_value ${value}\n`));
  }
  over = true;
  await watching;
  expect(test.host.instance("p")?.history.collects.success).toBeGreaterThanOrEqual(11);
});

test("a configuration that a plugin refuses changes nothing", async () => {
  await using test = await startHost();
  await test.plugin(
    "p.ts",
    counter("p").replace("z.looseObject({})", "z.strictObject({ size: z.number().optional() })"),
  );
  await test.run({ p: {} });
  await waitFor("the series", () => test.text().includes("p_value 1"));
  const before = test.host.instance("p");
  const refused = await test.host.prepare(test.config({ p: { config: { sise: 1 } } }));
  expect(refused).toMatchObject({ problems: [{ message: expect.stringContaining('unknown key "sise"') }] });
  const broken = await test.host.prepare(test.config({ p: {}, nonesuch: {} }));
  expect(broken).toMatchObject({ problems: [{ message: expect.stringContaining('Cannot find plugin "nonesuch"') }] });
  expect(test.host.instance("p")).toBe(before as NonNullable<typeof before>);
});

test("a name that the executable and a file claim is refused with both places", async () => {
  await using test = await startHost();
  await test.plugin("barman.ts", counter("barman"));
  const refused = await test.host.prepare(test.config({ barman: {} }));
  expect(refused).toMatchObject({
    problems: [{ message: expect.stringMatching(/the executable and in .*barman\.ts/) }],
  });
});

test("a hundred reload requests in a row are two reloads, and each is answered by one that began after it", async () => {
  let reloads = 0;
  const reloader = new Reloader(async () => {
    const number = ++reloads;
    await Bun.sleep(20);
    return { successful: true, message: String(number) };
  });
  const results = await Promise.all(Array.from({ length: 100 }, () => reloader.request()));
  expect(reloads).toBe(2);
  expect(results.map(({ message }) => message)).toEqual(["1", ...Array.from({ length: 99 }, () => "2")]);
  expect(await reloader.request()).toMatchObject({ message: "3" });
});

test("an instance keeps its counts over a reload", async () => {
  await using test = await startHost();
  await test.plugin("p.ts", counter("p"));
  await test.run({ p: {} });
  await waitFor("a collection", () => test.host.instance("p")?.history.collects.success === 1);
  await test.run({ p: { config: { other: true } } });
  await waitFor("another", () => test.host.instance("p")?.history.collects.success === 2);
});

test("a plugin_dir that cannot be read is told once, and hides nothing of plugins in the executable", async () => {
  await using test = await startHost();
  const bad = { ...test.config({ own: {}, barman: { config: { pth: "x" } } }), pluginDir: "/nonesuch/plugins" };
  const prepared = await test.host.prepare(bad);
  if (!("problems" in prepared)) throw new Error("prepared");
  expect(prepared.problems.map(({ message }) => message)).toMatchObject([
    "Cannot read plugin_dir: /nonesuch/plugins: no such file, expected a folder of plugins",
    expect.stringContaining('unknown key "pth"'),
  ]);
});

test("more instances than load at once all get their time to load", async () => {
  // Sixteen at once: all of them take nine seconds at least.
  await using test = await startHost();
  await test.plugin("slow.ts", pluginSource("slow", "return {};", "await Bun.sleep(3000);"));
  const names = Array.from({ length: 40 }, (_, index) => [`i${index}`, { plugin: "slow" }]);
  const prepared = await test.host.prepare(test.config(Object.fromEntries(names)), { deadlineMs: 8_500 });
  if ("problems" in prepared) throw new Error(prepared.problems[0]?.message);
  expect(prepared.plan.entries.map(({ config }) => config.name)).toEqual(names.map(([name]) => String(name)));
  test.host.abandon(prepared.plan);
}, 120_000);
