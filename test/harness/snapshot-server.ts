/** The prombackup plugin behind a port, and something that answers as Prometheus does. */
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { type TestInstance, testPlugin } from "../../agent/sdk/testing.ts";
import plugin from "../../plugins/prombackup/index.ts";
import { createFolder } from "./folders.ts";
import { listenForInstance } from "./instance-listener.ts";

export interface SnapshotServer extends AsyncDisposable {
  readonly url: string;
  /** The snapshot folder. */
  readonly folder: string;
  readonly test: TestInstance;
  fetch(path: string, init?: RequestInit): Promise<Response>;
  post(path: string, form?: Readonly<Record<string, string>>): Promise<Response>;
  text(path: string): Promise<string>;
  /** The value of a sample; undefined where there is none. */
  sample(series: string): Promise<number | undefined>;
}

export interface SnapshotServerOptions {
  /** Default: a folder of its own. */
  readonly folder?: string;
  /** More of the plugin's configuration. */
  readonly config?: Readonly<Record<string, unknown>>;
  /** Where Prometheus answers. */
  readonly prometheus?: string;
  readonly now?: () => number;
}

export async function startSnapshotServer(options: SnapshotServerOptions = {}): Promise<SnapshotServer> {
  await using cleanup = new AsyncDisposableStack();
  const own = cleanup.use(await createFolder("holdfast-snapshots"));
  const folder = options.folder ?? own.path;
  const test = await testPlugin(plugin, {
    config: {
      snapshot_dir: folder,
      state_dir: join(own.path, ".holdfast"),
      prometheus: { url: options.prometheus ?? "http://127.0.0.1:1" },
      ...options.config,
    },
    ...(options.now ? { now: options.now } : {}),
  });
  cleanup.defer(() => test.stop());
  const { http } = test.instance;
  if (!http) throw new Error("The plugin has no routes");
  const listener = cleanup.use(await listenForInstance("prombackup", http));
  const { url } = listener;
  const request = (path: string, init: RequestInit = {}) =>
    fetch(url + path, { redirect: "manual", keepalive: false, ...init });
  const owned = cleanup.move();
  return {
    url,
    folder,
    test,
    fetch: request,
    post: (path, form) =>
      request(path, { method: "POST", ...(form ? { body: new URLSearchParams(form) } : {}) } as RequestInit),
    text: async (path) => (await request(path)).text(),
    async sample(series) {
      const text = await test.collect();
      const line = text.split("\n").find((one) => one.startsWith(`${series} `));
      return line === undefined ? undefined : Number(line.slice(series.length + 1));
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

/** What an answer of {@link prometheusAnswering} is: a recorded file's text, and a status. */
export interface PrometheusAnswer {
  readonly status?: number;
  readonly body: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** A port that answers a snapshot request as recorded, and makes the folder that a real one would make. */
export function prometheusAnswering(answer: (request: Request) => PrometheusAnswer | Promise<PrometheusAnswer>) {
  const requests: { method: string; path: string; authorization: string | null }[] = [];
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    development: false,
    async fetch(request) {
      const { pathname, search } = new URL(request.url);
      const authorization = request.headers.get("authorization");
      requests.push({ method: request.method, path: pathname + search, authorization });
      const { status = 200, body, headers = {} } = await answer(request);
      return new Response(body, { status, headers });
    },
  });
  return {
    url: `http://127.0.0.1:${server.port}`,
    requests,
    [Symbol.asyncDispose]: () => server.stop(true),
  };
}

/** Makes an empty folder of a snapshot. */
export async function emptySnapshot(folder: string, name: string): Promise<string> {
  await mkdir(join(folder, name), { recursive: true });
  return name;
}
