/** Reload of the compiled executable: by signal and by HTTP, under load, with good and broken files. */
import { expect, test } from "bun:test";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type Agent, startAgent } from "../harness/agent.ts";
import { freePort } from "../harness/ports.ts";
import { waitFor } from "../harness/wait.ts";
import { pluginFiles } from "./plugins.ts";

const head = "plugin_dir: plugins\nplugins:\n";
const reloadsIn = (agent: Agent) => agent.stderr.filter((line) => line.includes('msg="Configuration reloaded"')).length;
const failuresIn = (agent: Agent) => agent.stderr.filter((line) => line.includes("Configuration not reloaded")).length;

async function reload(agent: Agent, yaml: string, signal: NodeJS.Signals = "SIGUSR1"): Promise<void> {
  const before = reloadsIn(agent);
  await agent.configure(yaml);
  agent.signal(signal);
  await waitFor("the reload", () => reloadsIn(agent) > before);
}

test("a reload changes what differs, leaves the rest alone, and no scrape misses a series meanwhile", async () => {
  const same = "  same: { plugin: tick, interval: 1s }\n";
  const changed = (value: number) =>
    `  changed: { plugin: tick, interval: 1s, labels: { k: c }, config: { value: ${value} } }\n`;
  await using agent = await startAgent(head + same + changed(0), { files: pluginFiles });
  const started = async () => /^tick_started_timestamp_seconds (\S+)$/m.exec(await agent.scrape())?.[1];
  await waitFor("the series", async () => (await agent.scrape()).match(/^tick_value/gm)?.length === 2);
  const before = await started();
  let over = false;
  let scrapes = 0;
  const watching = (async () => {
    for (; !over; scrapes++) {
      const page = await agent.scrape();
      expect(page.match(/^tick_value/gm)?.length).toBe(2);
      expect(page.match(/^holdfast_collect_success/gm)?.length).toBe(2);
    }
  })();
  for (let value = 1; value <= 10; value++) {
    await reload(agent, head + same + changed(value), value % 2 ? "SIGUSR1" : "SIGHUP");
    await waitFor("the new value", async () => (await agent.scrape()).includes(`,k="c"} ${value}\n`));
  }
  over = true;
  await watching;
  expect(scrapes).toBeGreaterThan(20);
  expect(await started()).toBe(before);

  await reload(agent, head + same);
  expect(await agent.scrape()).not.toContain("changed");
});

test("a broken file changes nothing, says what is wrong and where, and a metric tells", async () => {
  await using agent = await startAgent(`${head}  tick: { interval: 1s }\n`, { files: pluginFiles });
  await waitFor("the series", async () => (await agent.scrape()).includes("tick_value"));
  const broken: [yaml: string, said: RegExp][] = [
    [`${head}  tick: { intervall: 1s }\n`, /intervall.*did you mean.*interval/],
    [`${head}  tick: { interval: 1s, config: { valeu: 1 } }\n`, /valeu.*did you mean.*value/],
    [`${head}  tick: {\n`, /holdfast\.yml:\d+:\d+/],
    [`${head}  tick: {}\n  more: { plugin: nonesuch }\n`, /Cannot find plugin .*nonesuch/],
  ];
  for (const [index, [yaml, said]] of broken.entries()) {
    await agent.configure(yaml);
    agent.signal("SIGUSR1");
    await waitFor("the failure", () => failuresIn(agent) > index);
    expect(agent.stderr.findLast((line) => line.includes("Configuration not reloaded"))).toMatch(said);
    const page = await agent.scrape();
    expect(page).toContain("holdfast_config_last_reload_successful 0\n");
    expect(page).toContain("tick_value");
  }
  expect(await (await agent.fetch("/")).text()).toContain("not reloaded");
  await reload(agent, `${head}  tick: { interval: 1s, config: { value: 9 } }\n`);
  await waitFor("the new value", async () => (await agent.scrape()).includes('tick_value{instance_name="tick"} 9'));
  expect(await agent.scrape()).toContain("holdfast_config_last_reload_successful 1\n");
});

test("a hundred signals in a row are one or two reloads", async () => {
  await using agent = await startAgent(`${head}  tick: {}\n`, { files: pluginFiles });
  for (let n = 0; n < 100; n++) agent.signal(n % 2 ? "SIGUSR1" : "SIGHUP");
  await waitFor("a reload", () => reloadsIn(agent) > 0);
  await reload(agent, `${head}  tick: { config: { value: 2 } }\n`);
  expect(reloadsIn(agent)).toBeLessThanOrEqual(3);
});

test("POST /-/reload reloads when it is enabled, and answers with what is wrong", async () => {
  await using agent = await startAgent(`enable_reload: true\n${head}  tick: {}\n`, { files: pluginFiles });
  await agent.configure(`enable_reload: true\n${head}  tick: { config: { value: 5 } }\n`);
  expect((await agent.fetch("/-/reload", { method: "POST" })).status).toBe(200);
  await waitFor("the new value", async () => (await agent.scrape()).includes("} 5\n"));
  await agent.configure(`enable_reload: true\n${head}  tick: { config: { value: five } }\n`);
  const refused = await agent.fetch("/-/reload", { method: "POST" });
  expect(refused.ok).toBe(false);
  expect(await refused.text()).toMatch(/expected a number/);
  expect((await agent.fetch("/-/reload")).status).toBe(405);
  await reload(agent, `${head}  tick: {}\n`);
  expect((await agent.fetch("/-/reload", { method: "POST" })).ok).toBe(false);
});

test("a changed plugin file is a changed instance", async () => {
  await using agent = await startAgent(`${head}  tick: { interval: 1s }\n`, { files: pluginFiles });
  await waitFor("the series", async () => (await agent.scrape()).includes("tick_value"));
  const file = join(agent.folder, "plugins/tick.ts");
  await writeFile(file, pluginFiles["plugins/tick.ts"].replace("config.value)", "config.value + 41)"));
  await reload(agent, `${head}  tick: { interval: 1s }\n`);
  await waitFor("the new code", async () => (await agent.scrape()).includes("} 42\n"));
  await writeFile(file, "export default {{{");
  agent.signal("SIGUSR1");
  await waitFor("the refusal", () => failuresIn(agent) === 1);
  expect(await agent.scrape()).toContain("} 42\n");
});

test("a reload moves addresses: the new one answers, the old one ends, an unusable one changes nothing", async () => {
  const [first, second, own] = [await freePort(), await freePort(), await freePort()];
  const yaml = (port: number, more = "") => `listen: 127.0.0.1:${port}\n${head}  routes: { interval: 1s${more} }\n`;
  await using agent = await startAgent(yaml(first), { files: pluginFiles, waitReady: false });
  const answers = (port: number) =>
    fetch(`http://127.0.0.1:${port}/-/ready`).then(
      ({ ok }) => ok,
      () => false,
    );
  await waitFor("the agent", () => answers(first));
  await reload(agent, yaml(second, `, listen: "127.0.0.1:${own}"`));
  expect(await answers(second)).toBe(true);
  await waitFor("the end of the old address", async () => !(await answers(first)));
  const ownPage = async () => (await fetch(`http://127.0.0.1:${own}/metrics`)).text();
  await waitFor("the series", async () => (await ownPage()).includes("routes_value"));

  using taken = Bun.serve({ hostname: "127.0.0.1", port: 0, fetch: () => new Response("taken") });
  await agent.configure(yaml(taken.port ?? 0));
  agent.signal("SIGUSR1");
  await waitFor("the refusal", () => failuresIn(agent) === 1);
  expect(await answers(second)).toBe(true);
  expect(await (await fetch(`http://127.0.0.1:${own}/`)).text()).toBe("root of routes");
});

test("an agent that is stopped while a reload loads a plugin waits for no import, and starts nothing any more", async () => {
  const slow = `import { existsSync, writeFileSync } from "node:fs";
    import { definePlugin, z } from "holdfast";
    writeFileSync("importing", "");
    while (!existsSync("go")) await Bun.sleep(20);
    export default definePlugin({ name: "slow", description: "x", config: z.object({}), setup: () => ({}) });`;
  await using agent = await startAgent(`${head}  tick: { interval: 1s }\n`, {
    files: { ...pluginFiles, "plugins/slow.ts": slow },
  });
  await agent.configure(`${head}  tick: { interval: 1s }\n  slow: {}\n`);
  agent.signal("SIGUSR1");
  await waitFor("the import", () => Bun.file(join(agent.folder, "importing")).exists(), 20_000);
  expect(await agent.stop()).toBe(0);
  expect(failuresIn(agent) + reloadsIn(agent)).toBe(0);
}, 60_000);
