/** A connection that is cut again and again, with outages between. */
import type { TcpProxy } from "./outage-proxy.ts";
import { waitFor } from "./wait.ts";

export interface Trouble extends AsyncDisposable {
  /** Times that connections were cut and new ones refused. */
  readonly outages: number;
  /** Ends the trouble; the proxy behaves. */
  stop(): Promise<void>;
}

/**
 * Lets connections through for a while, cuts them, refuses new ones for a while, and so on.
 * @param bytes What passes between two cuts.
 */
export function troubleWith(proxy: TcpProxy, bytes: number): Trouble {
  const ending = new AbortController();
  let outages = 0;
  const run = async () => {
    while (!ending.signal.aborted) {
      const before = proxy.accepted;
      const isConnected = () => proxy.open > 0 || proxy.accepted > before;
      await waitFor("connections to cut", () => ending.signal.aborted || isConnected(), 60_000);
      proxy.cutAfter(bytes);
      await waitFor("data to be cut", () => ending.signal.aborted || proxy.open === 0, 60_000);
      if (ending.signal.aborted) return;
      proxy.refuse(true);
      outages++;
      await Bun.sleep(300);
      proxy.behave();
    }
  };
  const running = run().catch(() => {});
  const stop = async () => {
    ending.abort();
    await running;
    proxy.behave();
  };
  return {
    get outages() {
      return outages;
    },
    stop,
    [Symbol.asyncDispose]: stop,
  };
}
