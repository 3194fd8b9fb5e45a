/** What a service manager hears of the compiled executable. */
import { expect, test } from "bun:test";
import { join } from "node:path";
import { startAgent } from "../harness/agent.ts";
import { receiveDatagrams } from "../harness/datagrams.ts";
import { createFolder } from "../harness/folders.ts";
import { waitFor } from "../harness/wait.ts";

test("a service manager hears of readiness, reloads, failures to reload, the watchdog and the end", async () => {
  await using folder = await createFolder("holdfast-notify");
  using manager = receiveDatagrams(join(folder.path, "notify.sock"));
  const heard = (text: string | RegExp) =>
    manager.received().filter((datagram) => (typeof text === "string" ? datagram.includes(text) : text.test(datagram)));
  await using agent = await startAgent("plugins: {}\n", {
    env: { NOTIFY_SOCKET: manager.path, WATCHDOG_USEC: "200000" },
  });
  await waitFor("READY", () => heard("READY=1").length === 1);
  expect(heard("READY=1")[0]).toContain(`STATUS=0 instances, serving at http://127.0.0.1:${agent.port}`);
  await waitFor("three watchdog messages", () => heard("WATCHDOG=1").length >= 3);

  agent.signal("SIGUSR1");
  await waitFor("the end of the reload", () => heard("READY=1").length === 2);
  expect(heard(/^RELOADING=1\nMONOTONIC_USEC=\d+$/)).toHaveLength(1);

  await agent.configure("plugins: [\n");
  agent.signal("SIGHUP");
  await waitFor("the failed reload", () => heard("the last reload failed").length === 1);

  expect(await agent.stop()).toBe(0);
  expect(heard("STOPPING=1")).toHaveLength(1);
});

test("what is told to the service manager is not told to the commands that plugins run", async () => {
  await using folder = await createFolder("holdfast-notify");
  using manager = receiveDatagrams(join(folder.path, "notify.sock"));
  const plugin = `import { definePlugin, z } from "holdfast";
export default definePlugin({ name: "env", description: "Prints its environment", config: z.strictObject({}),
  setup({ metrics }) {
    const set = metrics.gauge({ name: "env_has", help: "Whether a variable is set.", labelNames: ["variable"] });
    return { async collect({ run }) {
      const { stdout } = await run(["env"]);
      for (const variable of ["NOTIFY_SOCKET", "PATH"]) set.set({ variable }, Number(stdout.includes(variable + "=")));
    } };
  } });`;
  await using agent = await startAgent("plugin_dir: plugins\nplugins: { env: {} }\n", {
    env: { NOTIFY_SOCKET: manager.path },
    files: { "plugins/env.ts": plugin },
  });
  const page = await waitFor("the series", async () => {
    const text = await agent.scrape();
    return text.includes("env_has") && text;
  });
  expect(page).toContain('env_has{variable="NOTIFY_SOCKET"} 0');
  expect(page).toContain('env_has{variable="PATH"} 1');
});
