/** What a plugin may do wrong, beside a good one that must not notice. */
import { expect, test } from "bun:test";
import { pluginSource, startHost } from "../../harness/host.ts";
import { waitFor } from "../../harness/wait.ts";

const good = pluginSource(
  "good",
  `let n = 0;
   const ticks = metrics.gauge({ name: "good_ticks", help: "Ticks." });
   return { collect() { ticks.set(++n); } };`,
);

const bad: readonly [what: string, source: string, error: RegExp, reason: string][] = [
  ["throws at import", "throw new Error('no import');", /no import/, "exception"],
  ["has a syntax error", "export default {{{", /Expected|expected|Unexpected|error/i, "parse|exception"],
  ["exports no plugin", "export default 7;", /no plugin as its default export/, "exception"],
  ["calls itself otherwise", pluginSource("other", "return {};"), /calls itself "other"/, "exception"],
  ["throws in setup", pluginSource("bad", "throw new Error('no setup');"), /no setup/, "exception"],
  [
    "throws in collect",
    pluginSource("bad", "return { collect() { throw new Error('no collect'); } };"),
    /no collect/,
    "exception",
  ],
  [
    "leaves a stray promise",
    pluginSource("bad", "return { collect() { Promise.reject(new Error('stray')); return new Promise(() => {}); } };"),
    /stray/,
    "exception",
  ],
  [
    "throws in a timer",
    pluginSource(
      "bad",
      "setTimeout(() => { throw new Error('late'); }, 5); return { collect: () => new Promise(() => {}) };",
    ),
    /late/,
    "exception",
  ],
  ["exits", pluginSource("bad", "return { collect() { process.exit(7); } };"), /exit status 7/, "exception"],
  [
    "has a start() that ends",
    pluginSource("bad", "return { async start() {} };"),
    /start\(\) ended although nothing stopped it/,
    "exception",
  ],
  [
    "registers a broken metric",
    pluginSource("bad", "metrics.gauge({ name: 'a-b', help: 'x' }); return {};"),
    /Cannot register metric "a-b"/,
    "exception",
  ],
  [
    "registers a metric of the agent",
    pluginSource("bad", "metrics.gauge({ name: 'holdfast_x', help: 'x' }); return {};"),
    /the agent's own/,
    "exception",
  ],
  [
    "registers a metric of another plugin",
    pluginSource(
      "bad",
      "const g = metrics.gauge({ name: 'good_ticks', help: 'x' }); return { collect() { g.set(1); } };",
    ),
    /plugin "good" has a gauge "good_ticks"/,
    "exception",
  ],
  [
    "registers a histogram whose samples clash",
    pluginSource(
      "bad",
      `const g = metrics.gauge({ name: "good", help: "x" });
       const h = metrics.gauge({ name: "good_ticks", help: "x" });
       return { collect() { g.set(1); h.set(2); } };`,
    ),
    /Cannot publish/,
    "exception",
  ],
  [
    "sets a value that is no number",
    pluginSource(
      "bad",
      "const g = metrics.gauge({ name: 'b', help: 'x' }); return { collect() { g.set('7' as never); } };",
    ),
    /number/,
    "exception",
  ],
  [
    "runs a command that is not there",
    pluginSource("bad", "return { collect: async ({ run }) => void (await run(['nonesuch-command'])) };"),
    /nonesuch-command/,
    "spawn",
  ],
  [
    "runs a command that fails",
    pluginSource(
      "bad",
      "return { collect: async ({ run }) => void (await run(['sh', '-c', 'echo why >&2; exit 3'])) };",
    ),
    /exit status 3: why/,
    "exit",
  ],
  ["cannot parse", pluginSource("bad", "return { collect() { JSON.parse('{'); } };"), /JSON/, "parse"],
  [
    "changes the folder of the process",
    pluginSource("bad", "return { collect() { process.chdir('/'); } };"),
    /process\.chdir/,
    "exception",
  ],
];

test.each(bad)("a plugin that %s fails alone, and is named with its reason", async (_, source, error, reason) => {
  await using test = await startHost();
  await test.plugin("good.ts", good);
  await test.plugin("bad.ts", source);
  await test.run({ good: {}, bad: {} });
  await waitFor("the good plugin's series", () => test.text().includes("good_ticks 1"));
  const status = await waitFor("the failure", () => test.host.instance("bad")?.status().lastError);
  expect(status.message).toMatch(error);
  expect(status.reason).toMatch(new RegExp(`^(${reason})$`));
  const line = test.lines.find(({ level, instance }) => level === "warn" && instance === "bad");
  expect(line).toMatchObject({ plugin: "bad", reason: status.reason, error: status.message });
  expect(test.host.instance("good")?.status()).toMatchObject({ state: "running", lastError: undefined });
  expect(test.text()).toBe("# HELP good_ticks Ticks.\n# TYPE good_ticks gauge\ngood_ticks 1\n");
});

test("a plugin that loops for ever in collect() is ended and started anew", async () => {
  await using test = await startHost();
  await test.plugin("good.ts", good);
  await test.plugin("bad.ts", pluginSource("bad", "return { collect() { for (;;); } };"));
  await test.run({ good: { intervalSeconds: 0.1 }, bad: { timeoutSeconds: 0.1 } });
  const status = await waitFor("the restart", () => {
    const now = test.host.instance("bad")?.status();
    return now && now.restarts > 0 ? now : undefined;
  });
  expect(status).toMatchObject({ state: "restarting", lastError: { reason: "timeout" } });
  await waitFor("more of the good one", () => Number(/good_ticks (\d+)/.exec(test.text())?.[1]) > 10);
}, 120_000);

test("a plugin that loops for ever at import does not hold up the others", async () => {
  await using test = await startHost();
  await test.plugin("good.ts", good);
  await test.plugin("bad.ts", "for (;;);");
  const prepared = await test.host.prepare(test.config({ good: {}, bad: {} }), { tolerant: true, deadlineMs: 300 });
  if ("problems" in prepared) throw new Error("refused");
  await test.host.apply(prepared.plan);
  await waitFor("the good plugin's series", () => test.text().includes("good_ticks 1"));
  expect(test.host.instance("bad")?.status().lastError?.message).toMatch(/No end of importing the plugin after 0.3 s/);
});

test("a worker that ends soon after each good collection is restarted ever more seldom", async () => {
  await using test = await startHost();
  const source = `return { collect() { setTimeout(() => { throw new Error("stray"); }, 100); } };`;
  await test.plugin("stray.ts", pluginSource("stray", source));
  await test.run({ stray: {} });
  const pauses = () => test.lines.filter(({ msg }) => msg === "Plugin restarts").map((line) => line.after_seconds);
  await waitFor("two restarts", () => pauses().length >= 2, 20_000);
  expect(test.host.instance("stray")?.history.collects.success).toBeGreaterThan(0);
  expect(pauses().slice(0, 2)).toEqual([1, 2]);
}, 60_000);

test("a collection past its timeout has its signal aborted and keeps its worker", async () => {
  await using test = await startHost();
  const source = `const g = metrics.gauge({ name: "slow_ok", help: "x" });
    let n = 0;
    return { collect: async ({ signal, run }) => {
      if (n++ === 0) await run(["sleep", "60"]);
      g.set(1);
    } };`;
  await test.plugin("slow.ts", pluginSource("slow", source));
  await test.run({ slow: { timeoutSeconds: 2, intervalSeconds: 2.5 } });
  await waitFor("the timeout", () => test.host.instance("slow")?.status().lastError?.reason === "timeout");
  await waitFor("the recovery", () => test.text().includes("slow_ok 1"));
  expect(test.host.instance("slow")?.status().restarts).toBe(0);
  expect(test.lines.find(({ msg }) => msg === "Collection succeeds again")).toMatchObject({
    level: "info",
    instance: "slow",
  });
});

test("what a plugin prints goes to the log, not to stdout", async () => {
  await using test = await startHost();
  const source = `console.log("hello %s", "log"); process.stdout.write("written\\n"); console.error("complaint"); return {};`;
  await test.plugin("chatty.ts", pluginSource("chatty", source));
  await test.run({ chatty: {} });
  await waitFor("the output", () => test.lines.filter(({ msg }) => msg === "Output of the plugin").length === 3);
  const outputs = test.lines.filter(({ msg }) => msg === "Output of the plugin");
  expect(outputs.map(({ stream, output }) => [stream, output])).toEqual([
    ["stdout", "hello log"],
    ["stdout", "written"],
    ["stderr", "complaint"],
  ]);
});

test("the commands of a worker that is ended do not outlive it", async () => {
  await using test = await startHost();
  const source = `return { collect: async ({ run }) => {
      void run(["sh", "-c", "echo $$ > " + config.file + "; sleep 300 & sleep 300"]).catch(() => {});
      const { existsSync } = await import("node:fs");
      while (!existsSync(config.file)) await Bun.sleep(5);
      for (;;);
    } };`;
  await test.plugin("spawner.ts", pluginSource("spawner", source));
  const file = `${test.pluginDir}/pid`;
  await test.run({ spawner: { timeoutSeconds: 0.5, config: { file } } });
  const pid = await waitFor("the command", async () => Number((await Bun.file(file).text()).trim()) || undefined);
  await waitFor("the restart", () => (test.host.instance("spawner")?.status().restarts ?? 0) > 0);
  await waitFor("the end of the process group", async () => {
    const group = await Bun.$`ps -o stat= -g ${pid}`.nothrow().text();
    return group.split("\n").every((state) => state === "" || state.startsWith("Z"));
  });
}, 120_000);

test("secrets appear neither in the log nor in the status", async () => {
  await using test = await startHost();
  const source = `log.info("Connecting", { url: "postgres://u:" + config.password + "@h" });
    return { collect() { throw new Error("bad password " + config.password); } };`;
  await test.plugin("leaky.ts", pluginSource("leaky", source));
  await test.run({ leaky: { config: { password: "hunter2secret" }, secrets: ["hunter2secret"] } });
  await waitFor("the failure", () => test.host.instance("leaky")?.status().lastError);
  expect(test.host.instance("leaky")?.status().lastError?.message).toBe("bad password [redacted]");
  expect(JSON.stringify(test.lines)).not.toContain("hunter2secret");
});

test("a plugin whose schema throws does not bring a secret into the problems of the configuration", async () => {
  await using test = await startHost();
  const source = pluginSource("parser", "return {};").replace(
    "z.looseObject({})",
    "z.object({ account: z.string().transform((text) => { throw new Error(`Cannot parse ${text}`); }) })",
  );
  await test.plugin("parser.ts", source);
  const instance = { config: { account: "hunter2secret" }, secrets: ["hunter2secret"] };
  const prepared = await test.host.prepare(test.config({ parser: instance }));
  const problems = "problems" in prepared ? prepared.problems.map(({ message }) => message) : [];
  expect(problems).toEqual(['Cannot load plugin "parser" of plugins.parser: Cannot parse [redacted]']);
});

test("a value that comes from a reference since the last reload is a secret from then on", async () => {
  await using test = await startHost();
  const source = `let n = 0; return { collect() { log.info("Connecting", { n: ++n, password: config.password }); } };`;
  await test.plugin("leaky.ts", pluginSource("leaky", source));
  const instance = { intervalSeconds: 0.05, config: { password: "hunter2secret" } };
  await test.run({ leaky: instance });
  const before = test.host.instance("leaky");
  await test.run({ leaky: { ...instance, secrets: ["hunter2secret"] } });
  const told = test.lines.length;
  const line = await waitFor("a line", () => test.lines.slice(told).find(({ msg }) => msg === "Connecting"), 20_000);
  expect(line.password).toBe("[redacted]");
  expect(test.host.instance("leaky")).toBe(before as NonNullable<typeof before>);
});

test("a syntax error of a plugin is told with its place", async () => {
  await using test = await startHost();
  await test.plugin("bad.ts", "export default {\n  name: ;\n};\n");
  await test.run({ bad: {} });
  const status = await waitFor("the failure", () => test.host.instance("bad")?.status().lastError);
  expect(status.message).toMatch(/bad\.ts:2:\d+: /);
});

test("every way of the console to print ends in the log", async () => {
  await using test = await startHost();
  const source = `console.table([{ a: 1 }]); console.dir({ b: 2 }); console.group("c"); console.assert(false, "d"); return {};`;
  await test.plugin("chatty.ts", pluginSource("chatty", source));
  await test.run({ chatty: {} });
  const output = () =>
    test.lines.filter(({ msg }) => msg === "Output of the plugin").map(({ output }) => String(output));
  await waitFor("the last of it", () => output().length >= 4 && output().at(-1)?.includes("d"));
  for (const word of ["a", "b: 2", "c", "d"]) expect(output().join("\n")).toContain(word);
});

test("a default interval under a second is refused", async () => {
  await using test = await startHost();
  const source = pluginSource("fast", "return { collect() {} };").replace(
    "config:",
    'defaults: { interval: "1ms" }, config:',
  );
  await test.plugin("fast.ts", source);
  await test.run({ fast: {} });
  const status = await waitFor("the failure", () => test.host.instance("fast")?.status().lastError);
  expect(status.message).toContain('Cannot use the plugin\'s default interval "1ms"');
});
