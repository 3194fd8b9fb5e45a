/** Third-party plugins that the tests of the executable configure. */

const plugin = (name: string, setup: string) => `import { definePlugin, z } from "holdfast";
import { Hono } from "hono";
export default definePlugin({
  name: "${name}",
  description: "A plugin of a test",
  config: z.strictObject({ value: z.number().default(1), note: z.string().optional() }),
  setup({ config, metrics, log, name, now }) {
    const value = metrics.gauge({ name: "${name}_value", help: "The configured value.", labelNames: ["instance_name"] });
    const started = metrics.gauge({ name: "${name}_started_timestamp_seconds", help: "When the worker started." });
    const startedAt = (performance.timeOrigin + performance.now()) / 1000;
    ${setup}
  },
});
`;

export const pluginFiles = {
  "plugins/tick.ts": plugin(
    "tick",
    `return { collect() { value.set({ instance_name: name }, config.value); started.set(startedAt); } };`,
  ),
  "plugins/routes.ts": plugin(
    "routes",
    `const http = new Hono()
       .get("/", (c) => c.text("root of " + name))
       .get("/echo/:word", (c) => c.json({ word: c.req.param("word"), prefix: c.req.header("x-forwarded-prefix") ?? "" }))
       .post("/upload", async (c) => c.text(String((await c.req.arrayBuffer()).byteLength)));
     return { http, collect() { value.set({ instance_name: name }, config.value); } };`,
  ),
  "plugins/stuck.ts": plugin("stuck", "return { collect() { for (;;); } };"),
  "plugins/noisy.ts": plugin(
    "noisy",
    `return { async collect() {
       console.log("noise by console");
       (await import("node:fs")).writeSync(1, "noise by descriptor\\n");
       value.set({ instance_name: name }, config.value);
     } };`,
  ),
  "plugins/orphan.ts": plugin(
    "orphan",
    `return { async collect({ run }) {
       void run(["sh", "-c", "echo $$ > " + config.note + "; sleep 300 & sleep 300"]).catch(() => {});
       while (!(await Bun.file(config.note).exists())) await Bun.sleep(5);
       for (;;);
     } };`,
  ),
  "plugins/child.ts": plugin(
    "child",
    `return { async collect({ run }) { await run(["sh", "-c", "echo $$ > " + config.note + "; exec sleep 300"]); } };`,
  ),
} as const;
