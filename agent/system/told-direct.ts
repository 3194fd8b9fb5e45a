/**
 * How the agent and a worker agree that the worker writes an answer onto the client's connection. The agent asks with
 * `x-holdfast-direct: possible`; the worker answers with the head alone and an identifier; the agent asks again with that
 * identifier, the connection's ends and the finished head, and the answer to this comes when the client has everything.
 */
import type { Ends } from "./client-socket.ts";

export const directHeader = "x-holdfast-direct";
export const isPossible = "possible";

/** The second request. */
export interface DirectRequest {
  readonly id: string;
  readonly ends: Ends;
  /** Status line and headers, as they go to the client. */
  readonly head: string;
}

const prefix = "go ";

export function encodeDirectRequest(request: DirectRequest): string {
  return prefix + Buffer.from(JSON.stringify(request)).toString("base64");
}

/** Undefined: it is a request of a client's, not the second of an agent. */
export function decodeDirectRequest(headers: Headers): DirectRequest | undefined {
  const text = headers.get(directHeader);
  if (!text?.startsWith(prefix)) return undefined;
  return JSON.parse(Buffer.from(text.slice(prefix.length), "base64").toString()) as DirectRequest;
}
