import { describe, expect, test } from "bun:test";
import net from "node:net";
import type { Fetch } from "../../../agent/http/connection.ts";
import { openListener } from "../../../agent/http/listeners.ts";
import type { Address } from "../../../agent/sdk/index.ts";
import { raw, Scene, until } from "./support.ts";

const loopback = { host: "127.0.0.1", port: 0 };
const ok = () => new Response("ok");
const get = (headers = "") => `GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n${headers}\r\n`;

describe.each([
  ["Bun.serve", false],
  ["node:http", true],
])("a listener by %s", (_, keepsLength) => {
  const listen = (address: Address, fetch: Fetch) => openListener(address, fetch, { keepsLength });

  test("all interfaces are IPv6 and IPv4, and a client's IPv4 address is written as such", async () => {
    const addresses: (string | undefined)[] = [];
    const listener = listen({ host: "", port: 0 }, (_, { connection }) => {
      addresses.push(connection?.clientAddress);
      return ok();
    });
    await fetch(`http://127.0.0.1:${listener.address.port}/`);
    const hasIpv6 = await fetch(`http://[::1]:${listener.address.port}/`).then(
      () => true,
      () => false,
    );
    expect(addresses).toEqual(hasIpv6 ? ["127.0.0.1", "::1"] : ["127.0.0.1"]);
    expect(listener.url).toBe(`http://localhost:${listener.address.port}`);
    await listener.stop(0);
  });

  test("a port in use is an error that says which and what to do", async () => {
    const first = listen(loopback, ok);
    const { port } = first.address;
    expect(() => listen(first.address, ok)).toThrow(
      `Cannot listen on 127.0.0.1:${port}: the port is in use, stop the process that has it (ss -ltnp 'sport = :${port}') or choose another port`,
    );
    await first.stop(0);
  });

  test("an address of another host is an error that says so", () => {
    expect(() => listen({ host: "192.0.2.1", port: 0 }, ok)).toThrow(
      'Cannot listen on 192.0.2.1:0: this host has no address "192.0.2.1", expected one that `ip address` shows',
    );
  });

  test("a forbidden port is an error that says so", async () => {
    const script = `
    import { openListener } from ${JSON.stringify(new URL("../../../agent/http/listeners.ts", import.meta.url).pathname)};
    if (process.getuid?.() === 0) process.seteuid?.(65534);
    try { openListener({ host: "127.0.0.1", port: 81 }, () => new Response(""), { keepsLength: ${keepsLength} }); process.stdout.write("opened"); }
    catch (error) { process.stdout.write(error.message); }
    process.exit(0);`;
    const child = Bun.spawn([process.execPath, "-e", script], { stdout: "pipe", stderr: "inherit" });
    const said = await new Response(child.stdout).text();
    // Where net.ipv4.ip_unprivileged_port_start is lower, as in containers, everybody may.
    if (said !== "opened")
      expect(said).toStartWith("Cannot listen on 127.0.0.1:81: permission denied, choose a port from 1024");
  });

  test("stop() accepts nothing more and lets a running request end", async () => {
    const started = Promise.withResolvers<void>();
    const release = Promise.withResolvers<void>();
    const listener = listen(loopback, async () => {
      started.resolve();
      await release.promise;
      return ok();
    });
    const running = fetch(listener.url);
    await started.promise;
    const stopped = listener.stop(60_000);
    await expect(fetch(listener.url)).rejects.toThrow();
    release.resolve();
    expect(await (await running).text()).toBe("ok");
    await stopped;
  });

  test("stop() cuts what still runs at the deadline", async () => {
    const started = Promise.withResolvers<void>();
    const listener = listen(loopback, () => {
      started.resolve();
      return new Promise<Response>(() => {});
    });
    const running = raw(listener.address.port, get());
    await started.promise;
    const before = performance.now();
    await listener.stop(100);
    expect((await running).text).toBe("");
    expect(performance.now() - before).toBeLessThan(3000);
  });

  test("stop() closes idle kept-alive connections at once", async () => {
    const listener = listen(loopback, ok);
    const closed = Promise.withResolvers<void>();
    const socket = net.connect(listener.address.port, "127.0.0.1", () =>
      socket.write("GET / HTTP/1.1\r\nHost: x\r\n\r\n"),
    );
    socket.once("data", async () => {
      await listener.stop(60_000);
      closed.resolve();
    });
    const before = performance.now();
    await closed.promise;
    expect(performance.now() - before).toBeLessThan(2000);
  });

  test.each([
    ["headers of more than 16 KiB", `X-A: ${"a".repeat(20_000)}\r\n`, "431"],
    ["too many headers", Array.from({ length: 250 }, (_, n) => `X-${n}: a\r\n`).join(""), "431"],
    ["two lengths of a body", "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n", "400"],
  ])("a request with %s is refused", async (_, headers, status) => {
    const listener = listen(loopback, ok);
    expect((await raw(listener.address.port, get(headers))).text).toStartWith(`HTTP/1.1 ${status}`);
    await listener.stop(0);
  });

  test("a client that sends its headers by the byte, or none, is cut", async () => {
    const listener = listen(loopback, ok);
    const silent = raw(listener.address.port, "");
    const half = raw(listener.address.port, "GET / HTTP/1.1\r\nHost: x\r\nX-A: ");
    const started = performance.now();
    const dripping = Promise.withResolvers<number>();
    const socket = net.connect(listener.address.port, "127.0.0.1", () => socket.write("GET / HTTP/1.1\r\n"));
    const drip = setInterval(() => socket.write("X"), 500);
    socket.on("error", () => {});
    socket.on("close", () => {
      clearInterval(drip);
      dripping.resolve(performance.now() - started);
    });
    for (const ms of [(await silent).ms, (await half).ms, await dripping.promise]) expect(ms).toBeLessThan(16_000);
    await listener.stop(0);
  }, 120_000);

  test("the agent's own routes refuse a large body, a plugin's take it", async () => {
    await using scene = await Scene.open();
    scene.worker(async (request) => new Response(String((await request.bytes()).length)));
    const { url, address } = scene.agent({}, keepsLength);
    const body = new Uint8Array(2 ** 21);
    const refused = await raw(
      address.port,
      "POST /-/reload HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2097152\r\nConnection: close\r\n\r\n",
    );
    expect(refused.text).toStartWith("HTTP/1.1 413");
    expect(await (await fetch(`${url}/walg/put`, { method: "PUT", body })).text()).toBe("2097152");
  });

  test.each([
    ["POST", "with its length", `Content-Length: ${3 * 2 ** 20}\r\n\r\n${"a".repeat(3 * 2 ** 20)}`],
    ["POST", "in chunks", `Transfer-Encoding: chunked\r\n\r\n300000\r\n${"a".repeat(0x300000)}\r\n0\r\n\r\n`],
    ["GET", "with its length", `Content-Length: ${3 * 2 ** 20}\r\n\r\n${"a".repeat(3 * 2 ** 20)}`],
  ])(
    "the body of a %s, %s, that nobody reads does not hold up the next request",
    async (method, _, body) => {
      let answered = 0;
      const listener = listen(loopback, () => new Response(`answer ${++answered}`));
      const closed = Promise.withResolvers<string>();
      let text = "";
      const socket = net.connect(listener.address.port, "127.0.0.1", () =>
        socket.write(`${method} / HTTP/1.1\r\nHost: localhost\r\n${body}`),
      );
      socket.on("data", (chunk) => {
        text += chunk.toString("latin1");
        if (text.endsWith("answer 1")) socket.write(get());
      });
      socket.on("error", (error) => closed.reject(error));
      socket.on("close", () => closed.resolve(text));
      expect(await closed.promise).toEndWith("answer 2");
      await listener.stop(0);
    },
    30_000,
  );

  test("more scrapes at once than allowed are 503", async () => {
    await using scene = await Scene.open();
    const release = Promise.withResolvers<void>();
    let waiting = 0;
    const page = async () => {
      waiting++;
      await release.promise;
      return new Blob(["up 1\n"]);
    };
    const metrics = { page, gzipPage: page, names: () => [] };
    const { url } = scene.agent({ metrics, maxRequests: () => 2 }, keepsLength);
    const scrape = () => fetch(`${url}/metrics`, { headers: { "Accept-Encoding": "identity" } });
    const scrapes = [scrape(), scrape()];
    await until(() => waiting === 2, "two scrapes run");
    const third = await scrape();
    expect([third.status, third.headers.get("retry-after")]).toEqual([503, "1"]);
    expect((await fetch(`${url}/-/healthy`)).status).toBe(200);
    release.resolve();
    for (const answer of scrapes) expect((await answer).status).toBe(200);
    expect((await scrape()).status).toBe(200);
  });

  test.each(["<script>", "a b", "[", "a/b", "a?b=", "a#b", "a\\b", "a@b"])(
    "a Host header %j is answered with 400",
    async (host) => {
      const listener = listen(loopback, (request) => new Response(new URL(request.url).pathname));
      const text = `GET / HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`;
      expect((await raw(listener.address.port, text)).text).toStartWith("HTTP/1.1 400 ");
      await listener.stop(0);
    },
  );

  test("HTTP/1.0 without a Host header is answered, for load balancers ask so", async () => {
    const listener = listen(loopback, (request) => new Response(new URL(request.url).pathname));
    expect((await raw(listener.address.port, "GET /-/healthy HTTP/1.0\r\n\r\n")).text).toStartWith("HTTP/1.1 200 ");
    await listener.stop(0);
  });
});
