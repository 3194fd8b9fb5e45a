/** Addresses that answer: Bun.serve with TLS, users, limits and an end that lets running requests finish. */
import { type Address, formatAddress, type Log } from "../sdk/index.ts";
import type { Connection, Fetch } from "./connection.ts";
import { Guard, withHeaders } from "./guard.ts";
import { listenError } from "./listen-error.ts";
import { type NodeServer, serveByNode } from "./node-server.ts";
import { reboundProblem } from "./rebound.ts";
import type { WebConfig } from "./web-config.ts";
import type { WebConfigWatch } from "./web-config-watch.ts";

export interface Listener {
  /** Where it listens; the port is the real one, where 0 was asked for. */
  readonly address: Address;
  /** `https://127.0.0.1:9847`; all interfaces are `localhost` here. */
  readonly url: string;
  /**
   * Accepts nothing more, lets running requests end until the deadline and cuts the rest.
   * Resolves when every connection is closed. May be called again with a shorter deadline.
   */
  stop(deadlineMs: number): Promise<void>;
}

/** Seconds of silence after which a connection is cut, but for those of plugins' routes. */
const idleSeconds = 10;
/** The same once the answer of a plugin's route was handed on: its last bytes may still wait for a client that pauses. */
const idleAfterAnswerSeconds = 120;
/** How often a listener that could not be opened anew tries again. */
const retryMs = 1000;

type Server = Bun.Server<undefined> | NodeServer;

export interface ListenerOptions {
  /** Always those of `current`; when a certificate changes, the port is opened anew in place. */
  readonly webConfig?: WebConfigWatch | undefined;
  readonly log?: Log | undefined;
  /** Answers whose body streams keep their Content-Length; without TLS only. */
  readonly keepsLength?: boolean | undefined;
}

/**
 * Opens an address. When a certificate changes, running requests end as they began, new ones see the new one.
 * @param address Host empty: all interfaces, IPv6 and IPv4. Port 0: a free one.
 * @throws {Error} Cannot listen: which address, why, and what to do.
 */
export function openListener(address: Address, fetch: Fetch, options: ListenerOptions = {}): Listener {
  const listener = new OpenListener(address, fetch, options);
  listener.open();
  return listener;
}

interface Arrived extends Pick<Connection, "allowSilence" | "endSilence" | "ends" | "secure"> {
  peer(): string | undefined;
}

class OpenListener implements Listener {
  readonly #fetch: Fetch;
  readonly #webConfig: WebConfigWatch | undefined;
  readonly #log: Log | undefined;
  readonly #keepsLength: boolean;
  readonly #guard = new Guard();
  /** Servers that have connections; the last is the one that accepts. */
  readonly #servers = new Set<Server>();
  #address: Address;
  #hostname: string;
  #current: Server | undefined;
  #secure = false;
  #retry: Timer | undefined;
  #unsubscribe: (() => void) | undefined;
  #stopped = false;

  constructor(address: Address, fetch: Fetch, { webConfig, log, keepsLength = false }: ListenerOptions) {
    this.#address = address;
    this.#hostname = address.host === "" ? "::" : address.host;
    this.#fetch = fetch;
    this.#webConfig = webConfig;
    this.#log = log;
    this.#keepsLength = keepsLength;
  }

  get address(): Address {
    return this.#address;
  }

  get url(): string {
    const { host, port } = this.#address;
    return `${this.#secure ? "https" : "http"}://${formatAddress({ host: host || "localhost", port })}`;
  }

  open(): void {
    this.#serve(this.#webConfig?.current);
    this.#unsubscribe = this.#webConfig?.onSocketChange(() => this.#reopen());
  }

  async stop(deadlineMs: number): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#retry);
    this.#unsubscribe?.();
    const servers = [...this.#servers];
    const closed = Promise.all(servers.map((server) => server.stop()));
    if (!(await endsWithin(closed, deadlineMs))) {
      await Promise.all(servers.map((server) => server.stop(true)));
    }
    this.#servers.clear();
  }

  #serve(config: WebConfig | undefined): void {
    let server: Server;
    try {
      server = this.#start(config);
    } catch (error) {
      if (this.#hostname !== "::" || this.#address.host !== "" || !isWithoutIpv6(error)) {
        throw listenError(this.#address, error);
      }
      this.#hostname = "0.0.0.0";
      try {
        server = this.#start(config);
      } catch (second) {
        throw listenError(this.#address, second);
      }
    }
    this.#current = server;
    this.#servers.add(server);
    this.#secure = config?.tls !== undefined;
    this.#address = { host: this.#address.host, port: server.port ?? this.#address.port };
  }

  #start(config: WebConfig | undefined): Server {
    const address = { hostname: this.#hostname, port: this.#address.port };
    const onError = (error: Error) => {
      this.#log?.error("Cannot answer a request", { error: error.message });
      return new Response("Cannot answer the request: an error in holdfast, its log has more\n", { status: 500 });
    };
    if (this.#keepsLength && config?.tls === undefined) {
      return serveByNode({
        ...address,
        idleSeconds,
        answer: (request, peer) => this.#answer(request, { peer: () => peer.address, ...peer, secure: false }),
        onError,
      });
    }
    const secure = config?.tls !== undefined;
    const options: Bun.Serve.Options<undefined> = {
      ...address,
      development: false,
      // Must be written: `development: false` alone turns it on, and two agents would share a port without a word.
      reusePort: false,
      idleTimeout: idleSeconds,
      // Plugins take uploads of any size; the agent's own routes have a bound of their own (body-limit.ts).
      maxRequestBodySize: Number.MAX_SAFE_INTEGER,
      http2: config?.http2 ?? false,
      fetch: (request, server) => {
        const peer = () => server.requestIP(request)?.address;
        const allowSilence = () => server.timeout(request, 0);
        const endSilence = () => server.timeout(request, idleAfterAnswerSeconds);
        return this.#answer(request, { peer, allowSilence, endSilence, secure });
      },
      error: onError,
    };
    return Bun.serve(config?.tls ? { ...options, tls: { ...config.tls } } : options);
  }

  async #answer(request: Request, { peer, allowSilence, endSilence, ends, secure }: Arrived): Promise<Response> {
    const readable = withUrl(request);
    if (!readable) return new Response("Cannot read the Host header: expected a host name\n", { status: 400 });
    const config = this.#webConfig?.current;
    const refusal = config && (await this.#guard.refuse(request, config));
    const connection: Connection = {
      get clientAddress() {
        return peer()?.replace(/^::ffff:(?=\d+\.)/, "");
      },
      secure,
      ends,
      authenticated: config !== undefined && config.users.size > 0,
      allowSilence,
      endSilence,
    };
    const rebound = reboundProblem(request, connection);
    if (rebound !== undefined) return new Response(`${rebound}\n`, { status: 403 });
    const response = refusal ?? (await this.#fetch(readable, { connection }));
    return config ? withHeaders(response, config) : response;
  }

  /** Measured with Bun 1.4.5: `server.reload({ tls })` changes nothing, a stopped server's port is free at once. */
  #reopen(): void {
    if (this.#stopped) return;
    clearTimeout(this.#retry);
    const old = this.#current;
    this.#current = undefined;
    void old?.stop().then(() => this.#servers.delete(old));
    try {
      this.#serve(this.#webConfig?.current);
      this.#log?.info("Listening with the changed web configuration", { address: formatAddress(this.#address) });
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      this.#log?.error("Cannot listen again", { address: formatAddress(this.#address), error: message });
      this.#retry = setTimeout(() => this.#reopen(), retryMs);
    }
  }
}

/** Kernels started with `ipv6.disable=1` have no IPv6 sockets; with the sysctl alone there is no address `::`. */
/**
 * The request with a URL that can be read. Bun gives the mere path of one without a host: HTTP/1.0 needs none, and
 * load balancers ask for health so. Undefined: its Host header is no host.
 */
function withUrl(request: Request): Request | undefined {
  if (URL.canParse(request.url)) return request;
  if (request.headers.get("host")) return undefined;
  const url = `http://localhost${request.url}`;
  return URL.canParse(url) ? new Request(url, request) : undefined;
}

function isWithoutIpv6(error: unknown): boolean {
  return ["EAFNOSUPPORT", "EADDRNOTAVAIL", "EPROTONOSUPPORT"].includes((error as { code?: string }).code ?? "");
}

/** Whether the promise ended before the deadline. */
async function endsWithin(ends: Promise<unknown>, deadlineMs: number): Promise<boolean> {
  const deadline = Promise.withResolvers<false>();
  const timer = setTimeout(() => deadline.resolve(false), deadlineMs);
  try {
    return await Promise.race([ends.then(() => true), deadline.promise]);
  } finally {
    clearTimeout(timer);
  }
}
