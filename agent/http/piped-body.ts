/** Bodies that go from a worker to a client of node:http without a web stream between: that costs half of the throughput. */
import type { IncomingMessage, ServerResponse } from "node:http";
import { leavesGarbage } from "../system/garbage.ts";

export interface PipedBody {
  readonly message: IncomingMessage;
  /** Called when the worker fails in the middle. */
  onBroken(cause: unknown): void;
}

const bodies = new WeakMap<Response, PipedBody>();

/** Says what the body of an answer comes from; whoever does not ask reads the body itself. */
export function tellPipedBody(response: Response, body: PipedBody): void {
  bodies.set(response, body);
}

export function pipedBodyOf(response: Response): PipedBody | undefined {
  return bodies.get(response);
}

/** Sends all of it, at the client's pace. @throws {Error} The worker broke off: the answer must not end as if it were whole. */
export async function pipeBody({ message, onBroken }: PipedBody, response: ServerResponse): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  let isOver = false;
  const broken = (cause: Error) => {
    if (!isOver && !response.destroyed) onBroken(cause);
    isOver = true;
    reject(cause);
  };
  response.on("drain", () => message.resume());
  response.on("close", () => {
    isOver = true;
    message.destroy();
    resolve();
  });
  message.on("data", (chunk: Uint8Array) => {
    if (!response.write(chunk)) message.pause();
    leavesGarbage(chunk.length);
  });
  message.on("end", () => {
    isOver = true;
    response.end();
    resolve();
  });
  message.on("error", broken);
  // Later than the end, where there was one.
  message.on("close", () => broken(new Error("The worker broke off")));
  await promise;
}
