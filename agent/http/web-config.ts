/** A web config file in exporter-toolkit's format: TLS, users, headers and a rate limit for listeners. */
import { createHash } from "node:crypto";
import { resolve } from "node:path";
import { readUpTo } from "../config/read-file.ts";
import { loadTls, type TlsOptions } from "./tls-options.ts";
import { parseWebConfig, WebConfigError } from "./web-config-problems.ts";

export { WebConfigError } from "./web-config-problems.ts";

export interface WebConfig {
  /** Undefined: plain HTTP. */
  readonly tls: TlsOptions | undefined;
  readonly http2: boolean;
  /** Set on every response, over what the response had. */
  readonly headers: Readonly<Record<string, string>>;
  /** User to bcrypt hash; empty: everybody may enter. */
  readonly users: ReadonlyMap<string, string>;
  readonly rateLimit: { readonly intervalSeconds: number; readonly burst: number } | undefined;
  /** Absolute paths of the file and of all that it names. */
  readonly files: readonly string[];
  /** What works, but should not stay so; no full stop. */
  readonly warnings: readonly string[];
  /** Changes when a listener must be opened anew. */
  readonly socketFingerprint: string;
}

const maxFileBytes = 2 ** 20;

/**
 * Reads and checks a web config file and the certificates in it.
 * @throws {WebConfigError} With a line for each problem: `web.yml:3:14: Cannot read …`.
 */
export async function loadWebConfig(file: string): Promise<WebConfig> {
  const path = resolve(file);
  const read = await readUpTo(path, maxFileBytes);
  if ("problem" in read) {
    const message = `Cannot read the web configuration: ${read.problem}`;
    throw new WebConfigError([{ file, line: 0, column: 0, message }]);
  }
  const { input, problemAt } = parseWebConfig(new TextDecoder().decode(read.bytes), file);
  const loaded = input.tls_server_config && (await loadTls(input.tls_server_config, path, problemAt));
  const http2 = (input.http_server_config?.http2 ?? false) && loaded !== undefined;
  const headers = Object.entries(input.http_server_config?.headers ?? {}).filter(([, value]) => value !== "");
  const limit = input.rate_limit;
  return {
    tls: loaded?.options,
    http2,
    headers: Object.fromEntries(headers),
    users: new Map(Object.entries(input.basic_auth_users)),
    rateLimit: limit && limit.interval > 0 ? { intervalSeconds: limit.interval, burst: limit.burst } : undefined,
    files: [path, ...(loaded?.files ?? [])],
    warnings: [
      ...(loaded?.warnings ?? []),
      ...(loaded === undefined && Object.keys(input.basic_auth_users).length > 0
        ? ["passwords travel unencrypted without tls_server_config"]
        : []),
    ],
    socketFingerprint: createHash("sha256")
      .update(JSON.stringify([loaded?.options, http2]))
      .digest("hex"),
  };
}
