/** An agent's routes and the client of `restore-command`, over a real archive. */
import { describe, expect, test } from "bun:test";
import { createHash } from "node:crypto";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Hono } from "hono";
import { WalLookup } from "../../../plugins/common/wal-archive/lookup.ts";
import { openWalArchive } from "../../../plugins/common/wal-archive/open.ts";
import { ServeClient } from "../../../plugins/common/wal-archive/serve-client.ts";
import { archiveSettings } from "../../../plugins/common/wal-archive/settings.ts";
import { WalSourceError } from "../../../plugins/common/wal-archive/wal-source.ts";
import { systemIdentifierIn } from "../../../plugins/pgrwl/local-system.ts";
import { addServeRoutes, ServeTelemetry } from "../../../plugins/pgrwl/serve-routes.ts";
import { createFolder } from "../../harness/folders.ts";
import { listenForInstance } from "../../harness/instance-listener.ts";
import { startTcpProxy } from "../../harness/outage-proxy.ts";
import { type S3Server, startS3Server } from "../../harness/s3/server.ts";
import { walSegment } from "../../harness/wal-segment.ts";
import { s3Settings } from "../storage/storages.ts";

const segment = (number: number) => `0000000100000000${number.toString(16).toUpperCase().padStart(8, "0")}`;
const silent = { error() {}, warn() {}, info() {}, debug() {} };

interface Serving extends AsyncDisposable {
  readonly directory: string;
  readonly url: string;
  readonly s3: S3Server;
  readonly telemetry: ServeTelemetry;
  partial: boolean;
  /** Makes a segment, in the directory or in the archive. */
  local(name: string, number: number, fill?: number): Promise<void>;
  archived(name: string, number: number, fill?: number): Promise<void>;
  client(token?: string): ServeClient;
}

interface ServeTestOptions {
  readonly token?: string;
  readonly segmentSizeBytes?: number;
}

/** `directly`: the worker writes onto the client's connection, as it can at an instance's own address. */
const ways = ["by an answer", "directly"] as const;

async function startServing(way: (typeof ways)[number], options: ServeTestOptions): Promise<Serving> {
  const { token, segmentSizeBytes } = options;
  await using cleanup = new AsyncDisposableStack();
  const folder = cleanup.use(await createFolder("holdfast-serve"));
  const directory = join(folder.path, "wal");
  await mkdir(directory);
  const s3 = cleanup.use(startS3Server());
  const settings = archiveSettings.parse({ storage: { ...s3Settings(s3), attempts: 1 }, compression: "gzip" });
  const archive = cleanup.use(await openWalArchive(settings, { environment: {} }));
  const telemetry = new ServeTelemetry();
  const state = { partial: true };
  const lookup = new WalLookup({
    directory,
    archive: () => archive,
    description: "here",
    servesPartial: () => state.partial,
  });
  const app = new Hono();
  addServeRoutes(app, {
    lookup,
    token,
    telemetry,
    log: silent,
    segmentSizeBytes: () => segmentSizeBytes ?? 2 ** 20,
    systemIdentifier: () => systemIdentifierIn(directory),
  });
  let url: string;
  if (way === "directly") ({ url } = cleanup.use(await listenForInstance("wal", app)));
  else {
    const server = Bun.serve({ port: 0, reusePort: false, fetch: (request) => app.fetch(request) });
    cleanup.defer(() => server.stop(true));
    url = `http://127.0.0.1:${server.port}`;
  }
  const owned = cleanup.move();
  return {
    directory,
    url,
    s3,
    telemetry,
    get partial() {
      return state.partial;
    },
    set partial(value) {
      state.partial = value;
    },
    local: (name, number, fill) => writeFile(join(directory, name), walSegment({ number, ...(fill ? { fill } : {}) })),
    async archived(name, number, fill) {
      const file = join(folder.path, name);
      await writeFile(file, walSegment({ number, ...(fill ? { fill } : {}) }));
      await archive.put(name, file);
    },
    client: (given) => new ServeClient({ address: url, token: given }),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

describe.each(ways)("%s", (way) => {
  const serve = (options: ServeTestOptions = {}) => startServing(way, options);

  test("a segment comes whole with its length and its checksum, under the paths of both generations", async () => {
    await using serving = await serve();
    await serving.archived(segment(3), 3);
    const content = walSegment({ number: 3 });
    for (const path of ["/wal/", "/api/v1/wal/"]) {
      const response = await fetch(serving.url + path + segment(3));
      const digest = createHash("sha256").update(content).digest("base64");
      expect(response.headers.get("repr-digest")).toBe(`sha-256=:${digest}:`);
      expect(Buffer.from(await response.arrayBuffer())).toEqual(content);
      const head = await fetch(serving.url + path + segment(3), { method: "HEAD" });
      expect([head.status, head.headers.get("content-length")]).toEqual([200, String(content.length)]);
    }
  });

  test.each([2 ** 20, 2 ** 30])("ranges, and conditions on them (segments of %i bytes)", async (segmentSizeBytes) => {
    await using serving = await serve({ segmentSizeBytes });
    await serving.local(segment(3), 3);
    const ask = (headers: Record<string, string>) => fetch(`${serving.url}/wal/${segment(3)}`, { headers });
    const part = await ask({ range: "bytes=8-15" });
    expect([part.status, part.headers.get("content-range")]).toEqual([206, `bytes 8-15/${2 ** 20}`]);
    expect(Buffer.from(await part.arrayBuffer())).toEqual(walSegment({ number: 3 }).subarray(8, 16));
    expect((await ask({ range: "bytes=9999999-" })).status).toBe(416);
    expect((await ask({ range: "bytes=8-15", "if-range": '"another"' })).status).toBe(200);
    const whole = await ask({});
    expect(Buffer.from(await whole.arrayBuffer())).toEqual(walSegment({ number: 3 }));
  });

  test("the directory goes before the archive, and what is whole before what was begun", async () => {
    await using serving = await serve();
    await using out = await createFolder("holdfast-serve-out");
    const target = join(out.path, "file");
    await serving.local(`${segment(3)}.partial`, 3, 1);
    const client = serving.client();
    expect(await client.fetch(segment(3), target)).toBe("partial");
    expect(await client.fetch(segment(3), target, { wholeOnly: true })).toBeUndefined();
    serving.partial = false;
    expect(await client.fetch(segment(3), target)).toBeUndefined();
    expect(await client.fetch(`${segment(3)}.partial`, target)).toBe("partial");
    await serving.archived(segment(3), 3, 2);
    serving.partial = true;
    expect(await client.fetch(segment(3), target)).toBe("whole");
    expect(await readFile(target)).toEqual(walSegment({ number: 3, fill: 2 }));
    await serving.local(segment(3), 3, 3);
    await client.fetch(segment(3), target);
    expect(await readFile(target)).toEqual(walSegment({ number: 3, fill: 3 }));
  });

  test("a .partial into which nothing was received is none", async () => {
    await using serving = await serve();
    await writeFile(join(serving.directory, `${segment(3)}.partial`), new Uint8Array(2 ** 20));
    const response = await fetch(`${serving.url}/wal/${segment(3)}`);
    expect([response.status, response.headers.get("holdfast-wal")]).toEqual([404, "absent"]);
  });

  test("a local file that is not sound is passed over for the archive's, and is not absent where there is none", async () => {
    await using serving = await serve();
    await writeFile(join(serving.directory, segment(3)), "half of it");
    expect((await fetch(`${serving.url}/wal/${segment(3)}`)).status).toBe(502);
    await serving.archived(segment(3), 3);
    expect((await fetch(`${serving.url}/wal/${segment(3)}`)).status).toBe(200);
  });

  test("an outage is 503 and never 404, even where there is a .partial", async () => {
    await using serving = await serve();
    await serving.local(`${segment(3)}.partial`, 3);
    serving.s3.intercept = () => new Response("no", { status: 503 });
    for (const name of [segment(3), segment(4), "00000002.history"]) {
      const response = await fetch(`${serving.url}/wal/${name}`);
      expect([response.status, response.headers.get("retry-after")]).toEqual([503, "5"]);
    }
    await using out = await createFolder("holdfast-serve-out");
    const failure = serving.client().fetch(segment(4), join(out.path, "x"));
    await expect(failure).rejects.toMatchObject({ kind: "outage" });
    expect(serving.telemetry.requests.get("outage")).toBe(4);
  });

  test.each([
    "..%2F..%2Fetc%2Fpasswd",
    "%2e%2e%2fx",
    "00000001000000000000000G",
    "000000010000000000000003.gz",
    ".holdfast-archived.json",
    "%00",
    "",
  ])("%s is refused as no name of WAL", async (name) => {
    await using serving = await serve();
    for (const path of ["/wal/", "/api/v1/wal/"]) expect((await fetch(serving.url + path + name)).status).toBe(400);
  });

  test("only who has the token gets anything", async () => {
    await using serving = await serve({ token: "0123456789abcdef" });
    await serving.local(segment(3), 3);
    await using out = await createFolder("holdfast-serve-out");
    const target = join(out.path, "file");
    for (const token of [undefined, "another", "0123456789abcde"]) {
      const failure = await serving
        .client(token)
        .fetch(segment(3), target)
        .catch((error: unknown) => error);
      expect(failure).toBeInstanceOf(WalSourceError);
      expect(failure).toMatchObject({ kind: "misconfigured" });
    }
    expect(await serving.client("0123456789abcdef").fetch(segment(3), target)).toBe("whole");
  });

  test("other methods are refused", async () => {
    await using serving = await serve();
    for (const method of ["DELETE", "PUT", "POST"])
      expect((await fetch(`${serving.url}/wal/${segment(3)}`, { method })).status).toBe(405);
  });

  test("an answer that is cut off is no file", async () => {
    await using serving = await serve();
    await serving.local(segment(3), 3);
    await using proxy = await startTcpProxy(Number(new URL(serving.url).port));
    await using out = await createFolder("holdfast-serve-out");
    const client = new ServeClient({ address: `127.0.0.1:${proxy.port}` });
    for (const bytes of [100, 5_000, 900_000]) {
      proxy.cutAfter(bytes);
      await expect(client.fetch(segment(3), join(out.path, "x"))).rejects.toMatchObject({ kind: "outage" });
      proxy.behave();
    }
    expect(await client.fetch(segment(3), join(out.path, "x"))).toBe("whole");
  });

  test("what an agent of another cluster does not have is not absent", async () => {
    await using serving = await serve();
    await using out = await createFolder("holdfast-serve-out");
    const address = new URL(serving.url).host;
    const ask = (systemIdentifier?: string) =>
      new ServeClient({ address, systemIdentifier }).fetch(segment(9), join(out.path, "x"));
    // Nobody knows whose it is: an agent that has received nothing yet.
    expect(await ask("5")).toBeUndefined();
    await serving.local(`${segment(3)}.partial`, 3);
    expect(await ask("7331")).toBeUndefined();
    expect(await ask()).toBeUndefined();
    await expect(ask("5")).rejects.toMatchObject({ kind: "misconfigured", message: expect.stringContaining("7331") });
  });
});

test("bytes that were changed on their way are no file", async () => {
  const headers = { "holdfast-wal": "whole", "repr-digest": `sha-256=:${createHash("sha256").digest("base64")}:` };
  using server = Bun.serve({ port: 0, reusePort: false, fetch: () => new Response("x", { headers }) });
  await using out = await createFolder("holdfast-serve-out");
  const client = new ServeClient({ address: `:${server.port}` });
  await expect(client.fetch(segment(3), join(out.path, "x"))).rejects.toMatchObject({ kind: "damaged" });
});

test("an agent may take long to decode a large segment; once it sends, silence is an outage", async () => {
  const content = walSegment({ number: 3 });
  const digest = createHash("sha256").update(content).digest("base64");
  const headers = { "holdfast-wal": "whole", "repr-digest": `sha-256=:${digest}:` };
  const answering = Promise.withResolvers<void>();
  using server = Bun.serve({
    port: 0,
    reusePort: false,
    async fetch() {
      await answering.promise;
      return new Response(content, { headers });
    },
  });
  await using out = await createFolder("holdfast-serve-out");
  const address = `:${server.port}`;
  const impatient = new ServeClient({ address, answerMs: 50 });
  await expect(impatient.fetch(segment(3), join(out.path, "x"))).rejects.toMatchObject({ kind: "outage" });
  const patient = new ServeClient({ address, silenceMs: 2000 });
  const fetching = patient.fetch(segment(3), join(out.path, "x"));
  setTimeout(answering.resolve, 3000);
  expect(await fetching).toBe("whole");
});
