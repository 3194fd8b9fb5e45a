/** From a request to its answer: paths, methods and the headers that each answer of the API has. */

import type { RouteEnv } from "holdfast";
import { Hono } from "hono";
import { RequestError, textError } from "./answers.ts";
import { apiRoutes, type Route } from "./api-routes.ts";
import { crossSiteProblem } from "./cross-site.ts";
import { pageRoutes } from "./page-routes.ts";
import type { Server } from "./server.ts";

export function routes(server: Server): Hono {
  const app = new Hono();
  // Not by Hono's own table: paths are exact, and a HEAD is not answered as a GET without its body.
  app.all("*", (c) => answer(server, c.req.raw, (c.env ?? {}) as RouteEnv));
  return app;
}

async function answer(server: Server, request: Request, env: RouteEnv): Promise<Response> {
  const path = pathOf(request.url);
  const cleaned = cleanPath(path);
  if (cleaned !== path) {
    const prefix = request.headers.get("x-forwarded-prefix") ?? "";
    return new Response(null, { status: 301, headers: { Location: prefix + cleaned + new URL(request.url).search } });
  }
  const isApi = Object.hasOwn(apiRoutes, path);
  const route = isApi ? apiRoutes[path] : Object.hasOwn(pageRoutes, path) ? pageRoutes[path] : undefined;
  if (!route) return textError(404, "404 page not found");
  const allowed = route.methods.includes("POST") ? "POST,OPTIONS" : "GET,OPTIONS";
  const own: Readonly<Record<string, string>> = isApi ? { "Access-Control-Allow-Methods": allowed } : {};
  if (isApi && request.method === "OPTIONS") return new Response("", { headers: own });
  if (!(route.methods as readonly string[]).includes(request.method)) {
    const methods = [...route.methods, ...(isApi ? ["OPTIONS"] : [])].join(", ");
    return textError(405, "Method Not Allowed", { Allow: methods });
  }
  const response = await answerByRoute(server, route, request, env);
  for (const [name, value] of Object.entries(own)) response.headers.set(name, value);
  return response;
}

async function answerByRoute(server: Server, route: Route, request: Request, env: RouteEnv): Promise<Response> {
  if (request.method === "POST") {
    const problem = crossSiteProblem(request);
    if (problem !== undefined) return textError(403, problem);
  }
  try {
    return await route.answer(server, request, env);
  } catch (error) {
    if (error instanceof RequestError) return textError(error.status, error.message);
    throw error;
  }
}

/** As the client wrote it: an escaped slash is none. */
function pathOf(url: string): string {
  const start = url.indexOf("/", url.indexOf("://") + 3);
  const path = start < 0 ? "/" : url.slice(start);
  return path.split(/[?#]/, 1)[0] || "/";
}

/** Source: `cleanPath` of Go's net/http: no empty and no dot segments; a slash at the end stays. */
function cleanPath(path: string): string {
  const kept: string[] = [];
  for (const segment of path.split("/")) {
    if (segment === "..") kept.pop();
    else if (segment !== "" && segment !== ".") kept.push(segment);
  }
  const cleaned = `/${kept.join("/")}`;
  return path.endsWith("/") && cleaned !== "/" ? `${cleaned}/` : cleaned;
}
