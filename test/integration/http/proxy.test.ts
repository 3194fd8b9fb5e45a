import { describe, expect, test } from "bun:test";
import net from "node:net";
import { Hono } from "hono";
import { Routes } from "../../../agent/host/routes.ts";
import { createInstanceApp } from "../../../agent/http/app.ts";
import { openListener } from "../../../agent/http/listeners.ts";
import { raw, Scene, until } from "./support.ts";

const megabyte = 2 ** 20;
const log = { error: () => {}, info: () => {}, debug: () => {}, warn: () => {} };

/** Zeros by the megabyte, made when they are asked for. */
function zeros(megabytes: number): ReadableStream<Uint8Array> {
  let left = megabytes;
  const chunk = new Uint8Array(megabyte);
  return new ReadableStream({
    pull(controller) {
      if (left-- > 0) controller.enqueue(chunk);
      else controller.close();
    },
  });
}

describe.each([
  ["Bun.serve", false],
  ["node:http", true],
])("behind a listener by %s", (_, keepsLength) => {
  test("a plugin sees the path without its prefix as the client wrote it, and who asked for what", async () => {
    await using scene = await Scene.open();
    scene.worker((request) => Response.json({ url: request.url, headers: Object.fromEntries(request.headers) }));
    const { url } = scene.agent({}, keepsLength);
    const response = await fetch(`${url}/walg/wal//a%2Fb/?x=%20&y`, {
      headers: { Host: "db1.example:9847", "X-Forwarded-For": "192.0.2.7", Connection: "X-Secret", "X-Secret": "1" },
    });
    const seen = (await response.json()) as { url: string; headers: Record<string, string> };
    expect(seen.url).toBe("http://db1.example:9847/wal//a%2Fb/?x=%20&y");
    expect(seen.headers).toMatchObject({
      host: "db1.example:9847",
      "x-forwarded-prefix": "/walg",
      "x-forwarded-for": "192.0.2.7, 127.0.0.1",
      "x-forwarded-proto": "http",
    });
    expect(seen.headers).not.toHaveProperty("x-secret");
  });

  test("status, headers, encodings, redirects and ranges of a plugin arrive as they were sent", async () => {
    await using scene = await Scene.open();
    const packed = Bun.gzipSync("hello");
    scene.worker((request) => {
      const { pathname } = new URL(request.url);
      if (pathname === "/moved") return new Response(null, { status: 302, headers: { Location: "elsewhere" } });
      if (pathname === "/unchanged") return new Response(null, { status: 304, headers: { ETag: '"7"' } });
      if (request.headers.get("range") === "bytes=0-1") {
        return new Response("he", { status: 206, headers: { "Content-Range": "bytes 0-1/5" } });
      }
      if (request.method === "HEAD")
        return new Response(null, { headers: { "Content-Length": "16777216", ETag: '"7"' } });
      return new Response(packed, { headers: { "Content-Encoding": "gzip", ETag: '"7"' } });
    });
    const { url } = scene.agent({}, keepsLength);
    const moved = await fetch(`${url}/walg/moved`, { redirect: "manual" });
    expect([moved.status, moved.headers.get("location")]).toEqual([302, "elsewhere"]);
    const unchanged = await fetch(`${url}/walg/unchanged`);
    expect([unchanged.status, unchanged.headers.get("etag")]).toEqual([304, '"7"']);
    const range = await fetch(`${url}/walg/`, { headers: { Range: "bytes=0-1" } });
    expect([range.status, range.headers.get("content-range"), await range.text()]).toEqual([206, "bytes 0-1/5", "he"]);
    const head = await fetch(`${url}/walg/segment`, { method: "HEAD" });
    expect([head.headers.get("content-length"), head.headers.get("etag")]).toEqual(["16777216", '"7"']);
    const body = await fetch(`${url}/walg/`, { decompress: false });
    expect(body.headers.get("content-encoding")).toBe("gzip");
    expect(await body.bytes()).toEqual(new Uint8Array(packed));
  });

  test("a gigabyte streams through without staying in memory", async () => {
    await using scene = await Scene.open();
    scene.worker(() => new Response(zeros(1024)));
    const { url } = scene.agent({}, keepsLength);
    const download = async (): Promise<number> => {
      const response = await fetch(`${url}/walg/big`);
      let bytes = 0;
      for await (const chunk of response.body ?? []) bytes += chunk.length;
      return bytes;
    };
    Bun.gc(true);
    const before = process.memoryUsage.rss();
    let peak = before;
    const watch = setInterval(() => {
      peak = Math.max(peak, process.memoryUsage.rss());
    }, 5);
    expect(await download()).toBe(2 ** 30);
    clearInterval(watch);
    expect((peak - before) / megabyte).toBeLessThan(200);
  }, 120_000);

  test("an upload streams to the plugin", async () => {
    await using scene = await Scene.open();
    scene.worker(async (request) => {
      let bytes = 0;
      for await (const chunk of request.body ?? []) bytes += chunk.length;
      return new Response(String(bytes));
    });
    const { url } = scene.agent({}, keepsLength);
    const response = await fetch(`${url}/walg/upload`, { method: "PUT", body: zeros(200) });
    expect(await response.text()).toBe(String(200 * megabyte));
  }, 120_000);

  test("an upload that the plugin answers without reading it leaves the connection to the next request", async () => {
    await using scene = await Scene.open();
    scene.worker(() => new Response("unread"));
    const { address } = scene.agent({}, keepsLength);
    const closed = Promise.withResolvers<string>();
    let text = "";
    const head = "POST /walg/x HTTP/1.1\r\nHost: localhost\r\n";
    const socket = net.connect(address.port, "127.0.0.1", () =>
      socket.write(`${head}Content-Length: ${3 * megabyte}\r\n\r\n${"a".repeat(3 * megabyte)}`),
    );
    socket.on("data", (chunk) => {
      text += chunk.toString("latin1");
      if (text.split("unread").length === 2)
        socket.write("GET /-/healthy HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    });
    socket.on("error", (error) => closed.reject(error));
    socket.on("close", () => closed.resolve(text));
    expect(await closed.promise).toEndWith("holdfast is healthy.\n");
  }, 30_000);

  test("a download that pauses for longer than the idle timeout goes on, and the plugin waits meanwhile", async () => {
    await using scene = await Scene.open();
    let made = 0;
    let madeWhilePaused: number | undefined;
    scene.worker(() => {
      const source = zeros(128).getReader();
      return new Response(
        new ReadableStream({
          async pull(controller) {
            const { done, value } = await source.read();
            if (done) return controller.close();
            made += value.length;
            controller.enqueue(value);
          },
        }),
      );
    });
    const { address } = scene.agent({}, keepsLength);
    const ended = Promise.withResolvers<string>();
    let bytes = 0;
    let tail = "";
    const socket = net.connect(address.port, "127.0.0.1", () =>
      socket.write("GET /walg/big HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"),
    );
    socket.once("data", () => {
      socket.pause();
      setTimeout(() => socket.resume(), 11_500);
      setTimeout(() => {
        madeWhilePaused = made;
      }, 9000);
    });
    socket.on("data", (chunk: Buffer) => {
      bytes += chunk.length;
      tail = chunk.subarray(-5).toString("latin1");
    });
    socket.on("error", (error) => ended.resolve(error.message));
    socket.on("end", () => ended.resolve("end"));
    expect(await ended.promise).toBe("end");
    expect(bytes).toBeGreaterThan(128 * megabyte);
    expect(tail).toBe("0\r\n\r\n");
    expect(madeWhilePaused).toBeLessThan(64 * megabyte);
  }, 120_000);

  test("a client that goes away aborts the request in the plugin", async () => {
    await using scene = await Scene.open();
    let aborted = false;
    scene.worker((request) => {
      request.signal.addEventListener("abort", () => {
        aborted = true;
      });
      return new Response(zeros(10_000));
    });
    const { url } = scene.agent({}, keepsLength);
    const client = new AbortController();
    const response = await fetch(`${url}/walg/endless`, { signal: client.signal });
    await response.body?.getReader().read();
    client.abort();
    await until(() => aborted, "the plugin's request is aborted");
  });

  test("a plugin that fails in the middle of a body breaks the connection rather than ending it", async () => {
    await using scene = await Scene.open();
    scene.worker(
      () =>
        new Response(
          new ReadableStream({
            async pull(controller) {
              controller.enqueue(new Uint8Array(1000));
              await Bun.sleep(20);
              controller.error(new Error("disk gone"));
            },
          }),
        ),
    );
    const warnings: string[] = [];
    const log = { error: () => {}, info: () => {}, debug: () => {}, warn: (message: string) => warnings.push(message) };
    const { address } = scene.agent({ log }, keepsLength);
    const { text } = await raw(address.port, "GET /walg/x HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    expect(text).toStartWith("HTTP/1.1 200");
    expect(text).not.toEndWith("0\r\n\r\n");
    expect(warnings).toEqual(["An instance failed in the middle of an answer"]);
  });

  test("a worker that is killed in the middle of a body breaks the connection, and is then 502 with Retry-After", async () => {
    await using scene = await Scene.open();
    const worker = scene.worker(() => new Response(zeros(10_000)));
    const { address, url } = scene.agent({}, keepsLength);
    const answer = raw(address.port, "GET /walg/x HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    await until(() => worker.pendingRequests > 0, "the worker has the request");
    await worker.stop(true);
    expect((await answer).text).not.toEndWith("0\r\n\r\n");
    const down = await fetch(`${url}/walg/x`);
    expect([down.status, down.headers.get("retry-after")]).toEqual([502, "2"]);
    expect(await down.text()).toBe("Cannot reach the routes of walg: its worker does not answer, try again\n");
  });

  test("an instance that restarts is 503 with Retry-After, one without routes 404", async () => {
    await using scene = await Scene.open();
    const hasInstance = () => true;
    const { url } = scene.agent({ hasInstance, socketOf: () => undefined });
    const restarting = await fetch(`${url}/spool/x`);
    expect([restarting.status, restarting.headers.has("retry-after")]).toEqual([503, true]);
    expect(await restarting.text()).toBe("Cannot reach the routes of spool: it is restarting, try again\n");
    const without = await fetch(`${url}/archive/x`);
    expect([without.status, await without.text()]).toEqual([404, "Cannot find /archive/x: archive has no routes\n"]);
  });

  test("a path without its slash is redirected, query kept", async () => {
    await using scene = await Scene.open();
    const { url } = scene.agent({}, keepsLength);
    const response = await fetch(`${url}/walg?a=1`, { redirect: "manual" });
    expect([response.status, response.headers.get("location")]).toEqual([308, "walg/?a=1"]);
  });

  test("an instance's own port has its routes at the root and its own metrics", async () => {
    await using scene = await Scene.open();
    scene.worker(
      (request) => new Response(`${new URL(request.url).pathname} ${request.headers.get("x-forwarded-prefix")}`),
    );
    const { isReady: _, ...deps } = scene.deps();
    const listener = openListener({ host: "127.0.0.1", port: 0 }, createInstanceApp("walg", deps).fetch, {
      keepsLength,
    });
    scene.onEnd(() => listener.stop(0));
    expect(await (await fetch(`${listener.url}/metrics`)).text()).toBe("walg_up 1\n");
    expect(await (await fetch(`${listener.url}/-/healthy`)).text()).toBe("/-/healthy null");
    expect(await (await fetch(`${listener.url}/`)).text()).toBe("/ null");
    expect((await fetch(`${listener.url}/metrics`, { method: "POST" })).status).toBe(405);
  });

  test("a target that is a whole URL asks for its path, not for what looks like one in its query", async () => {
    await using scene = await Scene.open();
    scene.worker((request) => new Response(request.url.replace(/^http:\/\/[^/]*/, "")));
    const listener = openListener({ host: "127.0.0.1", port: 0 }, createInstanceApp("walg", scene.deps()).fetch, {
      keepsLength,
    });
    scene.onEnd(() => listener.stop(0));
    const ask = async (target: string) =>
      (await raw(listener.address.port, `GET ${target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`)).text;
    expect(await ask("http://x?a=/api/prune")).toEndWith("\r\n\r\n/?a=/api/prune");
    expect(await ask("http://x/a%2Fb//c?d=/e")).toEndWith("\r\n\r\n/a%2Fb//c?d=/e");
  });

  test("an instance's own port tells the agent's health where the agent has no other, whatever becomes of the worker", async () => {
    await using scene = await Scene.open();
    const deps = scene.deps({ socketOf: () => undefined, isReady: () => true });
    const { fetch: answer } = createInstanceApp("walg", deps, "/m");
    const listener = openListener({ host: "127.0.0.1", port: 0 }, answer, { keepsLength });
    scene.onEnd(() => listener.stop(0));
    const get = async (path: string) => {
      const response = await fetch(`${listener.url}${path}`);
      return [response.status, await response.text()];
    };
    expect(await get("/-/healthy")).toEqual([200, "holdfast is healthy.\n"]);
    expect(await get("/-/ready")).toEqual([200, "holdfast is ready.\n"]);
    expect((await get("/api/v1/status"))[0]).not.toBe(200);
  });
});

test("where a listener can, it keeps the Content-Length of a body that streams", async () => {
  await using scene = await Scene.open();
  new Routes(
    scene.path("worker.sock"),
    new Hono()
      .get("/big", () => new Response(zeros(3), { headers: { "Content-Length": String(3 * megabyte) } }))
      .get("/packed", () => new Response(zeros(1), { headers: { "Content-Length": "7", "Content-Encoding": "x" } })),
    log,
  );
  const get = (path: string) => `GET /walg/${path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n`;
  const whole = await raw(scene.agent({}, true).address.port, get("big"));
  const [head = "", body] = whole.text.split("\r\n\r\n");
  expect(head.toLowerCase().split("\r\n")).toContain(`content-length: ${3 * megabyte}`);
  expect(head.toLowerCase()).not.toMatch(/transfer-encoding|x-holdfast/);
  expect(body).toHaveLength(3 * megabyte);
  expect((await raw(scene.agent({}, true).address.port, get("packed"))).text).toMatch(/transfer-encoding: chunked/i);
});
