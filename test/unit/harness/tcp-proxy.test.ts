import { afterAll, beforeAll, expect, test } from "bun:test";
import { createServer, connect as openSocket, type Server, type Socket } from "node:net";
import { type Faults, startTcpProxy } from "../../harness/tcp-proxy.ts";
import { waitFor } from "../../harness/wait.ts";

let echo: Server;
let port: number;
beforeAll(async () => {
  echo = createServer((socket) => socket.on("error", () => {}).pipe(socket));
  await new Promise<void>((resolve) => echo.listen(0, "127.0.0.1", resolve));
  const address = echo.address();
  port = typeof address === "object" && address !== null ? address.port : 0;
});
afterAll(() => echo.close());

interface Talk {
  readonly socket: Socket;
  received(): Buffer;
  readonly chunks: readonly Buffer[];
  /** `end`: closed in order. */
  outcome(): "open" | "end" | "error";
}

function talk(to: number): Talk {
  const chunks: Buffer[] = [];
  let outcome: "open" | "end" | "error" = "open";
  const socket = openSocket({ host: "127.0.0.1", port: to, noDelay: true });
  socket.on("data", (bytes: Buffer) => chunks.push(bytes));
  socket.on("error", () => (outcome = "error"));
  socket.on("end", () => (outcome = "end"));
  return { socket, chunks, received: () => Buffer.concat(chunks), outcome: () => outcome };
}

async function withProxy(
  faults: Faults,
  body: (one: Talk, proxy: Awaited<ReturnType<typeof startTcpProxy>>) => Promise<void>,
) {
  await using proxy = await startTcpProxy({ host: "127.0.0.1", port }, faults);
  const one = talk(proxy.port);
  await body(one, proxy);
  one.socket.destroy();
}

const text = Buffer.from(Array.from({ length: 3000 }, (_, at) => `line ${at}\n`).join(""));

test("a proxy without faults passes everything on, and the end", () =>
  withProxy({}, async ({ socket, received, outcome }, proxy) => {
    socket.end(text);
    await waitFor("the end", () => outcome() === "end");
    expect(received().equals(text)).toBe(true);
    expect(proxy.connections[0]?.bytes("toServer")).toBe(text.length);
    await waitFor("the connection to be closed", () => proxy.open().length === 0);
  }));

test.each([0, 1, 7, 4096])("a cut after %d bytes lets exactly these through", (bytes) =>
  withProxy({ cutAfter: { direction: "toClient", bytes } }, async ({ socket, received, outcome }) => {
    socket.write(text);
    await waitFor("the end", () => outcome() !== "open");
    expect(received().equals(text.subarray(0, bytes))).toBe(true);
  }),
);

test("split bytes arrive in order", () =>
  withProxy({ chunkBytes: 1 }, async ({ socket, chunks, received }) => {
    socket.write(text.subarray(0, 500));
    await waitFor("the echo", () => received().length === 500);
    expect(received().equals(text.subarray(0, 500))).toBe(true);
    expect(chunks.length).toBeGreaterThan(50);
  }));

test("a replacement is found across pieces, once, and nothing is held back that is not its beginning", () => {
  const replacements = [{ direction: "toClient" as const, from: Buffer.from("18.4"), to: Buffer.from("15.4") }];
  return withProxy({ chunkBytes: 1, replacements }, async ({ socket, received }) => {
    for (const part of ["version 1", "8.", "4 and 18.4"]) {
      const before = received().length;
      socket.write(part);
      await waitFor("some of it", () => received().length > before || part === "8.");
    }
    await waitFor("all of it", () => received().length === 21);
    expect(received().toString()).toBe("version 15.4 and 18.4");
  });
});

test("a stalled direction delivers nothing until it is resumed, and the connection stays open", () =>
  withProxy({}, async ({ socket, received, outcome }, proxy) => {
    socket.write("a");
    await waitFor("the echo", () => received().length === 1);
    const [connection] = proxy.open();
    connection?.stall("toClient");
    socket.write("b");
    await waitFor("the server to get it", () => connection?.bytes("toServer") === 2);
    expect([received().toString(), outcome()]).toEqual(["a", "open"]);
    connection?.resume("toClient");
    await waitFor("the rest", () => received().toString() === "ab");
  }));

test("a proxy that refuses cuts what is open and is reachable again later", () =>
  withProxy({}, async ({ socket, received, outcome }, proxy) => {
    socket.write("a");
    await waitFor("the echo", () => received().length === 1);
    await proxy.refuse();
    await waitFor("the cut", () => outcome() === "error");
    const refused = talk(proxy.port);
    await waitFor("the refusal", () => refused.outcome() === "error");
    await proxy.accept();
    const again = talk(proxy.port);
    again.socket.write("c");
    await waitFor("the echo", () => again.received().length === 1);
    again.socket.destroy();
  }));

test("a delay is waited for", () =>
  withProxy({ delayMs: 100 }, async ({ socket, received }) => {
    const startedAt = performance.now();
    socket.write("a");
    await waitFor("the echo", () => received().length === 1);
    expect(performance.now() - startedAt).toBeGreaterThanOrEqual(199);
  }));
