import { expect, test } from "bun:test";
import { Hono } from "hono";
import { definePlugin, replay, testPlugin, z } from "../../../agent/sdk/index.ts";

const counting = definePlugin({
  name: "counting",
  description: "Counts what a command says",
  config: z.strictObject({
    command: z.string().default("count"),
    asynchronous: z
      .string()
      .refine(async () => true)
      .optional(),
  }),
  setup({ name, config, metrics, log, signal, publish, now }) {
    const things = metrics.gauge({ name: "things", help: "Things.", labelNames: ["name"] });
    const runs = metrics.counter({ name: "runs_total", help: "Runs." });
    const at = metrics.gauge({ name: "at_timestamp_seconds", help: "When." });
    signal.addEventListener("abort", () => log.info("Stopping"));
    return {
      async collect({ run }) {
        runs.inc();
        at.set(now() / 1000);
        const { stdout } = await run([config.command]);
        things.set({ name }, Number(stdout));
        log.debug("Counted", { things: Number(stdout) });
      },
      http: new Hono().get("/publish", async (c) => {
        await publish();
        return c.text("published\n");
      }),
      stop: () => log.info("Stopped"),
    };
  },
});

const counted = (stdout: string) => ({ command: ["count"], stdout });

test("collects on recordings and gives the text that a scrape would show", async () => {
  const { collect } = await testPlugin(counting, {
    name: "main",
    labels: { cluster: "a" },
    run: replay([counted("7\n")]),
    now: () => 1_763_712_000_000,
  });
  expect(await collect()).toBe(`# HELP at_timestamp_seconds When.
# TYPE at_timestamp_seconds gauge
at_timestamp_seconds{cluster="a"} 1763712000
# HELP runs_total Runs.
# TYPE runs_total counter
runs_total{cluster="a"} 1
# HELP things Things.
# TYPE things gauge
things{name="main",cluster="a"} 7
`);
});

test("keeps the gauges of the last good collection when one fails; counters go on", async () => {
  const run = replay([counted("7"), { command: ["count"], exitCode: 1 }]);
  const { collect, text } = await testPlugin(counting, { run, now: () => 0 });
  const first = await collect();
  await expect(collect()).rejects.toThrow("exit status 1");
  expect(await text()).toBe(first.replace("runs_total 1", "runs_total 2"));
});

test("runs real commands where none are replaced, and they end with the signal given", async () => {
  const { collect } = await testPlugin(counting, { config: { command: "nproc" } });
  expect(await collect()).toMatch(/^things\{name="counting"\} [1-9]/m);
  await expect(collect({ signal: AbortSignal.abort() })).rejects.toThrow("aborted");
});

test("refuses a configuration that does not fit, and reads one whose schema waits", async () => {
  await expect(testPlugin(counting, { config: { comand: "x" } })).rejects.toThrow("comand");
  await testPlugin(counting, { config: { asynchronous: "x" } });
});

test("keeps what was logged and what was published", async () => {
  const kit = await testPlugin(counting, { run: replay([counted("3")]) });
  await kit.collect();
  const response = await kit.instance.http?.request("/publish");
  expect(await response?.text()).toBe("published\n");
  expect(kit.published).toEqual([await kit.text()]);
  await kit.stop();
  expect(kit.logs).toEqual([
    { level: "debug", message: "Counted", fields: { things: 3 } },
    { level: "info", message: "Stopping", fields: {} },
    { level: "info", message: "Stopped", fields: {} },
  ]);
});
