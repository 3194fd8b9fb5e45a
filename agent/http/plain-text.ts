/** Short answers for people with a terminal. */
import type { Context } from "hono";
import type { ContentfulStatusCode } from "hono/utils/http-status";

/** A text of one line; headers set on `c` before go with it. */
export function line(c: Context, status: ContentfulStatusCode, text: string): Response {
  c.header("X-Content-Type-Options", "nosniff");
  c.header("Cache-Control", "no-store");
  return c.text(`${text}\n`, status);
}

/** @param allow The methods that would do, as the header `Allow` has them. */
export function methodNotAllowed(c: Context, allow: string): Response {
  c.header("Allow", allow);
  return line(c, 405, `Cannot use ${c.req.method} here: expected ${allow}`);
}
