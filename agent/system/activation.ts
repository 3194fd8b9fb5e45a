/** Socket activation, which this agent refuses rather than ignores: whoever set it up counts on that address. */

/**
 * The error text when the service manager has passed sockets to this process, else undefined.
 * Bun's HTTP server cannot serve on a descriptor that it did not open.
 * Source: sd_listen_fds(3): LISTEN_PID must be the reader's own process id.
 */
export function refuseSocketActivation(
  env: Readonly<Record<string, string | undefined>> = process.env,
  pid: number = process.pid,
): string | undefined {
  const { LISTEN_FDS: passed, LISTEN_PID: receiver } = env;
  if (passed === undefined || receiver !== String(pid) || passed === "0") return undefined;
  return `Cannot serve on sockets of the service manager: LISTEN_FDS is "${passed}", expected none; disable the .socket unit and set "listen:"`;
}
