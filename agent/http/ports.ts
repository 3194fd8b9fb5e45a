/** All addresses of the agent, and what a reload changes about them. */
import { type Address, formatAddress, type Log } from "../sdk/index.ts";
import type { Fetch, HttpEnv } from "./connection.ts";
import { type Listener, openListener } from "./listeners.ts";
import { WebConfigWatch } from "./web-config-watch.ts";

export interface WantedPort {
  /** The instance that it belongs to; undefined: the agent. */
  readonly instance?: string;
  readonly address: Address;
  /** Absolute path of a web config file. */
  readonly webConfig: string | undefined;
  fetch(request: Request, env: HttpEnv["Bindings"]): Response | Promise<Response>;
}

interface OpenPort {
  readonly wanted: WantedPort;
  readonly listener: Listener;
  readonly watch: WebConfigWatch | undefined;
  /** Replaced when a reload makes new routes: the socket stays. */
  fetch: Fetch;
}

export class Ports {
  readonly #log: Log;
  readonly #open = new Map<string, OpenPort>();
  #wanted: ReadonlySet<string> = new Set();

  constructor(log: Log) {
    this.#log = log;
  }

  /** The URLs at which the agent answers, in the order in which they were opened. */
  urls(): string[] {
    return [...this.#open.values()].map(({ listener }) => listener.url);
  }

  /** Why a web config file as it is now is not in use, one text a file. */
  problems(): string[] {
    return [...new Set([...this.#open.values()].flatMap(({ watch }) => watch?.problem ?? []))];
  }

  /**
   * Opens what is wanted and not open yet; gives new routes to what is. Nothing else is closed: see {@link closeOthers}.
   * An address that stays, for another instance or with another web config, changes hands in one moment.
   * @throws {Error} One cannot be opened, or a web config cannot be used; then all is as before.
   */
  async open(wanted: readonly WantedPort[]): Promise<void> {
    const missing = wanted.filter((port) => !this.#open.has(keyOf(port)));
    const watches = await this.#watches(missing);
    const opened: string[] = [];
    const replaced: OpenPort[] = [];
    try {
      // What takes over an address comes last: by then nothing else can go wrong.
      for (const port of missing.toSorted((one, other) => this.#heldBy(one).length - this.#heldBy(other).length)) {
        for (const [key, held] of this.#heldBy(port)) {
          this.#open.delete(key);
          replaced.push(held);
          void held.listener.stop(handoverMs);
        }
        this.#open.set(keyOf(port), this.#listen(port, watches.get(port)));
        opened.push(keyOf(port));
      }
    } catch (error) {
      await this.#close(opened, 0);
      for (const [port, watch] of watches) if (!opened.includes(keyOf(port))) watch.close();
      for (const { wanted: port, watch } of replaced) this.#open.set(keyOf(port), this.#listen(port, watch));
      throw error;
    }
    for (const { watch } of replaced) watch?.close();
    for (const port of wanted) {
      const open = this.#open.get(keyOf(port));
      if (open) open.fetch = port.fetch;
    }
    this.#wanted = new Set(wanted.map(keyOf));
  }

  /** Closes what the last {@link open} did not want. */
  async closeOthers(drainMs: number): Promise<void> {
    await this.#close(
      [...this.#open.keys()].filter((key) => !this.#wanted.has(key)),
      drainMs,
    );
  }

  /** Closes everything: accepts nothing more, lets running requests end until the deadline. */
  async close(drainMs: number): Promise<void> {
    await this.#close([...this.#open.keys()], drainMs);
  }

  /** Reads the web configs of ports that are to be opened: a watch for each port. */
  async #watches(ports: readonly WantedPort[]): Promise<ReadonlyMap<WantedPort, WebConfigWatch>> {
    const watches = new Map<WantedPort, WebConfigWatch>();
    try {
      for (const port of ports) {
        if (port.webConfig !== undefined) watches.set(port, await WebConfigWatch.open(port.webConfig, this.#log));
      }
    } catch (error) {
      for (const watch of watches.values()) watch.close();
      throw error;
    }
    return watches;
  }

  /** Open ports with the address of one that is wanted. Port 0 is another port each time. */
  #heldBy({ address }: WantedPort): [string, OpenPort][] {
    if (address.port === 0) return [];
    return [...this.#open].filter(([, { wanted }]) => formatAddress(wanted.address) === formatAddress(address));
  }

  #listen(wanted: WantedPort, watch: WebConfigWatch | undefined): OpenPort {
    const routes = { fetch: wanted.fetch };
    const listener = openListener(wanted.address, (request, env) => routes.fetch(request, env), {
      webConfig: watch,
      log: this.#log,
      // The agent's own address is what Prometheus scrapes: that is faster by Bun.serve, and needs no more.
      keepsLength: wanted.instance !== undefined,
    });
    return Object.assign(routes, { wanted, listener, watch });
  }

  async #close(keys: readonly string[], drainMs: number): Promise<void> {
    const closing = keys.map(async (key) => {
      const port = this.#open.get(key);
      this.#open.delete(key);
      await port?.listener.stop(drainMs);
      port?.watch?.close();
    });
    await Promise.all(closing);
  }
}

/** Time that requests have to end on a listener whose address another one takes. */
const handoverMs = 5_000;

const keyOf = ({ instance, address, webConfig }: WantedPort) =>
  JSON.stringify([instance ?? null, formatAddress(address), webConfig ?? null]);
