/**
 * Requests by which a page of another site uses a browser on this machine to reach what listens for this machine alone: its
 * own name has meanwhile been pointed here ("DNS rebinding"), so that `Origin` and `Host` agree, and both are its own.
 */
import { isIP } from "node:net";
import { hostname } from "node:os";

export interface Arrival {
  /** The client's IP address. */
  readonly clientAddress: string | undefined;
  /** Whether it came by TLS: the other site has no certificate that a browser takes from us. */
  readonly secure: boolean;
  /** Whether a user and a password were asked for: a browser sends them to no other name. */
  readonly authenticated: boolean;
}

/**
 * Why a request that changes something is refused; undefined where it is none of another site's. Questions pass: a browser's
 * cannot be told from a scrape.
 */
export function reboundProblem(request: Request, arrival: Arrival): string | undefined {
  if (["GET", "HEAD", "OPTIONS"].includes(request.method) || arrival.secure || arrival.authenticated) return undefined;
  if (!isOfThisMachine(arrival.clientAddress) || !request.headers.has("origin")) return undefined;
  // Browsers send it for pages that came by TLS or from localhost, and no script can set it: another name then is a proxy's.
  if (request.headers.has("sec-fetch-site")) return undefined;
  const host = request.headers.get("host") ?? "";
  if (isOwnName(host)) return undefined;
  return (
    `Cannot do this for a page at ${JSON.stringify(host.slice(0, 100))}: it may be another site's; ` +
    "open it as localhost, by an address or through a proxy with TLS, or set users in web_config"
  );
}

function isOfThisMachine(address: string | undefined): boolean {
  return address !== undefined && (address.startsWith("127.") || address === "::1");
}

/** Addresses, `localhost`, and what this machine calls itself: no other site has these names. */
function isOwnName(host: string): boolean {
  const name = host
    .replace(/:\d*$/, "")
    .replace(/^\[(.*)\]$/, "$1")
    .replace(/\.$/, "")
    .toLowerCase();
  return isIP(name) !== 0 || name === "localhost" || name.endsWith(".localhost") || name === hostname().toLowerCase();
}
