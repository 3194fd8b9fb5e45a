/** Ports that nobody listens on. */
import { randomInt } from "node:crypto";
import { readFileSync } from "node:fs";
import { createServer } from "node:net";

/** Below those that the system gives to outgoing connections, one of which could take a port between here and its use. */
const firstPort = 10_240;
const attempts = 100;

/** A TCP port of 127.0.0.1 that is free now. */
export async function freePort(): Promise<number> {
  const beyond = lowestEphemeralPort();
  // Where there is no room below, the system's choice is as good.
  if (beyond <= firstPort + attempts) return await tryPort(0);
  for (let attempt = 0; attempt < attempts; attempt++) {
    try {
      return await tryPort(randomInt(firstPort, beyond));
    } catch {
      // Somebody has it.
    }
  }
  throw new Error(`Cannot find a free port: ${attempts} between ${firstPort} and ${beyond} are taken`);
}

function lowestEphemeralPort(): number {
  try {
    return Number.parseInt(readFileSync("/proc/sys/net/ipv4/ip_local_port_range", "utf8"), 10);
  } catch {
    return 0;
  }
}

/** Listens for a moment. @param port 0: whichever the system gives. */
function tryPort(port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", reject);
    server.listen(port, "127.0.0.1", () => {
      const address = server.address();
      server.close(() => {
        if (address !== null && typeof address === "object") resolve(address.port);
        else reject(new Error("Cannot find a free port: the system gave no address"));
      });
    });
  });
}
