import { expect, test } from "bun:test";
import { pluginSource, startHost, type TestHost } from "../../harness/host.ts";
import { waitFor } from "../../harness/wait.ts";

async function routesOf(test: TestHost, app: string): Promise<(path: string, init?: RequestInit) => Promise<Response>> {
  const head = `import { Hono } from "hono"; const app = new Hono();`;
  await test.plugin("web.ts", pluginSource("web", `${app}; return { http: app };`, head));
  await test.run({ web: {} });
  const unix = await waitFor("the routes", () => test.host.instance("web")?.socket);
  return (path, init) => fetch(`http://worker${path}`, { ...init, unix } as RequestInit);
}

test("a route that throws, or returns no Response, is a 500 without details, and is logged", async () => {
  await using test = await startHost();
  const get = await routesOf(
    test,
    `app.get("/seven", () => 7 as never); app.fetch = wrap(app.fetch);
    function wrap(inner) { return (request) => { if (request.url.endsWith("/throw")) throw new Error("inner words"); return inner(request); }; }`,
  );
  for (const path of ["/seven", "/throw"]) {
    const response = await get(path);
    expect(response.status).toBe(500);
    expect(await response.text()).toBe("Internal Server Error");
  }
  const errors = await waitFor("the lines", () => {
    const found = test.lines.filter(({ msg }) => msg === "A route of the plugin failed").map(({ error }) => error);
    return found.length === 2 && found;
  });
  expect(errors).toEqual(["The plugin's route returned no Response", "inner words"]);
});

test("an upload may be larger than Bun's default bound", async () => {
  await using test = await startHost();
  const get = await routesOf(
    test,
    `app.post("/", async (c) => { let n = 0; for await (const part of c.req.raw.body) n += part.length; return c.text(String(n)); })`,
  );
  const part = new Uint8Array(2 ** 20);
  let left = 200;
  const body = new ReadableStream({
    pull(controller) {
      if (left-- > 0) controller.enqueue(part);
      else controller.close();
    },
  });
  expect(await (await get("/", { method: "POST", body })).text()).toBe(String(200 * 2 ** 20));
});

test("an answer that streams for ever is cut when the instance stops", async () => {
  await using test = await startHost();
  const get = await routesOf(
    test,
    `app.get("/", () => new Response(new ReadableStream({
       async pull(controller) { controller.enqueue(new Uint8Array(1024)); await Bun.sleep(5); } })))`,
  );
  const reader = (await get("/")).body?.getReader();
  await reader?.read();
  await test.run({});
  expect(test.lines.some(({ msg }) => msg === "Plugin ended without stopping")).toBe(false);
}, 120_000);
