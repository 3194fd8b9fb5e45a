import { expect, test } from "bun:test";
import { pageOf, raw, Scene } from "./support.ts";

test("/metrics is the text format, gzip for who prefers it", async () => {
  await using scene = await Scene.open();
  const { url } = scene.agent();
  const plain = await fetch(`${url}/metrics`, { headers: { "Accept-Encoding": "identity" } });
  expect(await plain.text()).toBe(pageOf(undefined));
  expect(plain.headers.get("content-type")).toBe("text/plain; version=0.0.4; charset=utf-8");
  expect([plain.headers.get("content-encoding"), plain.headers.get("vary")]).toEqual([null, "Accept-Encoding"]);
  const packed = await fetch(`${url}/metrics`, { headers: { "Accept-Encoding": "gzip;q=0.8" }, decompress: false });
  expect(packed.headers.get("content-encoding")).toBe("gzip");
  expect(new TextDecoder().decode(Bun.gunzipSync(await packed.arrayBuffer()))).toBe(pageOf(undefined));
});

test("collect[] and exclude[] choose instances, and unknown ones are 400", async () => {
  await using scene = await Scene.open();
  const { url } = scene.agent();
  const text = async (query: string) => {
    const response = await fetch(`${url}/metrics?${query}`);
    return [response.status, await response.text()];
  };
  expect(await text("collect[]=walg")).toEqual([200, "walg_up 1\n"]);
  expect(await text("exclude[]=walg")).toEqual([200, "archive_up 1\n"]);
  expect(await text("collect[]=wlag")).toEqual([400, 'Cannot find an instance "wlag": did you mean walg?\n']);
});

test("HEAD has the headers of GET and no body", async () => {
  await using scene = await Scene.open();
  const { address } = scene.agent();
  for (const path of ["/", "/metrics", "/-/healthy", "/-/ready", "/api/v1/status"]) {
    const head = (method: string) =>
      raw(address.port, `${method} ${path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n`);
    const [, body] = (await head("HEAD")).text.split("\r\n\r\n");
    expect([path, body]).toEqual([path, ""]);
    expect((await head("HEAD")).text).toStartWith("HTTP/1.1 200 OK\r\n");
    expect((await head("GET")).text.match(/^content-length:/gim)).toHaveLength(1);
  }
  const { text } = await raw(address.port, "HEAD /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
  expect(text.toLowerCase()).toContain(`content-length: ${pageOf(undefined).length}\r\n`);
});

test.each([
  ["POST", "/metrics", "GET, HEAD"],
  ["DELETE", "/", "GET, HEAD"],
  ["PUT", "/-/healthy", "GET, HEAD"],
  ["POST", "/-/ready", "GET, HEAD"],
  ["POST", "/api/v1/status", "GET, HEAD"],
  ["GET", "/-/reload", "POST"],
])("%s %s is 405 and says what would do", async (method, path, allow) => {
  await using scene = await Scene.open();
  const { url } = scene.agent();
  const response = await fetch(url + path, { method });
  expect([response.status, response.headers.get("allow")]).toEqual([405, allow]);
  expect(await response.text()).toBe(`Cannot use ${method} here: expected ${allow}\n`);
});

test("readiness is 503 until a configuration runs; health does not ask", async () => {
  await using scene = await Scene.open();
  const { url } = scene.agent({ isReady: () => false });
  expect((await fetch(`${url}/-/ready`)).status).toBe(503);
  expect((await fetch(`${url}/-/healthy`)).status).toBe(200);
});

test("everything else is 404 with a short text", async () => {
  await using scene = await Scene.open();
  const { url } = scene.agent();
  for (const path of ["/nothing", "/walgother/", "/-/quit", "/api/v2", "/%E0%A4%A"]) {
    const response = await fetch(url + path);
    expect([path, response.status]).toEqual([path, 404]);
    expect((await response.text()).length).toBeLessThan(120);
  }
});

test("reload tells what came of it", async () => {
  await using scene = await Scene.open();
  const results = [
    { successful: true, message: "Reloaded: nothing changed" },
    { successful: false, message: "holdfast.yml:3:1: Cannot read it" },
  ];
  const { url } = scene.agent({ reload: async () => results.shift() ?? { successful: false, message: "" } });
  const first = await fetch(`${url}/-/reload`, { method: "POST" });
  expect([first.status, await first.text()]).toEqual([200, "Reloaded: nothing changed\n"]);
  const second = await fetch(`${url}/-/reload`, { method: "POST" });
  expect([second.status, await second.text()]).toEqual([500, "holdfast.yml:3:1: Cannot read it\n"]);
});

test("reload that is not enabled says which key does it", async () => {
  await using scene = await Scene.open();
  const { url } = scene.agent();
  const response = await fetch(`${url}/-/reload`, { method: "POST" });
  expect(response.status).toBe(403);
  expect(await response.text()).toContain("set enable_reload: true");
});

test.each([
  [{ "Sec-Fetch-Site": "cross-site" }, 403],
  [{ "Sec-Fetch-Site": "same-site" }, 403],
  [{ Origin: "https://evil.example" }, 403],
  [{ Origin: "null" }, 403],
  [{ "Sec-Fetch-Site": "same-origin", Origin: "http://localhost:1" }, 200],
  [{ "Sec-Fetch-Site": "none" }, 200],
  [{}, 200],
])("reload by a browser with %p is %p", async (headers, status) => {
  await using scene = await Scene.open();
  let reloads = 0;
  const reload = async () => {
    reloads++;
    return { successful: true, message: "done" };
  };
  const { url } = scene.agent({ reload });
  const response = await fetch(`${url}/-/reload`, { method: "POST", headers: { Host: "localhost:1", ...headers } });
  expect([response.status, reloads]).toEqual([status, status === 200 ? 1 : 0]);
});

test("the status page and its JSON come with strict headers", async () => {
  await using scene = await Scene.open();
  const { url } = scene.agent();
  const page = await fetch(`${url}/`);
  expect(page.headers.get("content-type")).toBe("text/html; charset=utf-8");
  expect(page.headers.get("content-security-policy")).toStartWith("default-src 'none'; style-src 'sha256-");
  expect(page.headers.get("x-content-type-options")).toBe("nosniff");
  expect(page.headers.get("referrer-policy")).toBe("no-referrer");
  expect(await page.text()).toStartWith("<!doctype html>");
  const json = await fetch(`${url}/api/v1/status`);
  expect(await json.json()).toMatchObject({ version: "0.1.0", config_file: "/etc/holdfast/holdfast.yml" });
});

test("an error of the agent is a short 500 that shows nothing of it", async () => {
  await using scene = await Scene.open();
  const status = () => {
    throw new Error("secret detail");
  };
  const { url } = scene.agent({ status });
  const response = await fetch(`${url}/`);
  expect([response.status, await response.text()]).toEqual([
    500,
    "Cannot answer the request: an error in holdfast, its log has more\n",
  ]);
});
