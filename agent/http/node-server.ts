/**
 * Plain HTTP by node:http, where Bun.serve would not do: it takes the Content-Length off a body that streams
 * (https://github.com/oven-sh/bun/issues/10507), and clients then see no progress and cannot tell an end from a cut.
 */
import { once } from "node:events";
import { createServer, type IncomingMessage, type Server, type ServerResponse, STATUS_CODES } from "node:http";
import { type Duplex, Readable } from "node:stream";
import { canSend, type Ends } from "../system/client-socket.ts";
import { directBodyOf, endsOf, isDirect, sendDirectly } from "./direct-body.ts";
import { pipeBody, pipedBodyOf } from "./piped-body.ts";

/** What is known of a request beside itself. */
export interface Peer {
  /** As the socket tells it; undefined where the client has gone. */
  readonly address: string | undefined;
  /** There where a worker may write the answer onto the connection itself. */
  readonly ends: Ends | undefined;
  /** Lets the connection be silent for as long as it likes. */
  allowSilence(): void;
  /** The answer has no body to wait for. Of one that has, the end is seen here. */
  endSilence(): void;
}

export interface NodeServerOptions {
  readonly hostname: string;
  /** 0: a free one. */
  readonly port: number;
  /** Seconds without a byte, after which a connection is cut. */
  readonly idleSeconds: number;
  answer(request: Request, peer: Peer): Promise<Response>;
  /** No answer could be made. */
  onError(error: Error): Response;
}

/** The part of Bun.serve's that a listener uses. */
export interface NodeServer {
  readonly port: number;
  /** Accepts nothing more; resolves when the last connection is closed. @param force Cuts them. */
  stop(force?: boolean): Promise<void>;
}

/** @throws {Error} The address cannot be had, as Bun.serve says it. */
export function serveByNode(options: NodeServerOptions): NodeServer {
  const { hostname, port, idleSeconds } = options;
  const server = createServer((message, response) => void exchange(message, response, { ...options, server }));
  server.timeout = idleSeconds * 1000;
  server.keepAliveTimeout = idleSeconds * 1000;
  server.on("error", () => {});
  server.on("clientError", refuse);
  server.listen({ host: hostname, port });
  // Bun listens at once, and tells of a failure later.
  const address = server.address();
  if (address === null || typeof address === "string") {
    void Bun.serve({ hostname, port, reusePort: false, fetch: () => new Response() }).stop(true);
    throw new Error("The address was taken by another process, which has left it since");
  }
  return { port: address.port, stop: (force) => stop(server, force) };
}

/** What a client sends that is no request; behind one whose answer a worker writes, nothing may get into that. */
function refuse(error: Error & { readonly code?: string }, socket: Duplex): void {
  if (isDirect(socket)) {
    socket.destroy();
    return;
  }
  const status = errorStatus[error.code ?? ""] ?? 400;
  socket.end(`HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\nConnection: close\r\n\r\n`);
}

/** Source: the default of node:http. */
const errorStatus: Readonly<Record<string, number>> = {
  HPE_HEADER_OVERFLOW: 431,
  HPE_CHUNK_EXTENSIONS_OVERFLOW: 413,
  ERR_HTTP_REQUEST_TIMEOUT: 408,
};

async function stop(server: Server, force = false): Promise<void> {
  const closed = once(server, "close");
  if (server.listening) server.close();
  if (force) server.closeAllConnections();
  else server.closeIdleConnections();
  await closed;
}

async function exchange(
  message: IncomingMessage,
  response: ServerResponse,
  { answer, onError, server, idleSeconds }: NodeServerOptions & { readonly server: Server },
): Promise<void> {
  const gone = new AbortController();
  // A body that was let go of takes it off the message.
  const { socket } = message;
  response.on("close", () => {
    gone.abort();
    // Kept alive, it would keep a server open that accepts nothing more.
    if (!server.listening) server.closeIdleConnections();
  });
  try {
    const request = requestOf(message, gone.signal);
    const answered = request
      ? await answer(request, peerOf(message)).catch(onError)
      : new Response("Cannot read the Host header: expected a host name\n", { status: 400 });
    const direct = directBodyOf(answered);
    if (direct) {
      await sendDirectly(direct, answered, socket, gone.signal);
      socket.destroy();
      return;
    }
    if (!server.listening) response.shouldKeepAlive = false;
    await send(answered, message, response);
    // What nobody has read of it would stand before the next request.
    if (request?.body && !request.body.locked) await request.body.cancel();
    // A plugin's route may have allowed it to be silent for as long as it likes.
    socket.setTimeout(idleSeconds * 1000);
  } catch {
    // A body that breaks must not end as a whole one does. What broke it, who made it has said.
    socket.destroy();
  }
}

const peerOf = (message: IncomingMessage): Peer => ({
  address: message.socket.remoteAddress,
  ends: canSend() ? endsOf(message) : undefined,
  allowSilence: () => void message.socket.setTimeout(0),
  endSilence: () => {},
});

/** Undefined: its Host header is no host. */
function requestOf(message: IncomingMessage, signal: AbortSignal): Request | undefined {
  const { method = "GET", url: target = "/", headers } = message;
  // What does not belong to a host would become a part of the path, and pass by whoever has looked at that.
  if (/[/\\?#@]/.test(headers.host ?? "")) return undefined;
  const url = target.startsWith("/") ? `http://${headers.host || "localhost"}${target}` : target;
  if (!URL.canParse(url)) return undefined;
  const hasBody = headers["content-length"] !== undefined || headers["transfer-encoding"] !== undefined;
  const body = hasBody && method !== "GET" && method !== "HEAD" ? (Readable.toWeb(message) as ReadableStream) : null;
  const request = new Request(url, {
    method,
    headers: headersOf(message),
    body,
    signal,
    duplex: "half",
  } as RequestInit);
  // As the client wrote it: the constructor takes dot segments out.
  return Object.defineProperty(request, "url", { value: url });
}

function headersOf({ rawHeaders }: IncomingMessage): Headers {
  const headers = new Headers();
  for (let at = 0; at + 1 < rawHeaders.length; at += 2) headers.append(rawHeaders[at] ?? "", rawHeaders[at + 1] ?? "");
  return headers;
}

async function send(answer: Response, { method }: IncomingMessage, response: ServerResponse): Promise<void> {
  response.statusCode = answer.status;
  response.statusMessage = answer.statusText || (STATUS_CODES[answer.status] ?? "");
  const cookies = answer.headers.getSetCookie();
  for (const [name, value] of answer.headers) if (name !== "set-cookie") response.setHeader(name, value);
  if (cookies.length > 0) response.setHeader("set-cookie", cookies);
  const piped = method === "HEAD" ? undefined : pipedBodyOf(answer);
  if (piped) return await pipeBody(piped, response);
  const reader = answer.body?.getReader();
  if (!reader || method === "HEAD") {
    await reader?.cancel();
    response.end();
    return;
  }
  // Not by a race with each read: what a promise that stays open was raced with stays in memory with it.
  response.once("close", () => void reader.cancel().catch(() => {}));
  const first = await reader.read();
  if (!first.done && !response.hasHeader("content-length")) {
    const second = reader.read();
    // A text is one chunk: its length can be told.
    if (await isOver(second)) {
      response.end(first.value);
      return;
    }
    await write(response, first.value);
    const { done, value } = await second;
    if (!done) await write(response, value);
  } else if (!first.done) await write(response, first.value);
  for (let next = await reader.read(); !next.done; next = await reader.read()) await write(response, next.value);
  response.end();
}

/** Whether the stream has ended already: what is in memory ends at once, what is made takes longer. */
async function isOver(next: Promise<{ readonly done: boolean }>): Promise<boolean> {
  const soon = new Promise<false>((resolve) => setImmediate(() => resolve(false)));
  const ended = next.then(
    ({ done }) => done,
    () => false,
  );
  return await Promise.race([ended, soon]);
}

/** Resolves when there is room for more, or the client has left. */
async function write(response: ServerResponse, chunk: Uint8Array): Promise<void> {
  if (response.write(chunk) || response.destroyed) return;
  const { promise, resolve } = Promise.withResolvers<void>();
  const go = () => resolve();
  response.once("drain", go);
  response.once("close", go);
  await promise;
  response.off("drain", go);
  response.off("close", go);
}
