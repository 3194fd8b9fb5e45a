import { expect, test } from "bun:test";
import { rm } from "node:fs/promises";
import { createApp } from "../../../agent/http/app.ts";
import { openListener } from "../../../agent/http/listeners.ts";
import { WebConfigWatch } from "../../../agent/http/web-config-watch.ts";
import { Scene } from "./support.ts";

const hash = await Bun.password.hash("scrape", { algorithm: "bcrypt", cost: 4 });
const basic = (user: string, password: string) => ({
  headers: { Authorization: `Basic ${btoa(`${user}:${password}`)}` },
});

async function guarded(scene: Scene, text: string) {
  const errors: string[] = [];
  const log = { error: (message: string) => errors.push(message), warn: () => {}, info: () => {}, debug: () => {} };
  const watch = await WebConfigWatch.open(await scene.write("web.yml", text), log);
  // Ends its own looks: only those count for which a test asks.
  watch.close();
  const listener = openListener({ host: "127.0.0.1", port: 0 }, createApp(scene.deps()).fetch, { webConfig: watch });
  scene.onEnd(() => listener.stop(0));
  return { watch, url: listener.url, errors };
}

test("users are asked for on every route, and only right passwords enter", async () => {
  await using scene = await Scene.open();
  const { url } = await guarded(scene, `basic_auth_users: { prometheus: "${hash}" }\n`);
  for (const path of ["/", "/metrics", "/-/healthy", "/-/ready", "/api/v1/status", "/walg/x", "/nothing"]) {
    const refused = await fetch(url + path);
    expect([path, refused.status, await refused.text()]).toEqual([path, 401, "Unauthorized\n"]);
    expect(refused.headers.get("www-authenticate")).toStartWith("Basic ");
  }
  expect((await fetch(`${url}/-/healthy`, basic("prometheus", "scrape"))).status).toBe(200);
  expect((await fetch(`${url}/-/healthy`, basic("prometheus", "wrong"))).status).toBe(401);
  expect((await fetch(`${url}/-/healthy`, basic("prometheus", ""))).status).toBe(401);
  expect((await fetch(`${url}/-/healthy`, basic("nobody", "scrape"))).status).toBe(401);
  expect((await fetch(`${url}/-/healthy`, { headers: { Authorization: "Bearer scrape" } })).status).toBe(401);
});

test("a plugin does not see the agent's password", async () => {
  await using scene = await Scene.open();
  scene.worker((request) => new Response(String(request.headers.get("authorization"))));
  const { url } = await guarded(scene, `basic_auth_users: { prometheus: "${hash}" }\n`);
  expect(await (await fetch(`${url}/walg/x`, basic("prometheus", "scrape"))).text()).toBe("null");
  const open = scene.agent();
  expect(await (await fetch(`${open.url}/walg/x`, basic("own", "secret"))).text()).toStartWith("Basic ");
});

test("changed users and headers hold for the next request", async () => {
  await using scene = await Scene.open();
  const { url, watch } = await guarded(scene, `basic_auth_users: { prometheus: "${hash}" }\n`);
  expect((await fetch(url, basic("prometheus", "scrape"))).status).toBe(200);
  const other = await Bun.password.hash("changed", { algorithm: "bcrypt", cost: 4 });
  const headers =
    "http_server_config: { headers: { X-Frame-Options: sameorigin, Strict-Transport-Security: max-age=9 } }";
  await scene.write("web.yml", `basic_auth_users: { prometheus: "${other}" }\n${headers}\n`);
  await watch.check();
  expect((await fetch(url, basic("prometheus", "scrape"))).status).toBe(401);
  const response = await fetch(url, basic("prometheus", "changed"));
  expect(response.status).toBe(200);
  expect(response.headers.get("x-frame-options")).toBe("sameorigin");
  expect(response.headers.get("strict-transport-security")).toBe("max-age=9");
});

test.each([
  ["is gone", (path: string) => rm(path)],
  ["is empty", (path: string) => Bun.write(path, "")],
  ["holds only comments", (path: string) => Bun.write(path, "# later\n")],
  ["has no users behind their key", (path: string) => Bun.write(path, "basic_auth_users:\n")],
  ["is broken", (path: string) => Bun.write(path, "basic_auth_users: {\n")],
  ["is a folder", async (path: string) => Bun.$`rm ${path}; mkdir ${path}`.quiet()],
])("a web config that %s later never opens the door", async (_, damage) => {
  await using scene = await Scene.open();
  const { url, watch, errors } = await guarded(scene, `basic_auth_users: { prometheus: "${hash}" }\n`);
  await damage(scene.path("web.yml"));
  for (let looks = 0; looks < 3; looks++) await watch.check();
  expect((await fetch(url)).status).toBe(401);
  expect((await fetch(url, basic("prometheus", "scrape"))).status).toBe(200);
  expect(watch.problem).toBeDefined();
  expect(errors).toEqual(["Cannot read the web configuration, the one before it holds"]);
});

test("a file without its users is taken only when it is still so at the next look", async () => {
  await using scene = await Scene.open();
  const { url, watch } = await guarded(scene, `basic_auth_users: { prometheus: "${hash}" }\n`);
  await watch.check();
  await scene.write("web.yml", "{}\n");
  await watch.check();
  expect((await fetch(url)).status).toBe(401);
  await watch.check();
  expect((await fetch(url)).status).toBe(200);
});

test("the rate limit is for all clients together", async () => {
  await using scene = await Scene.open();
  const { url } = await guarded(scene, "rate_limit: { interval: 1h, burst: 2 }\n");
  const statuses = [];
  for (let request = 0; request < 3; request++) statuses.push((await fetch(`${url}/-/healthy`)).status);
  expect(statuses).toEqual([200, 200, 429]);
});
