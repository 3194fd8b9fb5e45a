/** The compiled executable as its users run it. */
import { expect, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { runOnce, startAgent } from "../harness/agent.ts";
import { describeWith } from "../harness/describe-with.ts";
import { createFolder } from "../harness/folders.ts";
import { freePort } from "../harness/ports.ts";
import { waitFor } from "../harness/wait.ts";
import { pluginFiles } from "./plugins.ts";

const yaml = `plugin_dir: plugins
plugins:
  tick: { interval: 1s, config: { value: 3 } }
  other: { plugin: tick, interval: 1s, labels: { site: "b" } }
  routes: {}
`;

test("an agent serves its plugins' metrics, its own, health and status", async () => {
  await using agent = await startAgent(yaml, { files: pluginFiles });
  const text = await waitFor("the series", async () => {
    const page = await agent.scrape();
    const series = [
      'tick_value{instance_name="tick"} 3',
      'tick_value{instance_name="other",site="b"} 1',
      "routes_value",
    ];
    return series.every((one) => page.includes(one)) && page;
  });
  expect(text).toContain('tick_value{instance_name="tick"} 3\n');
  expect(text).toMatch(/^holdfast_build_info\{version="\d+\.\d+\.\d+",revision="[^"]+",bun_version="[^"]+"\} 1$/m);
  expect(text).toMatch(/^holdfast_plugin_info\{name="tick",plugin="tick",version="",source="[^"]+tick\.ts"\} 1$/m);
  expect(text).toContain('holdfast_collect_success{name="tick"} 1\n');
  expect(text).toContain('holdfast_collect_failures_total{name="tick",reason="timeout"} 0\n');
  expect(text).toContain("holdfast_config_last_reload_successful 1\n");
  expect(text).toMatch(/^process_resident_memory_bytes \d+$/m);
  expect(text).not.toMatch(/[{,](instance|job)="/);

  expect((await agent.fetch("/-/healthy")).status).toBe(200);
  expect((await agent.fetch("/-/ready")).status).toBe(200);
  expect(await (await agent.fetch("/")).text()).toContain("tick");
  const status = (await (await agent.fetch("/api/v1/status")).json()) as {
    instances: { name: string; state: string }[];
  };
  expect(status.instances.map(({ name, state }) => [name, state])).toEqual([
    ["tick", "running"],
    ["other", "running"],
    ["routes", "running"],
  ]);
});

test("?collect[]= and ?exclude[]= choose instances", async () => {
  await using agent = await startAgent(yaml, { files: pluginFiles });
  await waitFor("the series", async () => (await agent.scrape()).match(/^(tick|routes)_value/gm)?.length === 3);
  const series = async (query: string) => (await agent.scrape(`/metrics?${query}`)).match(/^(tick|routes)_value.*$/gm);
  expect(await series("collect[]=other")).toEqual(['tick_value{instance_name="other",site="b"} 1']);
  expect(await series("exclude[]=other&exclude[]=routes")).toEqual(['tick_value{instance_name="tick"} 3']);
  expect((await agent.fetch("/metrics?collect[]=othr")).status).toBe(400);
  expect((await agent.fetch("/metrics?collect[]=tick&exclude[]=other")).status).toBe(400);
});

test("a plugin's routes answer below its name, and at the root of its own port beside its metrics", async () => {
  const port = await freePort();
  await using agent = await startAgent(
    `${yaml.trimEnd().replace("routes: {}", `routes: { listen: "127.0.0.1:${port}" }`)}\n`,
    {
      files: pluginFiles,
    },
  );
  await waitFor("the routes", async () => (await agent.fetch("/routes/")).ok);
  expect(await (await agent.fetch("/routes/")).text()).toBe("root of routes");
  expect(await (await agent.fetch("/routes/echo/a%2Fb")).json()).toEqual({ word: "a/b", prefix: "/routes" });
  const body = new Uint8Array(5_000_000);
  expect(await (await agent.fetch("/routes/upload", { method: "POST", body })).text()).toBe("5000000");
  const own = `http://127.0.0.1:${port}`;
  expect(await (await fetch(`${own}/`)).text()).toBe("root of routes");
  const page = await waitFor("the series", async () => {
    const text = await (await fetch(`${own}/metrics`)).text();
    return text.includes("routes_value") && text;
  });
  expect(page).not.toContain("tick_value");
  expect((await agent.fetch("/tick/")).status).toBe(404);
  expect((await agent.fetch("/nothing/")).status).toBe(404);
});

test("a plugin in an endless loop leaves the metrics page and the other plugins alone", async () => {
  await using agent = await startAgent(`${yaml}  stuck: { interval: 1s, timeout: 1s }\n`, { files: pluginFiles });
  const page = await waitFor(
    "the restart",
    async () => {
      const text = await agent.scrape();
      return text.includes('holdfast_plugin_restarts_total{name="stuck"} 1') && text;
    },
    60_000,
  );
  expect(page).toContain('holdfast_collect_success{name="stuck"} 0');
  expect(page).toContain('holdfast_collect_failures_total{name="stuck",reason="timeout"} 1');
  const warnings = () =>
    agent.stderr.filter((line) => line.includes("instance=stuck") && line.includes("level=warn")).length;
  await waitFor("the warning", () => warnings() > 0);
  expect(warnings()).toBe(1);
  // It is stuck again soon.
  const collected = /holdfast_collects_total\{name="tick",result="success"\} (\d+)/;
  await waitFor("the others to go on", async () => Number(collected.exec(await agent.scrape())?.[1]) > 3);
});

test("of the commands of a plugin that had to be ended nothing is left, no zombie either", async () => {
  await using folder = await createFolder("holdfast-e2e");
  const file = join(folder.path, "pid");
  const config = `plugin_dir: plugins\nplugins: { orphan: { timeout: 1s, config: { note: "${file}" } } }\n`;
  await using agent = await startAgent(config, { files: pluginFiles });
  const pid = await waitFor("the command", async () => Number((await Bun.file(file).text()).trim()) || undefined);
  await waitFor(
    "the end of the worker",
    async () => (await agent.scrape()).includes('restarts_total{name="orphan"} 1'),
    60_000,
  );
  await waitFor("the end of the command", () => !existsSync(`/proc/${pid}`));
});

test("SIGTERM ends the agent with status 0, and the commands that its plugins run", async () => {
  await using folder = await createFolder("holdfast-e2e");
  const file = join(folder.path, "pid");
  await using agent = await startAgent(`plugin_dir: plugins\nplugins: { child: { config: { note: "${file}" } } }\n`, {
    files: pluginFiles,
  });
  const pid = await waitFor("the command", async () => Number((await Bun.file(file).text()).trim()) || undefined);
  expect(existsSync(`/proc/${pid}`)).toBe(true);
  const startedAt = performance.now();
  expect(await agent.stop()).toBe(0);
  expect(performance.now() - startedAt).toBeLessThan(5_000);
  await waitFor("the end of the command", () => !existsSync(`/proc/${pid}`));
});

test("a signal that comes before the agent is ready neither ends it nor is lost", async () => {
  for (let round = 0; round < 5; round++) {
    await using agent = await startAgent("plugins: {}\n", { waitReady: false });
    const hasHandler = () => {
      const caught = /^SigCgt:\s+([0-9a-f]+)$/m.exec(readFileSync(`/proc/${agent.pid}/status`, "utf8"))?.[1];
      return (BigInt(`0x${caught}`) & (1n << 9n)) !== 0n;
    };
    // Without a pause: the handler comes milliseconds after exec, long before the agent is ready.
    const end = performance.now() + 10_000;
    while (!hasHandler() && performance.now() < end);
    agent.signal("SIGUSR1");
    await waitFor("readiness", async () => (await agent.fetch("/-/ready")).ok);
    await waitFor("the reload", () => agent.stderr.some((line) => line.includes("Configuration reloaded")));
    expect(await agent.stop()).toBe(0);
  }
});

test("a port in use ends the agent with status 1 and says which", async () => {
  await using agent = await startAgent("plugins: {}\n");
  const { status, stderr } = await runOnce(["run", `--config.file=${agent.configFile}`]);
  expect(status).toBe(1);
  expect(stderr).toContain(`127.0.0.1:${agent.port}`);
  expect(stderr).toMatch(/in use/);
});

test("the executable trusts no folder that it is started in", async () => {
  await using folder = await createFolder("holdfast-e2e");
  const marker = join(folder.path, "marker");
  await Bun.write(join(folder.path, "preload.ts"), `await Bun.write(${JSON.stringify(marker)}, "ran");`);
  await Bun.write(join(folder.path, "bunfig.toml"), 'preload = ["./preload.ts"]\n[test]\npreload = ["./preload.ts"]\n');
  await Bun.write(join(folder.path, ".env"), "HOLDFAST_TEST_HOSTILE=from-dotenv\n");
  await Bun.write(
    join(folder.path, "tsconfig.json"),
    '{ "compilerOptions": { "paths": { "hono": ["./preload.ts"] } } }',
  );
  const config = `listen: 127.0.0.1:0\nplugins: { tick: { plugin: "\${HOLDFAST_TEST_HOSTILE:-none}" } }\n`;
  await Bun.write(join(folder.path, "holdfast.yml"), config);
  const { status, stderr } = await runOnce(["check", "--config.file=holdfast.yml"], { cwd: folder.path });
  expect(status).toBe(2);
  expect(stderr).not.toContain("from-dotenv");
  expect(stderr).toContain("Cannot find plugin");
  expect(existsSync(marker)).toBe(false);
});

test("what is served under a web config needs its password, on every port", async () => {
  const port = await freePort();
  const hash = await Bun.password.hash("correct horse", { algorithm: "bcrypt", cost: 4 });
  const { "plugins/routes.ts": routes } = pluginFiles;
  await using agent = await startAgent(
    `web_config: web.yml\nplugin_dir: plugins\nplugins: { routes: { listen: "127.0.0.1:${port}" } }\n`,
    { files: { "plugins/routes.ts": routes, "web.yml": `basic_auth_users: { ada: "${hash}" }\n` }, waitReady: false },
  );
  const authorized = { headers: { Authorization: `Basic ${btoa("ada:correct horse")}` } };
  for (const url of [agent.url, `http://127.0.0.1:${port}`]) {
    await waitFor("the port", async () => (await fetch(`${url}/metrics`)).status === 401);
    expect((await fetch(`${url}/metrics`, authorized)).status).toBe(200);
  }
  await waitFor("the routes", async () => (await agent.fetch("/routes/", authorized)).ok);
  expect((await agent.fetch("/routes/")).status).toBe(401);
});

test("collect prints metrics alone on stdout, whatever a plugin prints", async () => {
  await using folder = await createFolder("holdfast-e2e");
  for (const [name, text] of Object.entries(pluginFiles)) await Bun.write(join(folder.path, name), text);
  await Bun.write(
    join(folder.path, "holdfast.yml"),
    "plugin_dir: plugins\nplugins: { noisy: {}, tick: {}, bad: { plugin: child, config: { note: /nonexistent/x }, timeout: 1s } }\n",
  );
  const one = await runOnce(["collect", "noisy", "-c", "holdfast.yml"], { cwd: folder.path });
  expect(one).toMatchObject({ status: 0 });
  expect(one.stdout).toBe(
    '# HELP noisy_value The configured value.\n# TYPE noisy_value gauge\nnoisy_value{instance_name="noisy"} 1\n',
  );
  expect(one.stderr).toContain("noise by descriptor");
  const all = await runOnce(["collect", "--all", "-c", "holdfast.yml"], { cwd: folder.path });
  expect(all.status).toBe(1);
  expect(all.stdout).toContain("noisy_value");
  expect(all.stdout).toContain("tick_value");
  expect(all.stderr).toContain("Cannot collect bad: timeout");
  expect(all.stdout).toContain('holdfast_collect_success{name="noisy"} 1\n');
  expect(all.stdout).toContain('holdfast_collect_success{name="bad"} 0\n');
  const none = await runOnce(["collect", "noisi", "-c", "holdfast.yml"], { cwd: folder.path });
  expect(none.status).toBe(2);
  expect(none.stderr).toContain('did you mean "noisy"?');
});

describeWith(["promtool"], "promtool", () => {
  test("accepts the metrics page", async () => {
    await using agent = await startAgent(yaml, { files: pluginFiles });
    const page = await waitFor("the series", async () => {
      const text = await agent.scrape();
      return text.includes("routes_value") && text;
    });
    const child = Bun.spawn(["promtool", "check", "metrics"], {
      stdin: new Blob([page]),
      stdout: "pipe",
      stderr: "pipe",
    });
    const complaints = (await new Response(child.stdout).text()) + (await new Response(child.stderr).text());
    expect(complaints).toBe("");
    expect(await child.exited).toBe(0);
  });
});
