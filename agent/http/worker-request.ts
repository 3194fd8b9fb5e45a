/** A request to a worker's unix socket. */
import { type IncomingMessage, request as open } from "node:http";

export interface WorkerRequest {
  /** The unix socket. */
  readonly socket: string;
  /** Path and query, as they go into the request. */
  readonly path: string;
  readonly method: string;
  readonly headers: Headers;
}

/**
 * Asks without a body. By node:http: a body that fetch() receives comes in pieces of megabytes, and twenty downloads
 * would hold a hundred of them. @throws {Error} No answer came.
 */
export async function ask(asked: WorkerRequest, signal: AbortSignal): Promise<Response> {
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
  const { socket: socketPath, path, method } = asked;
  // A kept connection may lead to a worker that has ended; a new one on a unix socket costs microseconds.
  const request = open({ socketPath, path, method, headers: Object.fromEntries(asked.headers), agent: false, signal });
  request.once("response", resolve);
  request.on("error", reject);
  request.end();
  const message = await promise;
  const { statusCode: status = 502, statusMessage: statusText = "", rawHeaders } = message;
  const headers = new Headers();
  for (let at = 0; at + 1 < rawHeaders.length; at += 2) headers.append(rawHeaders[at] ?? "", rawHeaders[at + 1] ?? "");
  if (method === "HEAD" || status === 204 || status === 304) {
    message.resume();
    return new Response(null, { status, statusText, headers });
  }
  const response = new Response(bodyOf(message), { status, statusText, headers });
  messages.set(response, message);
  return response;
}

const messages = new WeakMap<Response, IncomingMessage>();

/** What an answer's body comes from, for who can take it without a web stream: that costs half of the throughput. */
export function messageOf(response: Response): IncomingMessage | undefined {
  return messages.get(response);
}

/** The bytes at the reader's pace; breaks where the message does. */
function bodyOf(message: IncomingMessage): ReadableStream<Uint8Array> {
  let chunks: AsyncIterator<Uint8Array> | undefined;
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        chunks ??= message[Symbol.asyncIterator]() as AsyncIterator<Uint8Array>;
        const { done, value } = await chunks.next();
        if (done) controller.close();
        else controller.enqueue(value);
      },
      cancel: () => void message.destroy(),
    },
    { highWaterMark: 0 },
  );
}

/** Sends a body along. @throws {Error} No answer came. */
export async function send(
  asked: WorkerRequest,
  body: ReadableStream | string,
  signal: AbortSignal,
): Promise<Response> {
  const { socket: unix, path, method, headers } = asked;
  return await fetch(`http://worker${path}`, {
    unix,
    method,
    headers,
    body,
    signal,
    redirect: "manual",
    decompress: false,
    timeout: false,
    keepalive: false,
  } as BunFetchRequestInit);
}
