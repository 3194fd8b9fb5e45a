/** More than a file of WAL can have: from whatever answers as an agent, from an object in an archive, and for clients that do not read. */
import { expect, test } from "bun:test";
import { mkdir, readdir, stat, writeFile } from "node:fs/promises";
import net from "node:net";
import { join } from "node:path";
import { Hono } from "hono";
import { WalLookup } from "../../../plugins/common/wal-archive/lookup.ts";
import { openWalArchive } from "../../../plugins/common/wal-archive/open.ts";
import { ServeClient } from "../../../plugins/common/wal-archive/serve-client.ts";
import { archiveSettings } from "../../../plugins/common/wal-archive/settings.ts";
import { addServeRoutes, ServeTelemetry } from "../../../plugins/pgrwl/serve-routes.ts";
import { createFolder } from "../../harness/folders.ts";
import { listenForInstance } from "../../harness/instance-listener.ts";
import { waitFor } from "../../harness/wait.ts";
import { walSegment } from "../../harness/wal-segment.ts";

const segment = "000000010000000000000003";
const silent = { error() {}, warn() {}, info() {}, debug() {} };
const mebibyte = 2 ** 20;

/** Zeros without an end, as fast as they are taken. */
function endless(taken: { bytes: number }): ReadableStream<Uint8Array> {
  return new ReadableStream({
    pull(controller) {
      taken.bytes += mebibyte;
      controller.enqueue(new Uint8Array(mebibyte));
    },
  });
}

async function agentThatAnswers(answer: (taken: { bytes: number }) => Response) {
  const taken = { bytes: 0 };
  const server = Bun.serve({ port: 0, hostname: "127.0.0.1", reusePort: false, fetch: () => answer(taken) });
  const client = new ServeClient({ address: `127.0.0.1:${server.port}` });
  return { client, taken, [Symbol.asyncDispose]: () => server.stop(true) };
}

test("an agent that sends without an end is believed up to what the file may have", async () => {
  await using folder = await createFolder("holdfast-endless");
  const headers = { "Repr-Digest": "sha-256=:AAAA:" };
  await using agent = await agentThatAnswers((taken) => new Response(endless(taken), { headers }));
  const path = join(folder.path, "out");
  await expect(agent.client.fetch("00000002.history", path)).rejects.toThrow(
    "it has more than the 16777216 bytes that 00000002.history may have",
  );
  expect((await stat(path)).size).toBeLessThanOrEqual(2 ** 24);
}, 120_000);

test("one that sends gzip which grows a thousandfold as well", async () => {
  await using folder = await createFolder("holdfast-endless");
  const bomb = Bun.gzipSync(new Uint8Array(64 * mebibyte));
  const headers = { "Repr-Digest": "sha-256=:AAAA:", "Content-Encoding": "gzip" };
  await using agent = await agentThatAnswers(() => new Response(bomb, { headers }));
  const path = join(folder.path, "out");
  await expect(agent.client.fetch("00000002.history", path)).rejects.toThrow("more than the 16777216 bytes");
}, 120_000);

test("one that promises too much is not listened to", async () => {
  await using folder = await createFolder("holdfast-endless");
  const server = net.createServer((socket) => {
    socket.on("error", () => {});
    socket.write(`HTTP/1.1 200 OK\r\nRepr-Digest: sha-256=:AAAA:\r\nContent-Length: ${2 ** 31}\r\n\r\nx`);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  await using _ = { [Symbol.asyncDispose]: async () => void server.close() };
  const { port } = server.address() as net.AddressInfo;
  const client = new ServeClient({ address: `127.0.0.1:${port}` });
  await expect(client.fetch(segment, join(folder.path, "out"))).rejects.toThrow("more than the 1073741824 bytes");
  expect(await readdir(folder.path)).toEqual([]);
});

test("the text of a refusal is read as far as it is shown", async () => {
  await using folder = await createFolder("holdfast-endless");
  await using agent = await agentThatAnswers((taken) => new Response(endless(taken), { status: 403 }));
  await expect(agent.client.fetch(segment, join(folder.path, "out"))).rejects.toThrow("status 403");
  expect(agent.taken.bytes).toBeLessThan(256 * mebibyte);
}, 120_000);

interface Serving extends AsyncDisposable {
  readonly port: number;
  readonly folder: string;
  readonly telemetry: ServeTelemetry;
}

interface Bounds {
  readonly mostSent?: number;
  readonly stallMs?: number;
  /** Whether the worker writes onto the client's connection, as it can at an instance's own address. */
  readonly directly?: boolean;
}

async function serve({ directly = false, ...options }: Bounds = {}): Promise<Serving> {
  await using cleanup = new AsyncDisposableStack();
  const { path } = cleanup.use(await createFolder("holdfast-bounds"));
  await mkdir(join(path, "wal"));
  const settings = archiveSettings.parse({ storage: { type: "local", directory: join(path, "archive") } });
  await mkdir(join(path, "archive", "wal-archive"), { recursive: true });
  const archive = cleanup.use(await openWalArchive(settings, { environment: {} }));
  const lookup = new WalLookup({
    directory: join(path, "wal"),
    archive: () => archive,
    description: "here",
    servesPartial: () => true,
  });
  const app = new Hono();
  const telemetry = new ServeTelemetry();
  const segmentSizeBytes = () => 16 * mebibyte;
  addServeRoutes(app, {
    lookup,
    token: undefined,
    telemetry,
    log: silent,
    segmentSizeBytes,
    systemIdentifier: async () => undefined,
    ...options,
  });
  const port = directly
    ? Number(new URL(cleanup.use(await listenForInstance("wal", app)).url).port)
    : cleanup.adopt(listen(app), (server) => server.stop(true)).port;
  const owned = cleanup.move();
  return { port: port ?? 0, folder: path, telemetry, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

const listen = (app: Hono) =>
  Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    reusePort: false,
    development: false,
    idleTimeout: 0,
    fetch: (request) => app.fetch(request),
  });

test.each([".gz", ".zst"])(
  "an object %s that decodes to a gigabyte is not read on behind what is kept in memory",
  async (extension) => {
    await using serving = await serve();
    const zeros = new Uint8Array(512 * mebibyte);
    const bomb = extension === ".gz" ? Bun.gzipSync(zeros) : Bun.zstdCompressSync(zeros);
    await writeFile(join(serving.folder, "archive", "wal-archive", segment + extension), bomb);
    const response = await fetch(`http://127.0.0.1:${serving.port}/wal/${segment}`);
    expect([response.status, await response.text()]).toEqual([
      502,
      expect.stringContaining("the content has more than 67108864 bytes"),
    ]);
  },
  120_000,
);

test.each([
  ["by an answer", false],
  ["directly", true],
])(
  "clients that do not read hold a bounded number of segments, and are cut so that others get theirs: %s",
  async (_, directly) => {
    await using serving = await serve({ mostSent: 2, stallMs: 3000, directly });
    const content = walSegment({ number: 3, sizeBytes: 16 * mebibyte });
    await writeFile(join(serving.folder, "wal", segment), content);
    let closed = 0;
    const sockets = [0, 1].map(() => {
      const socket = net.connect(serving.port, "127.0.0.1");
      socket.on("error", () => {});
      socket.on("close", () => closed++);
      socket.write(`GET /wal/${segment} HTTP/1.1\r\nHost: a\r\n\r\n`);
      return socket.pause();
    });
    await waitFor("both to be answered", async () => serving.telemetry.requests.get("whole") === 2, 60_000);
    const response = await fetch(`http://127.0.0.1:${serving.port}/wal/${segment}`);
    expect((await response.arrayBuffer()).byteLength).toBe(content.length);
    for (const socket of sockets) socket.resume();
    await waitFor("the slow clients to be cut", async () => closed === 2, 60_000);
  },
  120_000,
);
