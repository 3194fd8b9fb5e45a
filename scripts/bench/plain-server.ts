/** What `/metrics` is compared with: hono and prom-client, rendering the same series at each scrape. */
import { Hono } from "hono";
import { compress } from "hono/compress";
import { Gauge, Registry } from "prom-client";

const series = Number(process.argv[2] ?? 100_000);
const registry = new Registry();
const gauge = new Gauge({
  name: "bench_value",
  help: "A value.",
  labelNames: ["number", "kind"],
  registers: [registry],
});
for (let n = 0; n < series; n++) gauge.set({ number: String(n), kind: n % 2 ? "odd" : "even" }, n * 1.5);
const app = new Hono();
app.use(compress());
app.get("/metrics", async (c) => c.text(await registry.metrics(), 200, { "Content-Type": registry.contentType }));
const server = Bun.serve({ hostname: "127.0.0.1", port: 0, idleTimeout: 60, fetch: app.fetch });
process.stdout.write(`${server.port}\n`);
