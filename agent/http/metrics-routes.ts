/** `/metrics`: finished bytes, plain or gzip, and no more answers at once than allowed. */
import { type Context, Hono } from "hono";
import { prefersGzip } from "./accept-encoding.ts";
import type { HttpEnv } from "./connection.ts";
import { readFilter } from "./metrics-filter.ts";
import { line, methodNotAllowed } from "./plain-text.ts";

/** Where the pages come from: blobs, for of bytes Bun makes a copy for each response. Without a filter a page holds every instance and the agent's own metrics. */
export interface MetricsSource {
  page(filter?: ReadonlySet<string>): Blob | Promise<Blob>;
  gzipPage(filter?: ReadonlySet<string>): Promise<Blob>;
  /** The instances that a filter may name. */
  names(): readonly string[];
}

export const defaultMaxRequests = 40;

/** @param maxRequests Scrapes answered at once, 0 for no limit; asked anew each time. */
export function metricsRoutes(metrics: MetricsSource, maxRequests: () => number): Hono<HttpEnv> {
  const gate = new Gate(maxRequests);
  return new Hono<HttpEnv>()
    .get("/metrics", (c) => {
      const filter = readFilter(new URL(c.req.url).searchParams, metrics.names());
      if ("problem" in filter) return line(c, 400, filter.problem);
      return gate.through(c, () => answer(c, metrics, filter.instances));
    })
    .all("/metrics", (c) => methodNotAllowed(c, "GET, HEAD"));
}

/** The metrics at one instance's own port. */
export function instanceMetricsRoutes(
  { name, path }: { readonly name: string; readonly path: string },
  metrics: MetricsSource,
  maxRequests: () => number,
): Hono<HttpEnv> {
  const gate = new Gate(maxRequests);
  const only = new Set([name]);
  return new Hono<HttpEnv>()
    .get(path, (c) => gate.through(c, () => answer(c, metrics, only)))
    .all(path, (c) => methodNotAllowed(c, "GET, HEAD"));
}

async function answer(c: Context, metrics: MetricsSource, filter: ReadonlySet<string> | undefined): Promise<Response> {
  const gzip = prefersGzip(c.req.header("accept-encoding"));
  const page = gzip ? await metrics.gzipPage(filter) : await metrics.page(filter);
  const headers = new Headers({
    "Content-Type": "text/plain; version=0.0.4; charset=utf-8",
    // Written out: an answer to HEAD has no body to count.
    "Content-Length": String(page.size),
    "X-Content-Type-Options": "nosniff",
    Vary: "Accept-Encoding",
  });
  if (gzip) headers.set("Content-Encoding", "gzip");
  return new Response(page, { headers });
}

class Gate {
  readonly #limit: () => number;
  #inside = 0;

  constructor(limit: () => number) {
    this.#limit = limit;
  }

  async through(c: Context, work: () => Promise<Response>): Promise<Response> {
    const limit = this.#limit();
    if (limit > 0 && this.#inside >= limit) {
      c.header("Retry-After", "1");
      return line(c, 503, `Cannot answer more than ${limit} scrapes at once: try again, or raise max_requests`);
    }
    this.#inside++;
    try {
      return await work();
    } finally {
      this.#inside--;
    }
  }
}
