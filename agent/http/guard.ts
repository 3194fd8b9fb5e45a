/** What a web config puts before every route: a rate limit, users and headers. */
import { BasicAuth } from "./basic-auth.ts";
import { RateLimit } from "./rate-limit.ts";
import type { WebConfig } from "./web-config.ts";

/** Keeps what is remembered between requests; one for each listener. */
export class Guard {
  readonly #auth = new BasicAuth();
  readonly #rate = new RateLimit();

  /** Why a request must not pass; undefined when it may. */
  async refuse(request: Request, { users, rateLimit }: WebConfig): Promise<Response | undefined> {
    if (rateLimit && !this.#rate.allow(rateLimit)) {
      const seconds = String(Math.max(1, Math.ceil(rateLimit.intervalSeconds)));
      return answer(429, "Too many requests", { "Retry-After": seconds });
    }
    if (users.size === 0) return undefined;
    const verdict = await this.#auth.check(request.headers.get("authorization"), users);
    if (verdict === "allowed") return undefined;
    if (verdict === "busy") return answer(503, "Too many passwords to check at once", { "Retry-After": "1" });
    return answer(401, "Unauthorized", { "WWW-Authenticate": 'Basic realm="holdfast", charset="UTF-8"' });
  }
}

/** Puts the configured headers on a response. */
export function withHeaders(response: Response, { headers }: WebConfig): Response {
  for (const name in headers) response.headers.set(name, headers[name] ?? "");
  return response;
}

function answer(status: number, text: string, headers: Readonly<Record<string, string>>): Response {
  return new Response(`${text}\n`, { status, headers: { "Content-Type": "text/plain; charset=utf-8", ...headers } });
}
