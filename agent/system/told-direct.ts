/**
 * How the agent and a worker agree that the worker writes an answer onto the client's connection. The agent asks with
 * `x-holdfast-direct: possible`; the worker answers with the head alone and an identifier; the agent asks again with `x-holdfast-direct: go`,
 * and in the body the identifier, the connection's ends and the finished head; the answer to this comes when the client has everything.
 */
import type { Ends } from "./client-socket.ts";

export const directHeader = "x-holdfast-direct";
export const isPossible = "possible";
export const isGo = "go";

/** The body of the second request, as JSON. */
export interface DirectRequest {
  readonly id: string;
  readonly ends: Ends;
  /** Status line and headers, as they go to the client. */
  readonly head: string;
}
