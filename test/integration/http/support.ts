/** What the HTTP tests share: a folder, an agent's app with a stand-in for its data, raw connections. */
import { mkdtemp, rm } from "node:fs/promises";
import net from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type AppDeps, createApp } from "../../../agent/http/app.ts";
import { type Listener, openListener } from "../../../agent/http/listeners.ts";
import { status } from "../../unit/http/statuses.ts";

export class Scene implements AsyncDisposable {
  readonly folder: string;
  readonly #ends: (() => unknown)[] = [];

  private constructor(folder: string) {
    this.folder = folder;
  }

  static async open(): Promise<Scene> {
    return new Scene(await mkdtemp(join(tmpdir(), "holdfast-http-")));
  }

  path(name: string): string {
    return join(this.folder, name);
  }

  async write(name: string, text: string): Promise<string> {
    await Bun.write(this.path(name), text);
    return this.path(name);
  }

  /** A worker's server on a unix socket, as the agent's workers open it. */
  worker(fetch: (request: Request) => Response | Promise<Response>, name = "worker.sock"): Bun.Server<undefined> {
    const options = {
      unix: this.path(name),
      idleTimeout: 0,
      maxRequestBodySize: Number.MAX_SAFE_INTEGER,
      development: false,
      fetch,
    };
    // Bun's types know no idle timeout of unix sockets; Bun does.
    const server = Bun.serve(options as unknown as Bun.Serve.Options<undefined>);
    this.onEnd(() => server.stop(true));
    return server;
  }

  /** The agent's app on a free port, with an instance `walg` whose worker listens on `worker.sock`. */
  agent(deps: Partial<AppDeps> = {}, keepsLength = false): Listener {
    const listener = openListener({ host: "127.0.0.1", port: 0 }, createApp(this.deps(deps)).fetch, { keepsLength });
    this.onEnd(() => listener.stop(0));
    return listener;
  }

  deps(deps: Partial<AppDeps> = {}): AppDeps {
    return {
      status: () => status,
      isReady: () => true,
      metrics: {
        page: (filter) => new Blob([pageOf(filter)]),
        gzipPage: async (filter) => new Blob([Bun.gzipSync(pageOf(filter))]),
        names: () => ["walg", "archive"],
      },
      socketOf: (name) => (name === "walg" ? this.path("worker.sock") : undefined),
      hasInstance: (name) => name === "walg" || name === "archive",
      ...deps,
    };
  }

  onEnd(end: () => unknown): void {
    this.#ends.unshift(end);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const end of this.#ends) await end();
    await rm(this.folder, { recursive: true, force: true });
  }
}

export function pageOf(filter: ReadonlySet<string> | undefined): string {
  return `${filter ? [...filter].join("+") : "everything"}_up 1\n`;
}

/** Sends text as it stands and resolves when the server has closed; `error` when it was cut rather than ended. */
export function raw(port: number, text: string): Promise<{ text: string; error: string | undefined; ms: number }> {
  const ended = Promise.withResolvers<{ text: string; error: string | undefined; ms: number }>();
  const started = performance.now();
  const chunks: Buffer[] = [];
  let error: string | undefined;
  const socket = net.connect(port, "127.0.0.1", () => socket.write(text));
  socket.on("data", (chunk: Buffer) => chunks.push(chunk));
  socket.on("error", (cause) => {
    error = cause.message;
  });
  socket.on("close", () =>
    ended.resolve({ text: Buffer.concat(chunks).toString("latin1"), error, ms: performance.now() - started }),
  );
  return ended.promise;
}

/** Waits until something holds, thirty seconds at most. */
export async function until(holds: () => boolean | Promise<boolean>, what: string): Promise<void> {
  const deadline = performance.now() + 30_000;
  while (!(await holds())) {
    if (performance.now() > deadline) throw new Error(`Waited thirty seconds in vain until ${what}`);
    await Bun.sleep(10);
  }
}
