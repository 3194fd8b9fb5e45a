/** Answers that a plugin writes onto the client's connection itself: files go out without passing through the agent. */

/** The client takes nothing more. The message is the reason. */
export class ClientGoneError extends Error {
  override readonly name = "ClientGoneError";
}

/** The client's connection, behind the head of the answer. */
export interface DirectClient {
  /** Resolves when the system has all of it. @throws {ClientGoneError} */
  write(bytes: Uint8Array): Promise<void>;
  /**
   * Sends a stretch of an open file. Needs a Content-Length.
   * @param onSent Called with each number of bytes that the system has taken.
   * @returns How many there were: fewer than asked for where the file ends.
   * @throws {ClientGoneError} @throws {Error} With `code`: the file cannot be read.
   */
  sendFile(fd: number, position: number, sizeBytes: number, onSent: (bytes: number) => void): Promise<number>;
}

export interface DirectAnswer {
  /** Default 200. */
  readonly status?: number;
  /** Without a Content-Length the body is sent chunked, and has no stretches of files. The connection is closed behind it. */
  readonly headers: Headers;
  /** Time without a byte taken, after which the client is given up. */
  readonly stallMs: number;
  /** Ends the answer. */
  readonly signal?: AbortSignal | undefined;
  /**
   * Writes the body. Called exactly once: where the client has left before, with a connection that takes nothing. A throw breaks the
   * connection, so that the client sees that the body is not whole.
   */
  send(client: DirectClient): Promise<void>;
}

/** Hono's `c.env` of a plugin's routes. */
export interface RouteEnv {
  /** There where the request came by a plain connection to the instance's own `listen:`. */
  readonly direct?: (answer: DirectAnswer) => Response;
}
