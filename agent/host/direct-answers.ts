/** In the worker: answers that go to the client's connection without passing through the agent's thread. */
import { readSync } from "node:fs";
import { setImmediate as turn } from "node:timers/promises";
import { ClientGoneError, type DirectAnswer, type DirectClient } from "../sdk/direct.ts";
import { ClientSocket, SendError } from "../system/client-socket.ts";
import { type DirectRequest, directHeader } from "../system/told-direct.ts";
import { toFailure } from "./failures.ts";

/** The agent comes back at once for an answer that it was offered, unless the client has left. */
const comeBackMs = 10_000;
/** How much of a file is sent in one go: other answers, and the end of this one, have their turn between. */
const turnBytes = 2 ** 20;
/** How much is read in one go where the file system cannot send. */
const readBytes = 128 * 1024;
/** How long a client without room is left alone before it is looked at again: at first, and at most. */
const shortestPauseMs = 1;
const longestPauseMs = 16;

const wentAway = "the client went away";

export class DirectAnswers {
  readonly #offered = new Map<string, { readonly answer: DirectAnswer; readonly timer: Timer }>();

  /** The head of an answer, for the agent. */
  offer(answer: DirectAnswer): Response {
    const id = crypto.randomUUID();
    const timer = setTimeout(() => {
      this.#offered.delete(id);
      answer.send(gone).catch(() => {});
    }, comeBackMs);
    this.#offered.set(id, { answer, timer });
    const headers = new Headers(answer.headers);
    headers.set(directHeader, id);
    return new Response(null, { status: answer.status ?? 200, headers });
  }

  /** @returns An answer for the agent, once the client has everything, or has left. */
  async carryOut({ id, ends, head }: DirectRequest, signal: AbortSignal): Promise<Response> {
    const offered = this.#offered.get(id);
    if (!offered) return new Response("The answer was offered too long ago", { status: 410 });
    this.#offered.delete(id);
    clearTimeout(offered.timer);
    const { answer } = offered;
    let found: ClientSocket | undefined;
    try {
      found = ClientSocket.find(ends);
    } catch (error) {
      await answer.send(gone).catch(() => {});
      return new Response(toFailure(error).message, { status: 500 });
    }
    using socket = found;
    try {
      if (socket === undefined) await answer.send(gone);
      else {
        const client = new Client(socket, answer, signal);
        await client.begin(head);
        await answer.send(client);
        await client.end();
      }
      return new Response();
    } catch (error) {
      // The plugin knows, and there is nobody left to tell.
      if (error instanceof ClientGoneError) return new Response();
      return new Response(toFailure(error).message, { status: 500 });
    }
  }
}

/** The connection of a client that has left before its answer began. */
const gone: DirectClient = {
  write: () => Promise.reject(new ClientGoneError(wentAway)),
  sendFile: () => Promise.reject(new ClientGoneError(wentAway)),
};

class Client implements DirectClient {
  readonly #socket: ClientSocket;
  /** Without a length that is told before, each piece tells its own. Source: RFC 9112, 7.1. */
  readonly #isChunked: boolean;
  readonly #stallMs: number;
  readonly #left: AbortSignal;
  readonly #stopped: AbortSignal | undefined;
  /** Since when the system takes nothing for the client. */
  #fullSince: number | undefined;

  constructor(socket: ClientSocket, { headers, stallMs, signal }: DirectAnswer, left: AbortSignal) {
    this.#socket = socket;
    this.#isChunked = !headers.has("content-length");
    this.#stallMs = stallMs;
    this.#left = left;
    this.#stopped = signal;
  }

  async begin(head: string): Promise<void> {
    await this.#write(Buffer.from(head, "latin1"));
  }

  async end(): Promise<void> {
    if (this.#isChunked) await this.#write(Buffer.from("0\r\n\r\n"));
  }

  async write(bytes: Uint8Array): Promise<void> {
    // An empty chunk would be the last one.
    if (bytes.length > 0) await this.#inChunk(bytes.length, () => this.#write(bytes));
  }

  async #inChunk<Result>(sizeBytes: number, write: () => Promise<Result>): Promise<Result> {
    if (!this.#isChunked) return await write();
    await this.#write(Buffer.from(`${sizeBytes.toString(16)}\r\n`));
    const result = await write();
    await this.#write(Buffer.from("\r\n"));
    return result;
  }

  async #write(bytes: Uint8Array): Promise<void> {
    for (let rest = bytes; rest.length > 0; ) {
      this.#check();
      const count = this.#try(() => this.#socket.write(rest));
      if (count === 0) {
        await this.#room();
        continue;
      }
      this.#fullSince = undefined;
      rest = rest.subarray(count);
    }
  }

  async sendFile(fd: number, position: number, sizeBytes: number, onSent: (bytes: number) => void): Promise<number> {
    if (this.#isChunked) throw new TypeError("Cannot send a stretch of a file: the answer needs a Content-Length");
    let done = 0;
    while (done < sizeBytes) {
      this.#check();
      const count = await this.#sendPart(fd, position + done, Math.min(sizeBytes - done, turnBytes));
      if (count === undefined) break;
      if (count === 0) {
        await this.#room();
        continue;
      }
      this.#fullSince = undefined;
      done += count;
      onSent(count);
      await turn();
    }
    return done;
  }

  /** As {@link ClientSocket.sendFile}; on a file system that cannot send, by reading. */
  async #sendPart(fd: number, position: number, sizeBytes: number): Promise<number | undefined> {
    try {
      return this.#try(() => this.#socket.sendFile(fd, position, sizeBytes));
    } catch (error) {
      if (!(error instanceof SendError && error.isUnsupported)) throw error;
    }
    const part = Buffer.allocUnsafe(Math.min(sizeBytes, readBytes));
    const count = readSync(fd, part, 0, part.length, position);
    await this.#write(part.subarray(0, count));
    return count || undefined;
  }

  #check(): void {
    if (this.#fullSince !== undefined && performance.now() - this.#fullSince > this.#stallMs)
      throw new ClientGoneError(`the client took nothing for ${this.#stallMs / 1000} s`);
    if (this.#left.aborted) throw new ClientGoneError(wentAway);
    if (this.#stopped?.aborted) throw new ClientGoneError("the server was stopped");
  }

  async #room(): Promise<void> {
    this.#fullSince ??= performance.now();
    // The system may say that there is room, and take nothing: others have their turn all the same.
    await turn();
    for (let pauseMs = shortestPauseMs; !this.#socket.hasRoom(); pauseMs = Math.min(2 * pauseMs, longestPauseMs)) {
      this.#check();
      await Bun.sleep(pauseMs);
    }
    this.#check();
  }

  #try<Result>(call: () => Result): Result {
    try {
      return call();
    } catch (error) {
      if (error instanceof SendError && error.isClient) throw new ClientGoneError(wentAway, { cause: error });
      throw error;
    }
  }
}
