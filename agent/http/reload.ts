/** `POST /-/reload`, when it is enabled. */
import { type Context, Hono } from "hono";
import type { HttpEnv } from "./connection.ts";
import { line, methodNotAllowed } from "./plain-text.ts";

export type Reload = () => Promise<{ readonly successful: boolean; readonly message: string }>;

/** @param reload Undefined: not enabled, and the answer says which key does it. */
export const reloadRoutes = (reload: Reload | undefined): Hono<HttpEnv> =>
  new Hono<HttpEnv>()
    .post("/-/reload", async (c) => {
      if (!reload) {
        return line(c, 403, "Cannot reload by HTTP: it is not enabled, set enable_reload: true or send SIGHUP");
      }
      if (isFromOtherSite(c)) return line(c, 403, "Cannot reload for a page of another site");
      // It waits for the one that runs, and for plugins that are slow to load.
      c.env?.connection?.allowSilence();
      const { successful, message } = await reload();
      c.env?.connection?.endSilence();
      return line(c, successful ? 200 : 500, message);
    })
    .all("/-/reload", (c) => methodNotAllowed(c, "POST"));

/**
 * Whether a browser sent it for a page of another site, where a form needs no permission to post anywhere.
 * A program such as curl sends neither header.
 */
function isFromOtherSite(c: Context): boolean {
  const site = c.req.header("sec-fetch-site");
  if (site !== undefined && site !== "same-origin" && site !== "none") return true;
  const origin = c.req.header("origin");
  if (origin === undefined) return false;
  // Not the request's URL: what stands in a request line such as `//evil.example/` gets into that.
  return !URL.canParse(origin) || new URL(origin).host !== c.req.header("host");
}
