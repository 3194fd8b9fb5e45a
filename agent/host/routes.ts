/** A plugin's routes, served to the agent alone: on a private unix socket of the instance's worker. */
import type { Hono } from "hono";
import type { RouteEnv } from "../sdk/direct.ts";
import type { Log } from "../sdk/log.ts";
import { type DirectRequest, directHeader, isGo, isPossible } from "../system/told-direct.ts";
import { tellLength } from "../system/told-length.ts";
import { DirectAnswers } from "./direct-answers.ts";
import { toFailure } from "./failures.ts";

/** Time that running requests have to end; one that streams for ever must not hold up a reload. */
const drainMs = 5_000;

export class Routes {
  readonly #server: Bun.Server<undefined>;

  /** @param unix Path of the socket. @throws {Error} It cannot be opened. */
  constructor(unix: string, app: Hono, log: Log) {
    const direct = new DirectAnswers();
    const offering: RouteEnv = { direct: (answer) => direct.offer(answer) };
    this.#server = Bun.serve({
      unix,
      // Else Bun answers an error with a page that shows the plugin's source.
      development: false,
      // Uploads stream: the plugin decides.
      maxRequestBodySize: Number.MAX_SAFE_INTEGER,
      async fetch(request, server) {
        // Downloads may pause as long as they like.
        server.timeout(request, 0);
        const told = request.headers.get(directHeader);
        if (told === isGo) return await direct.carryOut((await request.json()) as DirectRequest, request.signal);
        const env: RouteEnv = told === isPossible ? offering : {};
        request.headers.delete(directHeader);
        const response: unknown = await app.fetch(request, env);
        if (response instanceof Response) return tellLength(response);
        throw new TypeError("The plugin's route returned no Response");
      },
      error(error) {
        log.error("A route of the plugin failed", { error: toFailure(error).message });
        return new Response("Internal Server Error", { status: 500 });
      },
    });
  }

  /** Accepts nothing more, lets running requests end for five seconds, and cuts the rest. */
  async stop(): Promise<void> {
    const deadline = Promise.withResolvers<void>();
    const timer = setTimeout(deadline.resolve, drainMs);
    await Promise.race([this.#server.stop(), deadline.promise]);
    clearTimeout(timer);
    await this.#server.stop(true);
  }
}
