/** A bound on request bodies, where nobody reads them anyway. */
import type { MiddlewareHandler } from "hono";
import type { HttpEnv } from "./connection.ts";
import { line } from "./plain-text.ts";

/** Bytes of a body that the agent's own routes let pass. */
export const maxOwnBodyBytes = 2 ** 20;

/**
 * Refuses large bodies for the agent's own routes. A plugin's routes take any: they stream, and the plugin decides.
 * A body without a length is not counted: the agent reads none, and Bun throws it away as it comes.
 */
export function bodyLimit(isPluginPath: (path: string) => boolean): MiddlewareHandler<HttpEnv> {
  return async (c, next) => {
    const length = Number(c.req.header("content-length") ?? 0);
    if (length <= maxOwnBodyBytes || isPluginPath(c.req.path)) return next();
    c.header("Connection", "close");
    return line(c, 413, `Cannot take a body of ${length} bytes here: expected ${maxOwnBodyBytes} at most`);
  };
}
