import type { Ends } from "../system/client-socket.ts";

/** What a listener tells the app about the connection that a request came by. */
export interface Connection {
  /** The client's IP address; an IPv4 one is written so, even on a dual-stack socket. */
  readonly clientAddress: string | undefined;
  /** Whether it came by TLS. */
  readonly secure: boolean;
  /** Whether the agent asked for a user and a password, and both were right. */
  readonly authenticated: boolean;
  /** There where a worker may write the answer onto the connection itself. */
  readonly ends?: Ends | undefined;
  /** Lets the connection be silent for as long as it likes: for downloads that pause. */
  allowSilence(): void;
  /** The answer was handed on: a client that sends and takes nothing more is cut after two minutes. */
  endSilence(): void;
}

/** Hono's `c.env`; without a listener (in a test) there is no connection. */
export interface HttpEnv {
  Bindings: { readonly connection?: Connection };
}

/** What a listener calls with each request, such as `app.fetch`. */
export type Fetch = (request: Request, env: HttpEnv["Bindings"]) => Response | Promise<Response>;
