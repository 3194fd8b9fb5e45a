import { type Address, formatAddress } from "../sdk/index.ts";

/** Why an address cannot be listened on, and what to do. */
export function listenError(address: Address, cause: unknown): Error {
  const code = (cause as { code?: string }).code ?? "";
  const reason = reasonFor(code, address) ?? (cause instanceof Error ? cause.message : String(cause));
  return new Error(`Cannot listen on ${formatAddress(address)}: ${reason}`, { cause });
}

function reasonFor(code: string, { host, port }: Address): string | undefined {
  switch (code) {
    case "EADDRINUSE":
      return `the port is in use, stop the process that has it (ss -ltnp 'sport = :${port}') or choose another port`;
    case "EACCES":
    case "EPERM":
      return port > 0 && port < 1024
        ? "permission denied, choose a port from 1024 or give the service AmbientCapabilities=CAP_NET_BIND_SERVICE"
        : "permission denied, a security policy of this host (SELinux, systemd's SocketBindDeny=) forbids it";
    case "EADDRNOTAVAIL":
    case "EINVAL":
      return `this host has no address "${host}", expected one that \`ip address\` shows, or none for all interfaces`;
    default:
      return undefined;
  }
}
