/** Requests that a page of another site makes a browser send: plain forms need no permission to be sent. */

/** Why a POST is refused; undefined where it comes from our own pages, or from no browser at all. */
export function crossSiteProblem(request: Request): string | undefined {
  const refusal = "This request comes from another site: open this server's own page";
  const site = request.headers.get("sec-fetch-site");
  // Browsers send it over TLS and on this machine; no script can set it.
  if (site !== null) return site === "same-origin" || site === "none" ? undefined : refusal;
  const origin = request.headers.get("origin");
  if (origin === null) return undefined;
  const hosts = [request.headers.get("host"), request.headers.get("x-forwarded-host")];
  const host = URL.canParse(origin) ? new URL(origin).host : undefined;
  return host !== undefined && hosts.includes(host) ? undefined : refusal;
}
