/** The agent's routes. A listener serves them: listeners.ts. */
import { type Context, Hono } from "hono";
import { bodyLimit } from "./body-limit.ts";
import type { HttpEnv } from "./connection.ts";
import { healthRoutes } from "./health.ts";
import { answerForInstance, hasNoRoutes, type InstanceRoutesDeps } from "./instance-routes.ts";
import { defaultMaxRequests, instanceMetricsRoutes, type MetricsSource, metricsRoutes } from "./metrics-routes.ts";
import { line, methodNotAllowed } from "./plain-text.ts";
import { type Reload, reloadRoutes } from "./reload.ts";
import { statusJson } from "./status-json.ts";
import { pageHeaders, statusPage } from "./status-page.ts";

export type { MetricsSource } from "./metrics-routes.ts";

export interface AppDeps extends InstanceRoutesDeps {
  isReady(): boolean;
  readonly metrics: MetricsSource;
  /** Undefined: `POST /-/reload` is not enabled. */
  readonly reload?: Reload | undefined;
  hasInstance(name: string): boolean;
  /** Scrapes answered at once, 0 for no limit; asked anew each time. Without it: 40. */
  maxRequests?(): number;
  /** What else a person who looks at the status page must know; empty when all is well. */
  notices?(): readonly string[];
}

/** Everything at the agent's own addresses. */
export function createApp(deps: AppDeps): Hono<HttpEnv> {
  const app = new Hono<HttpEnv>();
  app.use(bodyLimit((path) => deps.hasInstance(instanceIn(path) ?? "")));
  app.route("/", healthRoutes(deps.isReady));
  app.route(
    "/",
    metricsRoutes(deps.metrics, () => deps.maxRequests?.() ?? defaultMaxRequests),
  );
  app.route("/", reloadRoutes(deps.reload));
  app.get("/", (c) => {
    const { hostname } = new URL(c.req.url);
    const page = statusPage(deps.status(), { now: Date.now(), hostname, notices: deps.notices?.() ?? [] });
    return c.body(page, 200, { ...pageHeaders });
  });
  app.get("/api/v1/status", (c) => {
    c.header("Cache-Control", "no-store");
    c.header("X-Content-Type-Options", "nosniff");
    return c.json(statusJson(deps.status()));
  });
  for (const path of ["/", "/api/v1/status"]) app.all(path, (c) => methodNotAllowed(c, "GET, HEAD"));
  app.all("*", (c) => {
    // Not `c.req.path`, which is decoded: what is taken off must be what the client wrote.
    const { pathname, search } = new URL(c.req.url);
    const name = instanceIn(pathname);
    if (name === undefined || !deps.hasInstance(name)) return notFound(c);
    // Relative links in a plugin's pages need the slash; a relative target holds behind another proxy's prefix too.
    if (pathname === `/${name}`) return c.redirect(`${name}/${search}`, 308);
    return answerForInstance(c, name, `/${name}`, deps);
  });
  return withErrors(app, deps);
}

/**
 * An instance's own address: its metrics alone, and its routes at the root; without routes, a page that links to the metrics.
 * @param deps `isReady`: the agent has no other address, as under an original's name, so its health is told here too. Its status
 *   page is not: an original's port is often open to all.
 */
export function createInstanceApp(
  name: string,
  deps: InstanceRoutesDeps & Pick<AppDeps, "metrics" | "maxRequests"> & Partial<Pick<AppDeps, "isReady">>,
  metricsPath = "/metrics",
): Hono<HttpEnv> {
  const app = new Hono<HttpEnv>();
  const maxRequests = () => deps.maxRequests?.() ?? defaultMaxRequests;
  app.route("/", instanceMetricsRoutes({ name, path: metricsPath }, deps.metrics, maxRequests));
  if (deps.isReady) app.route("/", healthRoutes(deps.isReady));
  app.get("/", async (c) => {
    if (!hasNoRoutes(name, deps.status())) return answerForInstance(c, name, "", deps);
    return c.body(linkPage(name, metricsPath), 200, { ...pageHeaders });
  });
  app.all("*", (c) => answerForInstance(c, name, "", deps));
  return withErrors(app, deps);
}

/** The original exporters answer so, and people use it to see whether they are up. */
function linkPage(name: string, metricsPath: string): string {
  const html = '<!doctype html><html lang="en"><meta charset="utf-8">';
  return `${html}<title>${name}</title><h1>${name}</h1><p><a href="${metricsPath.slice(1)}">Metrics</a></p></html>\n`;
}

function withErrors(app: Hono<HttpEnv>, { log }: InstanceRoutesDeps): Hono<HttpEnv> {
  app.onError((error, c) => {
    log?.error("Cannot answer a request", { method: c.req.method, path: c.req.path, error: error.message });
    return line(c, 500, "Cannot answer the request: an error in holdfast, its log has more");
  });
  return app;
}

/** The first segment of a path, which may name an instance. */
function instanceIn(path: string): string | undefined {
  return /^\/([^/]+)/.exec(path)?.[1];
}

function notFound(c: Context): Response {
  return line(c, 404, "Cannot find this page: the status page at / links to those that there are");
}
