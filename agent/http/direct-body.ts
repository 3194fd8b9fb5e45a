/** Answers whose head is the agent's, and whose body a worker writes onto the client's connection itself. */
import type { IncomingMessage } from "node:http";
import { STATUS_CODES } from "node:http";
import type { Duplex } from "node:stream";
import { ClientSocket, type Ends } from "../system/client-socket.ts";
import { type DirectRequest, directHeader, isGo } from "../system/told-direct.ts";
import { send } from "./worker-request.ts";

export interface DirectBody {
  /** The worker's unix socket. */
  readonly socket: string;
  /** By which the worker knows the answer. */
  readonly id: string;
  readonly ends: Ends;
  /** Called when the worker fails in the middle. */
  onBroken(cause: unknown): void;
}

const bodies = new WeakMap<Response, DirectBody>();

export function tellDirectBody(response: Response, body: DirectBody): void {
  bodies.set(response, body);
}

export function directBodyOf(response: Response): DirectBody | undefined {
  return bodies.get(response);
}

/** Connections that a worker writes to. */
const direct = new WeakSet<object>();

export const isDirect = (connection: object): boolean => direct.has(connection);

/**
 * Resolves when the system has everything for the client, or the client has left. Nothing may have been written to the connection
 * before, and nothing may be written to it any more: it is to be closed.
 */
export async function sendDirectly(
  { socket, id, ends, onBroken }: DirectBody,
  answer: Response,
  connection: Duplex,
  client: AbortSignal,
): Promise<void> {
  direct.add(connection);
  const headers = new Headers({ [directHeader]: isGo });
  const asked: DirectRequest = { id, ends, head: headOf(answer) };
  try {
    const reply = await send({ socket, path: "/", method: "POST", headers }, JSON.stringify(asked), client);
    const reason = await reply.text();
    if (reply.status !== 200) throw new Error(reason);
  } catch (cause) {
    if (client.aborted) return;
    onBroken(cause);
    // A worker that has died has left its descriptor behind: closing ours alone would end nothing.
    using left = ClientSocket.find(ends);
    left?.cut();
  }
}

function headOf({ status, statusText, headers }: Response): string {
  const lines = [...headers]
    .filter(([name]) => name !== "connection" && name !== "date")
    .map(([name, value]) => `${name}: ${value}\r\n`);
  const first = `HTTP/1.1 ${status} ${statusText || (STATUS_CODES[status] ?? "")}\r\n`;
  if (!headers.has("content-length")) lines.push("transfer-encoding: chunked\r\n");
  return `${first}${lines.join("")}date: ${new Date().toUTCString()}\r\nconnection: close\r\n\r\n`;
}

/** Connections that had a request before: what is still to be sent for it must not get between. */
const used = new WeakSet<object>();

/** @returns The ends of a connection that nothing was written to yet. To be asked once for each request. */
export function endsOf({ socket, httpVersion }: IncomingMessage): Ends | undefined {
  const isFirst = !used.has(socket);
  used.add(socket);
  // Older clients know no chunks.
  if (httpVersion !== "1.1") return undefined;
  const { remoteAddress, remotePort, localAddress, localPort } = socket;
  if (!isFirst || !remoteAddress || !remotePort || !localAddress || !localPort) return undefined;
  return { remoteAddress, remotePort, localAddress, localPort };
}
