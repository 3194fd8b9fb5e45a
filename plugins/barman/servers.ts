/** Names of the configured servers. Source: `barman -f json list-servers`, which touches neither catalogue nor PostgreSQL. */
import type { Envelope } from "./envelope.ts";
import { isObject } from "./envelope.ts";

/** All configured servers: active or not, disabled or not. */
export function readServerNames({ data }: Envelope): ReadonlySet<string> {
  return new Set([...data].filter(([, value]) => isObject(value)).map(([server]) => server));
}
