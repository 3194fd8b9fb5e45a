/** The agent itself: start, memory, reloads, and what a hung plugin costs the others. */
import { readFileSync } from "node:fs";
import { agentExecutable, startAgent } from "../../test/harness/agent.ts";
import { createFolder } from "../../test/harness/folders.ts";
import { freePort } from "../../test/harness/ports.ts";
import { waitFor } from "../../test/harness/wait.ts";
import { load, print, row } from "./lib/load.ts";

const plugin = (name: string, collect: string) => `
import { definePlugin, z } from "holdfast";
export default definePlugin({
  name: "${name}", description: "For the bench", config: z.looseObject({}),
  setup({ metrics }) {
    const value = metrics.gauge({ name: "${name}_value", help: "A value.", labelNames: ["n"] });
    let ticks = 0;
    return { collect() { ${collect} for (let n = 0; n < 100; n++) value.set({ n: String(n) }, ++ticks); } };
  },
});`;
const files = { "plugins/tick.ts": plugin("tick", ""), "plugins/stuck.ts": plugin("stuck", "for (;;);") };
const instances = (count: number, more = "", interval = "1s") =>
  `plugin_dir: plugins\nplugins:\n${Array.from(
    { length: count },
    (_, n) => `  tick${n}: { plugin: tick, interval: ${interval}, labels: { n: "${n}" } }\n`,
  )
    .join("")
    .replaceAll("labels: { n:", "labels: { number:")}${more}`;
const rssMb = (pid: number) => Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]) / 1024;

const wanted = process.argv.slice(2);
const benches = { start, idleMemory, reloads, collects, hungPlugin };
for (const [name, bench] of Object.entries(benches)) if (wanted.length === 0 || wanted.includes(name)) await bench();

/** From exec to the first answered `/metrics`. */
async function start(): Promise<void> {
  await using folder = await createFolder("holdfast-bench");
  await Bun.write(`${folder.path}/plugins/tick.ts`, files["plugins/tick.ts"]);
  const times: number[] = [];
  for (let round = 0; round < 20; round++) {
    const port = await freePort();
    await Bun.write(`${folder.path}/holdfast.yml`, `listen: 127.0.0.1:${port}\n${instances(5)}`);
    const startedAt = performance.now();
    const child = Bun.spawn([agentExecutable, "run", `--config.file=${folder.path}/holdfast.yml`], {
      stderr: "ignore",
    });
    for (;;) {
      const answer = await fetch(`http://127.0.0.1:${port}/metrics`).catch(() => undefined);
      if (answer?.ok) break;
    }
    times.push(performance.now() - startedAt);
    child.kill();
    await child.exited;
  }
  times.sort((a, b) => a - b);
  print(
    `Start with five instances to the first answered /metrics: median ${times[10]?.toFixed(0)} ms, worst ${times.at(-1)?.toFixed(0)} ms (target: under 150 ms)`,
  );
}

async function idleMemory(): Promise<void> {
  await using agent = await startAgent(instances(5, "", "60s"), { files });
  await waitFor("the first collections", async () => (await agent.scrape()).match(/^tick_value/gm)?.length === 500);
  await Bun.sleep(5_000);
  print(`Idle resident memory with five instances: ${rssMb(agent.pid).toFixed(0)} MB (target: under 110 MB)`);
}

async function reloads(): Promise<void> {
  await using agent = await startAgent(instances(5), { files });
  const reloadsDone = async () =>
    Number(/^holdfast_config_last_reload_success_timestamp_seconds (.*)$/m.exec(await agent.scrape())?.[1]);
  const once = async (round: number) => {
    const before = await reloadsDone();
    await agent.configure(instances(5, `  changing: { plugin: tick, labels: { number: "c${round}" } }\n`));
    agent.signal("SIGUSR1");
    await waitFor("the reload", async () => (await reloadsDone()) > before);
  };
  for (let round = 0; round < 100; round++) await once(round);
  const before = rssMb(agent.pid);
  const startedAt = performance.now();
  for (let round = 100; round < 1_100; round++) await once(round);
  const seconds = (performance.now() - startedAt) / 1000;
  print(
    `1,000 reloads that each replace one of six instances: ${before.toFixed(0)} MB -> ${rssMb(agent.pid).toFixed(0)} MB, ${(seconds).toFixed(1)} ms each`,
  );
}

async function collects(): Promise<void> {
  // An interval has a second at least: ten thousand collections are made by many instances.
  const count = 40;
  await using agent = await startAgent(instances(count), { files });
  const done = async () =>
    [...(await agent.scrape()).matchAll(/^holdfast_collects_total\{.*result="success"\} (\d+)$/gm)].reduce(
      (sum, [, n]) => sum + Number(n),
      0,
    );
  await waitFor("1,000 collections", async () => (await done()) >= 1_000, 120_000);
  const before = rssMb(agent.pid);
  await waitFor("11,000 collections", async () => (await done()) >= 11_000, 600_000);
  print(
    `10,000 collections of 100 series by ${count} instances: ${before.toFixed(0)} MB -> ${rssMb(agent.pid).toFixed(0)} MB`,
  );
}

/** With one instance in an endless loop, `/metrics` p99 stays within twice that without it. */
async function hungPlugin(): Promise<void> {
  const measure = async (more: string) => {
    await using agent = await startAgent(instances(5, more), { files });
    await waitFor("the first collections", async () => (await agent.scrape()).includes("tick_value"));
    return await load(`${agent.url}/metrics`, { seconds: 10, clients: 1, pauseMs: 2 });
  };
  const without = await measure("");
  const beside = await measure("  stuck: { timeout: 600s }\n");
  print(row("five instances", without));
  print(row("and one in an endless loop", beside));
  print(`  ratio of p99 ${(beside.p99Ms / without.p99Ms).toFixed(2)} (target: at most 2)`);
}
