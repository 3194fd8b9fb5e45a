/** A TCP proxy that treats its connections badly, on demand. */

import { once } from "node:events";
import { connect, createServer, type Server, type Socket } from "node:net";

export interface TcpProxy extends AsyncDisposable {
  readonly port: number;
  /** Connections that were accepted so far. */
  readonly accepted: number;
  /** Connections that are open now. */
  readonly open: number;
  /** New connections and those that are open: ended with a reset once so many more bytes have passed, both ways together. */
  cutAfter(bytes: number): void;
  /** Ends all connections now, with a reset. */
  cut(): void;
  /** Each piece of data is passed on so much later. 0: at once. */
  delay(ms: number): void;
  /** Data is passed on in pieces of at most so many bytes. Infinity: as it comes. */
  split(bytes: number): void;
  /** New connections are reset at once, or let through again; with `hang` they are accepted, and nothing is passed on. */
  refuse(how: boolean | "hang"): void;
  /** No more cuts, delays, splits and refusals. */
  behave(): void;
}

/** A proxy on a free port of 127.0.0.1 to another one. */
export async function startTcpProxy(targetPort: number): Promise<TcpProxy> {
  const pairs = new Set<readonly [Socket, Socket]>();
  const hanging = new Set<Socket>();
  let accepted = 0;
  let bytesLeft = Number.POSITIVE_INFINITY;
  let delayMs = 0;
  let pieceBytes = Number.POSITIVE_INFINITY;
  let refusal: boolean | "hang" = false;

  const cut = () => {
    for (const pair of pairs) for (const socket of pair) socket.resetAndDestroy();
    for (const socket of hanging) socket.resetAndDestroy();
  };

  async function pass(from: Socket, to: Socket): Promise<void> {
    for await (const data of from as AsyncIterable<Buffer>) {
      for (let at = 0; at < data.length; at += pieceBytes) {
        let piece = data.subarray(at, Math.min(data.length, at + pieceBytes));
        if (delayMs > 0) await Bun.sleep(delayMs);
        const isLast = piece.length >= bytesLeft;
        piece = piece.subarray(0, bytesLeft);
        bytesLeft -= piece.length;
        if (!to.write(piece)) await once(to, "drain");
        if (isLast) return cut();
        if (pieceBytes < data.length) await new Promise((resolve) => setImmediate(resolve));
      }
    }
    to.end();
  }

  const server: Server = createServer({ allowHalfOpen: true, noDelay: true }, (client) => {
    accepted++;
    client.on("error", () => {});
    if (refusal === true || bytesLeft <= 0) return void client.resetAndDestroy();
    if (refusal === "hang") {
      hanging.add(client);
      client.on("close", () => hanging.delete(client));
      return;
    }
    const target = connect({ port: targetPort, host: "127.0.0.1", allowHalfOpen: true, noDelay: true });
    const pair = [client, target] as const;
    pairs.add(pair);
    const end = () => {
      pairs.delete(pair);
      client.destroy();
      target.destroy();
    };
    for (const socket of pair) socket.on("error", end).on("close", end);
    pass(client, target).catch(end);
    pass(target, client).catch(end);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  if (address === null || typeof address !== "object")
    throw new Error("Cannot start a proxy: the system gave no address");

  return {
    port: address.port,
    get accepted() {
      return accepted;
    },
    get open() {
      return pairs.size + hanging.size;
    },
    cut,
    cutAfter(bytes) {
      bytesLeft = bytes;
    },
    delay(ms) {
      delayMs = ms;
    },
    split(bytes) {
      pieceBytes = bytes;
    },
    refuse(how) {
      refusal = how;
    },
    behave() {
      bytesLeft = Number.POSITIVE_INFINITY;
      delayMs = 0;
      pieceBytes = Number.POSITIVE_INFINITY;
      refusal = false;
    },
    async [Symbol.asyncDispose]() {
      cut();
      server.close();
      await once(server, "close");
    },
  };
}
