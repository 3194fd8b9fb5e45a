/** Ports that nobody listens on. */
import { createServer } from "node:net";

/** A TCP port of 127.0.0.1 that is free now. Another process may take it first: start again with another one then. */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      server.close(() => {
        if (address !== null && typeof address === "object") resolve(address.port);
        else reject(new Error("Cannot find a free port: the system gave no address"));
      });
    });
  });
}
