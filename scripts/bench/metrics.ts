/** `/metrics` with 100,000 series against a plain hono and prom-client server, side by side. */
import { startAgent } from "../../test/harness/agent.ts";
import { type LoadResult, load, print, row } from "./lib/load.ts";

const series = 100_000;
const plugin = `
import { definePlugin, z } from "holdfast";
export default definePlugin({
  name: "bench", description: "Many series", config: z.strictObject({}),
  setup({ metrics }) {
    const gauge = metrics.gauge({ name: "bench_value", help: "A value.", labelNames: ["number", "kind"] });
    return { collect() {
      for (let n = 0; n < ${series}; n++) gauge.set({ number: String(n), kind: n % 2 ? "odd" : "even" }, n * 1.5);
    } };
  },
});`;

const plain = Bun.spawn([process.execPath, new URL("plain-server.ts", import.meta.url).pathname, String(series)], {
  stdout: "pipe",
});
try {
  const { value } = await plain.stdout.getReader().read();
  const plainUrl = `http://127.0.0.1:${new TextDecoder().decode(value).trim()}/metrics`;
  await using agent = await startAgent("plugin_dir: plugins\nplugins:\n  bench: { interval: 5s }\n", {
    files: { "plugins/bench.ts": plugin },
  });
  while (!(await agent.scrape()).includes("bench_value")) await Bun.sleep(50);
  const agentUrl = `${agent.url}/metrics`;
  for (const [what, headers] of [
    ["plain text", { "Accept-Encoding": "identity" }],
    ["gzip", { "Accept-Encoding": "gzip" }],
  ] as const) {
    print(`${series} series, ${what}, one client at a time:`);
    const [old, ours] = await sideBySide(plainUrl, agentUrl, headers);
    print(row("hono + prom-client", old));
    print(row("holdfast", ours));
    print(`  ratio ${(ours.requestsPerSecond / old.requestsPerSecond).toFixed(1)} (target: at least 50)`);
    print(`  median ${ours.medianMs.toFixed(2)} ms (target: under 5 ms)`);
    print();
  }
} finally {
  plain.kill();
  await plain.exited;
}

/** In turns, so that both meet the same machine. */
async function sideBySide(
  one: string,
  other: string,
  headers: Record<string, string>,
): Promise<[LoadResult, LoadResult]> {
  await load(one, { seconds: 1, clients: 1, headers });
  await load(other, { seconds: 1, clients: 1, headers });
  const first = await load(one, { seconds: 5, clients: 1, headers });
  return [first, await load(other, { seconds: 5, clients: 1, headers })];
}
