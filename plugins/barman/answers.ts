/** Answers that are keyed by server: each server is read by itself, so that one bad entry costs one server. */
import type { Envelope } from "./envelope.ts";

/** What was understood of an answer, and the servers whose part does not have the expected shape. */
export interface PerServer<T> {
  readonly servers: Map<string, T>;
  readonly unreadable: readonly string[];
}

/**
 * @param read The data of one server; undefined when the shape is wrong.
 * @throws {SyntaxError} There are servers, and not one of them can be read.
 */
export function readServers<T>(
  { data }: Envelope,
  command: string,
  read: (value: unknown, server: string) => T | undefined,
): PerServer<T> {
  const servers = new Map<string, T>();
  const unreadable: string[] = [];
  for (const [server, value] of data) {
    const answer = read(value, server);
    if (answer === undefined) unreadable.push(server);
    else servers.set(server, answer);
  }
  if (servers.size === 0 && unreadable.length > 0) {
    throw new SyntaxError(
      `Cannot read the answer of barman ${command}: unknown shape for ${JSON.stringify(unreadable[0])}`,
    );
  }
  return { servers, unreadable };
}
