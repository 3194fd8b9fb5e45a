import { Hono } from "hono";
import type { HttpEnv } from "./connection.ts";
import { line, methodNotAllowed } from "./plain-text.ts";

/** `/-/healthy`: the process answers. `/-/ready`: a configuration is running. Neither asks a database. */
export const healthRoutes = (isReady: () => boolean): Hono<HttpEnv> =>
  new Hono<HttpEnv>()
    .get("/-/healthy", (c) => line(c, 200, "holdfast is healthy."))
    .get("/-/ready", (c) => (isReady() ? line(c, 200, "holdfast is ready.") : line(c, 503, "holdfast is not ready.")))
    .all("/-/healthy", (c) => methodNotAllowed(c, "GET, HEAD"))
    .all("/-/ready", (c) => methodNotAllowed(c, "GET, HEAD"));
