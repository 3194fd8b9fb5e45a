/** The road to an instance's own routes: its worker serves them on a private unix socket. */
import { directHeader, isPossible } from "../system/told-direct.ts";
import { restoreLength } from "../system/told-length.ts";
import type { Connection } from "./connection.ts";
import { tellDirectBody } from "./direct-body.ts";
import { tellPipedBody } from "./piped-body.ts";
import { ask, messageOf, send } from "./worker-request.ts";

export interface Target {
  /** The worker's unix socket. */
  readonly socket: string;
  /** What was taken off the front of the path, such as `/walg`; empty on the instance's own port. */
  readonly prefix: string;
}

/** Why there is no answer of the worker's. */
export class UpstreamError extends Error {}

/**
 * Sends a request on, and its answer back; both bodies stream, and neither is decompressed or kept.
 * A client that goes away aborts the request in the worker; a worker that fails in the middle of a body
 * breaks the client's connection, for a clean end would pass half a file off as a whole one.
 * @param onBroken Called when the worker fails in the middle of a body.
 * @throws {UpstreamError} The worker does not answer; nothing was sent to the client yet.
 */
export async function forward(
  request: Request,
  { socket, prefix }: Target,
  connection: Connection | undefined,
  onBroken: (cause: unknown) => void,
): Promise<Response> {
  connection?.allowSilence();
  const path = pathBelow(request.url, prefix);
  const asked = { socket, path, method: request.method, headers: requestHeaders(request, prefix, connection) };
  let response: Response;
  try {
    response = await (request.body === null ? ask(asked, request.signal) : send(asked, request.body, request.signal));
  } catch (cause) {
    throw new UpstreamError("Cannot reach the instance", { cause });
  }
  const headers = new Headers(response.headers);
  dropHopByHop(headers);
  const direct = headers.get(directHeader);
  headers.delete(directHeader);
  // That of the worker's answer, which is a head alone.
  if (direct !== null) headers.delete("content-length");
  restoreLength(headers);
  if (direct !== null && connection?.ends) {
    await response.body?.cancel();
    const head = new Response(null, { status: response.status, statusText: response.statusText, headers });
    tellDirectBody(head, { socket, id: direct, ends: connection.ends, onBroken });
    return head;
  }
  const message = messageOf(response);
  if (response.body === null) connection?.endSilence();
  const body =
    response.body && relay(response.body, request.signal, { onBroken, onEnd: () => connection?.endSilence() });
  const answer = new Response(body, { status: response.status, statusText: response.statusText, headers });
  if (message) tellPipedBody(answer, { message, onBroken });
  return answer;
}

/** The path and query as the client wrote them: `%2F` stays, and so does an empty segment. */
function pathBelow(url: string, prefix: string): string {
  const path = url.replace(/^[^:/]+:\/\/[^/?]*/, "");
  const below = path.slice(prefix.length);
  return below.startsWith("/") ? below : `/${below}`;
}

/** Source: RFC 9110, 7.6.1; `Keep-Alive` and `Proxy-Connection` by custom. */
const hopByHop = [
  "connection",
  "keep-alive",
  "proxy-authenticate",
  "proxy-authorization",
  "proxy-connection",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
];

function dropHopByHop(headers: Headers): void {
  for (const name of headers.get("connection")?.split(",") ?? []) {
    const token = name.trim();
    if (/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(token)) headers.delete(token);
  }
  for (const name of hopByHop) headers.delete(name);
}

function requestHeaders(request: Request, prefix: string, connection: Connection | undefined): Headers {
  const headers = new Headers(request.headers);
  dropHopByHop(headers);
  // The listener has answered it.
  headers.delete("expect");
  // The password is the agent's; a plugin has no use for it.
  if (connection?.authenticated) headers.delete("authorization");
  // Where these are missing, fetch() would put in its own, and claim for the client what only Bun can read.
  if (!headers.has("accept-encoding")) headers.set("accept-encoding", "identity");
  if (!headers.has("user-agent")) headers.set("user-agent", "");
  if (prefix === "") headers.delete("x-forwarded-prefix");
  else headers.set("x-forwarded-prefix", prefix);
  if (connection?.clientAddress !== undefined) {
    const before = request.headers.get("x-forwarded-for");
    const hops = before ? `${before}, ${connection.clientAddress}` : connection.clientAddress;
    headers.set("x-forwarded-for", hops);
  }
  headers.set("x-forwarded-proto", connection?.secure ? "https" : "http");
  // A body that nobody reads would make the kernel reset the connection when it is closed.
  const hasBody = request.headers.has("content-length") || request.headers.has("transfer-encoding");
  if (connection?.ends && request.method === "GET" && !hasBody) headers.set(directHeader, isPossible);
  else headers.delete(directHeader);
  return headers;
}

/**
 * The same bytes at the reader's pace. Bun prints an error of a fetch() body that goes straight into an answer to
 * stderr; one that passes through here only breaks the connection.
 */
function relay(
  body: ReadableStream<Uint8Array>,
  client: AbortSignal,
  { onBroken, onEnd }: { onBroken(cause: unknown): void; onEnd(): void },
): ReadableStream<Uint8Array> {
  const reader = body.getReader();
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        try {
          const { done, value } = await reader.read();
          if (!done) return controller.enqueue(value);
          // Before the end: after it, Bun no longer knows the connection of this request.
          onEnd();
          controller.close();
        } catch (cause) {
          if (!client.aborted) onBroken(cause);
          controller.error(cause);
        }
      },
      cancel: (reason) => reader.cancel(reason).catch(() => undefined),
    },
    { highWaterMark: 0 },
  );
}
