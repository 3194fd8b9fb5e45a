/** Answers that a worker writes onto the client's connection itself. */
import { describe, expect, test } from "bun:test";
import { randomBytes } from "node:crypto";
import { closeSync, openSync, readdirSync, readFileSync, readlinkSync, truncateSync } from "node:fs";
import net from "node:net";
import { Hono } from "hono";
import { DirectAnswers } from "../../../agent/host/direct-answers.ts";
import { Routes } from "../../../agent/host/routes.ts";
import { createApp } from "../../../agent/http/app.ts";
import { openListener } from "../../../agent/http/listeners.ts";
import { ClientGoneError, type DirectAnswer, type DirectClient, type RouteEnv } from "../../../agent/sdk/index.ts";
import { raw, Scene, until } from "./support.ts";

const megabyte = 2 ** 20;
const silent = { error: () => {}, info: () => {}, debug: () => {}, warn: () => {} };

/** The answer of every route; undefined from `direct`: not offered. */
type Make = (headers: Headers) => Omit<DirectAnswer, "headers"> & { readonly headers?: Headers };

function serve(scene: Scene, make: Make): Routes {
  const app = new Hono();
  app.all("*", (c) => {
    const { direct } = c.env as RouteEnv;
    const headers = c.req.raw.headers;
    if (!direct) return new Response(`through the agent ${headers.get("x-holdfast-direct")}`);
    return direct({ headers: new Headers(), ...make(headers) });
  });
  const routes = new Routes(scene.path("worker.sock"), app, silent);
  scene.onEnd(() => routes.stop());
  return routes;
}

const get = (path = "x", more = "") => `GET /walg/${path} HTTP/1.1\r\nHost: localhost\r\n${more}\r\n`;

/** A file of random bytes that is open until the end. */
async function openFile(scene: Scene, sizeBytes: number): Promise<{ fd: number; bytes: Buffer; path: string }> {
  const bytes = randomBytes(sizeBytes);
  const path = scene.path("file");
  await Bun.write(path, bytes);
  const fd = openSync(path, "r");
  scene.onEnd(() => closeSync(fd));
  return { fd, bytes, path };
}

const sockets = () =>
  readdirSync("/proc/self/fd").filter((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`).startsWith("socket:");
    } catch {
      return false;
    }
  }).length;

const whole = ({ fd, bytes }: { fd: number; bytes: Buffer }): Omit<DirectAnswer, "headers"> & { headers: Headers } => ({
  headers: new Headers({ "Content-Length": String(bytes.length) }),
  stallMs: 10_000,
  send: async (client) => void (await client.sendFile(fd, 0, bytes.length, () => {})),
});

describe("a worker writes onto the client's connection", () => {
  test("the agent's head, its own bytes and stretches of a file, and the connection is closed", async () => {
    await using scene = await Scene.open();
    const { fd, bytes } = await openFile(scene, 5 * megabyte);
    let sent = 0;
    serve(scene, () => ({
      status: 206,
      headers: new Headers({ "Content-Length": String(4 * megabyte + 10), ETag: '"7"', "X-Two": "a, b" }),
      stallMs: 10_000,
      async send(client) {
        await client.write(Buffer.from("before"));
        expect(await client.sendFile(fd, 1000, 4 * megabyte, (count) => (sent += count))).toBe(4 * megabyte);
        await client.write(Buffer.from("then"));
      },
    }));
    const { text, error } = await raw(scene.agent({}, true).address.port, get());
    expect(error).toBeUndefined();
    const end = text.indexOf("\r\n\r\n");
    const head = text.slice(0, end).toLowerCase().split("\r\n");
    expect(head[0]).toBe("http/1.1 206 partial content");
    expect(head).toContain(`content-length: ${4 * megabyte + 10}`);
    expect(head).toContain('etag: "7"');
    expect(head).toContain("x-two: a, b");
    expect(head).toContain("connection: close");
    expect(head.filter((line) => line.startsWith("date: "))).toHaveLength(1);
    expect(head.join("\n")).not.toContain("x-holdfast");
    const stretch = bytes.subarray(1000, 1000 + 4 * megabyte).toString("latin1");
    expect(text.slice(end + 4) === `before${stretch}then`).toBe(true);
    expect(sent).toBe(4 * megabyte);
  });

  test("without a length, in chunks", async () => {
    await using scene = await Scene.open();
    const refused: unknown[] = [];
    serve(scene, () => ({
      stallMs: 10_000,
      async send(client) {
        await client.write(new Uint8Array(0));
        await client.write(Buffer.from("seven"));
        await client.write(Buffer.alloc(300, "x"));
        refused.push(await client.sendFile(0, 0, 1, () => {}).catch((error: Error) => error.message));
      },
    }));
    const { port } = scene.agent({}, true).address;
    const { text } = await raw(port, get());
    expect(text).toContain("\r\ntransfer-encoding: chunked\r\n");
    expect(text).not.toContain("content-length");
    expect(text).toEndWith(`\r\n\r\n5\r\nseven\r\n12c\r\n${"x".repeat(300)}\r\n0\r\n\r\n`);
    expect(refused).toEqual(["Cannot send a stretch of a file: the answer needs a Content-Length"]);
    const response = await fetch(`http://127.0.0.1:${port}/walg/x`);
    expect(await response.text()).toBe(`seven${"x".repeat(300)}`);
  });

  test("a head as long as the listener's own headers may be", async () => {
    await using scene = await Scene.open();
    const file = await openFile(scene, 1000);
    serve(scene, () => {
      const { headers, ...answer } = whole(file);
      headers.set("X-Long", "a".repeat(15_000));
      return { headers, ...answer };
    });
    const { text } = await raw(scene.agent({}, true).address.port, get());
    expect(text).toContain("a".repeat(15_000));
    expect(text.endsWith(file.bytes.toString("latin1"))).toBe(true);
  });

  test("twenty at once, each gets its own, and no socket is left open", async () => {
    await using scene = await Scene.open();
    const { fd, bytes } = await openFile(scene, 8 * megabyte);
    serve(scene, (headers) => ({
      ...whole({ fd, bytes }),
      headers: new Headers({ "Content-Length": String(bytes.length + 2) }),
      async send(client) {
        await client.write(Buffer.from(headers.get("x-number") ?? ""));
        await client.sendFile(fd, 0, bytes.length, () => {});
      },
    }));
    const { port } = scene.agent({}, true).address;
    const before = sockets();
    const numbers = Array.from({ length: 20 }, (_, number) => String(number + 10));
    const answers = await Promise.all(numbers.map((number) => raw(port, get("x", `X-Number: ${number}\r\n`))));
    const file = bytes.toString("latin1");
    const areRight = answers.map(({ text }, index) => text.endsWith(`\r\n\r\n${numbers[index]}${file}`));
    expect(areRight).toEqual(numbers.map(() => true));
    await until(() => sockets() <= before, "all sockets are closed");
  });

  test("a file of a file system that cannot send is read", async () => {
    await using scene = await Scene.open();
    // Of /proc: sendfile refuses it with EINVAL.
    const fd = openSync("/proc/self/environ", "r");
    scene.onEnd(() => closeSync(fd));
    const bytes = readFileSync("/proc/self/environ");
    serve(scene, () => whole({ fd, bytes }));
    const { text } = await raw(scene.agent({}, true).address.port, get());
    expect(text.endsWith(`\r\n\r\n${bytes.toString("latin1")}`)).toBe(true);
  });

  test("over IPv6, and over IPv4 to an address of both", async () => {
    await using scene = await Scene.open();
    const file = await openFile(scene, megabyte);
    serve(scene, () => whole(file));
    const listener = openListener({ host: "", port: 0 }, createApp(scene.deps()).fetch, { keepsLength: true });
    scene.onEnd(() => listener.stop(0));
    for (const host of ["127.0.0.1", "[::1]"]) {
      const response = await fetch(`http://${host}:${listener.address.port}/walg/x`).catch((error: Error) => error);
      // A machine may be without IPv6.
      if (response instanceof Error && host === "[::1]") continue;
      expect(response).toBeInstanceOf(Response);
      expect(Buffer.from(await (response as Response).arrayBuffer()).equals(file.bytes)).toBe(true);
    }
  });

  test("a client that pauses gets everything", async () => {
    await using scene = await Scene.open();
    const file = await openFile(scene, 32 * megabyte);
    let sent = 0;
    serve(scene, () => ({
      ...whole(file),
      send: async (client) =>
        void (await client.sendFile(file.fd, 0, file.bytes.length, (count) => {
          sent += count;
        })),
    }));
    const { port } = scene.agent({}, true).address;
    const ended = Promise.withResolvers<void>();
    let received = 0;
    const socket = net.connect(port, "127.0.0.1", () => socket.write(get()));
    socket.on("error", ended.reject);
    socket.on("close", () => ended.resolve());
    socket.on("data", (chunk) => {
      if (received === 0) socket.pause();
      received += chunk.length;
    });
    await until(() => received > 0, "the client has the first bytes");
    const seen = [-1, 0];
    await until(() => {
      seen.push(sent);
      return sent > 0 && seen.at(-1) === seen.at(-2);
    }, "the worker waits");
    expect(sent).toBeLessThan(file.bytes.length);
    socket.resume();
    await ended.promise;
    expect(received).toBeGreaterThan(file.bytes.length);
  });
});

describe("it is not offered", () => {
  const answered = async (scene: Scene, keepsLength: boolean, request: string) => {
    serve(scene, () => ({ stallMs: 1000, send: (client) => client.write(Buffer.from("directly")) }));
    return (await raw(scene.agent({}, keepsLength).address.port, request)).text;
  };

  test("behind Bun.serve, whatever a client sends", async () => {
    await using scene = await Scene.open();
    const text = await answered(scene, false, get("x", "X-Holdfast-Direct: possible\r\nConnection: close\r\n"));
    expect(text).toEndWith("through the agent null");
  });

  test("to a client of HTTP/1.0", async () => {
    await using scene = await Scene.open();
    const text = await answered(scene, true, get("x").replace("HTTP/1.1", "HTTP/1.0"));
    expect(text).toEndWith("through the agent null");
  });

  test("to anything but a GET", async () => {
    await using scene = await Scene.open();
    const text = await answered(scene, true, get("x", "Connection: close\r\n").replace("GET", "DELETE"));
    expect(text).toEndWith("through the agent null");
  });

  test.each(["Content-Length: 4\r\n", "Transfer-Encoding: chunked\r\n"])(
    "to a request with a body (%j)",
    async (length) => {
      await using scene = await Scene.open();
      const body = length.startsWith("C") ? "body" : "0\r\n\r\n";
      const text = await answered(scene, true, get("x", `${length}Connection: close\r\n`) + body);
      expect(text).toEndWith("through the agent null");
    },
  );

  test("on a connection that was used before", async () => {
    await using scene = await Scene.open();
    const first = get("x").replace("GET", "HEAD");
    const text = await answered(scene, true, first + get("x", "Connection: close\r\n"));
    expect(text).toEndWith("through the agent null");
  });

  test("and what only the agent may ask for, no client can", async () => {
    await using scene = await Scene.open();
    const go = Buffer.from(JSON.stringify({ id: "x", ends: {}, head: "" })).toString("base64");
    const text = await answered(scene, false, get("x", `X-Holdfast-Direct: go ${go}\r\nConnection: close\r\n`));
    expect(text).toEndWith("through the agent null");
  });
});

describe("it breaks, and is told, when", () => {
  /** @returns What the client has got, how `send` ended, and what the agent warned of. */
  async function broken(
    scene: Scene,
    send: (client: DirectClient) => Promise<void>,
    { stallMs = 10_000, client = (port: number) => raw(port, get()).then(({ text }) => text) } = {},
  ) {
    const ended = Promise.withResolvers<unknown>();
    const warnings: unknown[] = [];
    serve(scene, () => ({
      headers: new Headers({ "Content-Length": "1000000000" }),
      stallMs,
      send: async (given) => {
        try {
          await send(given);
          ended.resolve(undefined);
        } catch (error) {
          ended.resolve(error);
          throw error;
        }
      },
    }));
    const warn = (_: string, fields?: { error?: unknown }) => void warnings.push(fields?.error);
    const listener = scene.agent({ log: { ...silent, warn } }, true);
    const before = sockets();
    const [text, error] = await Promise.all([client(listener.address.port), ended.promise]);
    await until(() => sockets() <= before, "all sockets are closed");
    return { text, error, warnings };
  }

  const endless = (fd: number) => async (client: DirectClient) => {
    for (;;) await client.sendFile(fd, 0, megabyte, () => {});
  };

  test("the plugin fails", async () => {
    await using scene = await Scene.open();
    const send = async (client: DirectClient) => {
      await client.write(Buffer.from("half"));
      throw new Error("disk gone");
    };
    const { text, warnings } = await broken(scene, send);
    expect(text).toEndWith("\r\n\r\nhalf");
    expect(warnings).toEqual(["disk gone"]);
  });

  test.each(["end", "resetAndDestroy"] as const)("the client leaves by %s", async (leave) => {
    await using scene = await Scene.open();
    const { fd } = await openFile(scene, megabyte);
    const client = (port: number) => {
      const { promise, resolve } = Promise.withResolvers<string>();
      const socket = net.connect({ port, host: "127.0.0.1" }, () => socket.write(get()));
      socket.once("data", () => {
        if (leave === "end") socket.destroy();
        else socket.resetAndDestroy();
      });
      socket.on("error", () => {});
      socket.on("close", () => resolve(""));
      return promise;
    };
    const { error, warnings } = await broken(scene, endless(fd), { client });
    expect(error).toMatchObject({ name: "ClientGoneError", message: "the client went away" });
    expect(warnings).toEqual([]);
  });

  test("the client takes nothing for too long", async () => {
    await using scene = await Scene.open();
    const { fd } = await openFile(scene, megabyte);
    let socket: net.Socket | undefined;
    const client = async (port: number) => {
      socket = net.connect({ port, host: "127.0.0.1" }, () => socket?.write(get()));
      socket.pause();
      return "";
    };
    scene.onEnd(() => socket?.destroy());
    const { promise, resolve } = Promise.withResolvers<unknown>();
    const send = endless(fd);
    const watched = async (given: DirectClient) => {
      try {
        await send(given);
      } catch (error) {
        resolve(error);
        // Else nobody sees that the connection has ended.
        socket?.resume();
        throw error;
      }
    };
    await broken(scene, watched, { client, stallMs: 300 });
    expect(await promise).toMatchObject({ name: "ClientGoneError", message: "the client took nothing for 0.3 s" });
  });

  test("a file has fewer bytes than were asked for", async () => {
    await using scene = await Scene.open();
    const { fd, path } = await openFile(scene, 3 * megabyte);
    truncateSync(path, megabyte + 5);
    let sent = 0;
    const send = async (client: DirectClient) => {
      sent = await client.sendFile(fd, 0, 3 * megabyte, () => {});
      throw new Error("too few");
    };
    await broken(scene, send);
    expect(sent).toBe(megabyte + 5);
  });

  test("a file cannot be read: the system's reason, which is not the client's", async () => {
    await using scene = await Scene.open();
    const fd = openSync(scene.folder, "r");
    scene.onEnd(() => closeSync(fd));
    const { error } = await broken(scene, async (client) => void (await client.sendFile(fd, 0, 1, () => {})));
    expect(error).not.toBeInstanceOf(ClientGoneError);
    expect(error).toMatchObject({ code: "EISDIR" });
  });

  test("the client sends something that is no request behind its own", async () => {
    await using scene = await Scene.open();
    const send = async (client: DirectClient) => {
      await client.write(Buffer.from("half"));
      for (;;) {
        await client.write(Buffer.from("."));
        await Bun.sleep(5);
      }
    };
    const client = (port: number) => {
      const { promise, resolve } = Promise.withResolvers<string>();
      let text = "";
      const socket = net.connect(port, "127.0.0.1", () => socket.write(get()));
      socket.on("data", (chunk) => {
        if (!text.includes("half") && chunk.includes("half")) socket.write("\0\x01 no request\r\n\r\n");
        text += chunk.toString("latin1");
      });
      socket.on("error", () => {});
      socket.on("close", () => resolve(text));
      return promise;
    };
    const { text } = await broken(scene, send, { client });
    expect(text).toMatch(/\r\n\r\nhalf\.*$/);
  });

  test("the worker ends while it has the connection", async () => {
    await using scene = await Scene.open();
    const begun = Promise.withResolvers<void>();
    const routes = serve(scene, () => ({
      headers: new Headers({ "Content-Length": "1000" }),
      stallMs: 10_000,
      async send(client) {
        await client.write(Buffer.from("half"));
        begun.resolve();
        await new Promise(() => {});
      },
    }));
    const answer = raw(scene.agent({}, true).address.port, get());
    await begun.promise;
    await routes.stop();
    expect((await answer).text).toEndWith("\r\n\r\nhalf");
  }, 120_000);
});

test("a client that left before the agent came back is told to the plugin, once", async () => {
  const answers = new DirectAnswers();
  const errors: unknown[] = [];
  const head = answers.offer({
    headers: new Headers(),
    stallMs: 1000,
    send: async (client) => void errors.push(await client.write(Buffer.from("x")).catch((error: unknown) => error)),
  });
  const id = head.headers.get("x-holdfast-direct") ?? "";
  const ends = { remoteAddress: "192.0.2.1", remotePort: 1, localAddress: "192.0.2.2", localPort: 2 };
  await answers.carryOut({ id, ends, head: "" }, new AbortController().signal);
  expect(errors).toMatchObject([{ name: "ClientGoneError", message: "the client went away" }]);
  expect((await answers.carryOut({ id, ends, head: "" }, new AbortController().signal)).status).toBe(410);
});
