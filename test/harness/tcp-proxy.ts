/** A TCP proxy that does to connections what networks do: delays, splits, stalls, cuts. */
import { createServer, connect as openSocket, type Socket } from "node:net";
import { join } from "node:path";
import { freePort } from "./ports.ts";
import { ProxyPipe } from "./tcp-proxy-pipe.ts";

/** Seen from the one who connects: `toServer` is what it sends. */
export type Direction = "toServer" | "toClient";

export interface Replacement {
  readonly direction: Direction;
  readonly from: Uint8Array;
  /** As long as `from`. */
  readonly to: Uint8Array;
}

/** What will happen to a connection. */
export interface Faults {
  /** Lets this many bytes of one direction through, and closes both sides in order. */
  readonly cutAfter?: { readonly direction: Direction; readonly bytes: number };
  /** Each byte arrives this much later. */
  readonly delayMs?: number;
  /** The most bytes that are written at once; a function is asked for each write. */
  readonly chunkBytes?: number | (() => number);
  /** Each is made once, at the first place of the connection where it fits. */
  readonly replacements?: readonly Replacement[];
}

export interface ProxyConnection {
  readonly openedAt: number;
  readonly isOpen: boolean;
  /** Bytes that were let through. */
  bytes(direction: Direction): number;
  /** Lets nothing through in this direction from now on, and closes nothing: a peer that is half-dead. */
  stall(direction: Direction): void;
  resume(direction: Direction): void;
  /** Closes both sides at once: by a reset, or in order. */
  cut(manner?: "reset" | "end"): void;
}

export interface TcpProxy extends AsyncDisposable {
  readonly host: "127.0.0.1";
  readonly port: number;
  /** Of connections that are opened from now on. */
  faults: Faults;
  /** All since the start, in the order in which they were opened. */
  readonly connections: readonly ProxyConnection[];
  /** Those that are open. */
  open(): ProxyConnection[];
  /** Cuts all, and refuses new ones until {@link accept}. */
  refuse(): Promise<void>;
  accept(): Promise<void>;
}

export interface ProxyTarget {
  /** An address, or a folder of PostgreSQL's unix sockets. */
  readonly host: string;
  readonly port: number;
}

export async function startTcpProxy(target: ProxyTarget, faults: Faults = {}): Promise<TcpProxy> {
  const connections: Connection[] = [];
  const server = createServer({ allowHalfOpen: true, noDelay: true }, (client) => {
    const path = join(target.host, `.s.PGSQL.${target.port}`);
    const where = target.host.startsWith("/") ? { path } : { host: target.host, port: target.port };
    const upstream = openSocket({ ...where, allowHalfOpen: true, noDelay: true });
    connections.push(new Connection(client, upstream, proxy.faults));
  });
  const listen = (port: number) =>
    new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen(port, "127.0.0.1", () => {
        server.off("error", reject);
        resolve();
      });
    });
  const close = async () => {
    const closed = new Promise((resolve) => server.close(resolve));
    for (const connection of connections) connection.cut();
    await closed;
  };
  // Not one that the system chooses: an outgoing connection could take that while this is closed.
  await listen(await freePort());
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("Cannot start a proxy: the system gave no port");
  const proxy: TcpProxy = {
    host: "127.0.0.1",
    port: address.port,
    faults,
    connections,
    open: () => connections.filter(({ isOpen }) => isOpen),
    refuse: close,
    accept: () => listen(address.port),
    [Symbol.asyncDispose]: close,
  };
  return proxy;
}

class Connection implements ProxyConnection {
  readonly openedAt = performance.now();
  readonly #sockets: readonly [client: Socket, upstream: Socket];
  readonly #pipes: Readonly<Record<Direction, ProxyPipe>>;
  #isOpen = true;

  constructor(client: Socket, upstream: Socket, faults: Faults) {
    this.#sockets = [client, upstream];
    const pipe = (direction: Direction, from: Socket, to: Socket) =>
      new ProxyPipe(from, to, {
        delayMs: faults.delayMs ?? 0,
        chunkBytes: faults.chunkBytes ?? Number.POSITIVE_INFINITY,
        limitBytes: faults.cutAfter?.direction === direction ? faults.cutAfter.bytes : Number.POSITIVE_INFINITY,
        replacements: (faults.replacements ?? []).filter((one) => one.direction === direction),
        onLimit: () => this.cut("end"),
      });
    this.#pipes = { toServer: pipe("toServer", client, upstream), toClient: pipe("toClient", upstream, client) };
    for (const socket of this.#sockets) {
      // A reset of one side is passed on as one.
      socket.on("error", () => this.cut());
      socket.on("close", () => {
        if (this.#sockets.every(({ destroyed }) => destroyed)) this.#isOpen = false;
      });
    }
  }

  get isOpen(): boolean {
    return this.#isOpen;
  }

  bytes(direction: Direction): number {
    return this.#pipes[direction].passedBytes;
  }

  stall(direction: Direction): void {
    this.#pipes[direction].stall();
  }

  resume(direction: Direction): void {
    this.#pipes[direction].resume();
  }

  cut(manner: "reset" | "end" = "reset"): void {
    this.#isOpen = false;
    for (const pipe of Object.values(this.#pipes)) pipe.stop();
    for (const socket of this.#sockets) {
      if (manner === "reset") socket.resetAndDestroy();
      else socket.end(() => socket.destroy());
    }
  }
}
