/** The client's side of a prombackup server: ours, or the original. */

import { version } from "../../build.ts";
import { type Flag, type FlagValues, UsageError } from "../command.ts";

export const serverFlag: Flag = {
  name: "server",
  value: "URL",
  help: "The prombackup server. Default: $PROMBACKUP_ENDPOINT",
};

/** A request that the server refused, or that did not reach it. */
export class ServerError extends Error {
  override readonly name = "ServerError";
  /** Undefined where there was no answer. */
  readonly status: number | undefined;

  constructor(message: string, status?: number, cause?: unknown) {
    super(message, { cause });
    this.status = status;
  }
}

/** A snapshot's name takes fewer than a hundred bytes; whatever answers with more is no such server. */
const mostJsonBytes = 16 * 1024;
const mostListBytes = 64 << 20;
const mostErrorBytes = 4 * 1024;

export interface DownloadStatus {
  readonly success: boolean;
  readonly errorText: string | null;
  readonly sha256Hex: string;
}

export class SnapshotServer {
  /** Ends with a slash, has no user and no query. */
  readonly #base: URL;
  readonly #authorization: string | undefined;

  /** @throws {Error} No server was named, or it is no URL. */
  constructor(text: string) {
    if (text === "") throw new Error("missing --server flag: name the prombackup server, or set PROMBACKUP_ENDPOINT");
    if (!/^https?:\/\//.test(text) || !URL.canParse(text)) {
      // Not repeated where a password may be in it.
      const shown = text.includes("@") ? "" : ` ${JSON.stringify(text)}`;
      throw new Error(`Cannot read the server${shown}: expected a URL such as "http://localhost:8080"`);
    }
    const url = new URL(text);
    const { username, password } = url;
    if (username !== "") {
      const pair = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`;
      // fetch() refuses a URL with a user in it.
      this.#authorization = `Basic ${Buffer.from(pair).toString("base64")}`;
    }
    url.username = "";
    url.password = "";
    url.search = "";
    url.hash = "";
    url.pathname = `${url.pathname.replace(/\/+$/, "")}/`;
    this.#base = url;
  }

  static of(flags: FlagValues): SnapshotServer {
    return new SnapshotServer(flags.text("server") ?? process.env.PROMBACKUP_ENDPOINT ?? "");
  }

  get url(): string {
    return this.#base.href;
  }

  /** @returns The name of a new snapshot. @throws {ServerError} */
  async takeSnapshot(skipHead: boolean, signal?: AbortSignal): Promise<string> {
    const response = await this.request(
      "POST",
      "api/snapshot",
      { skip_head: String(skipHead) },
      { signal },
      [200, 303],
    );
    const { name } = (await readJson(response, mostJsonBytes)) as { name?: unknown };
    if (typeof name !== "string" || name === "") throw new ServerError("the server gave no name of a snapshot");
    return name;
  }

  /** @returns Undefined while the download runs. @throws {ServerError} */
  async downloadStatus(id: string, signal?: AbortSignal): Promise<DownloadStatus | undefined> {
    const response = await this.request("GET", "api/download_status", { id }, { signal });
    const { finished } = (await readJson(response, mostJsonBytes)) as { finished?: Record<string, unknown> | null };
    if (!finished) return undefined;
    const { success, error_text: errorText, sha256_hex: sha256Hex } = finished;
    return {
      success: success === true,
      errorText: typeof errorText === "string" ? errorText : null,
      sha256Hex: typeof sha256Hex === "string" ? sha256Hex.toLowerCase() : "",
    };
  }

  /** JSON of a path that the original does not have. @throws {ServerError} */
  async json(method: "GET" | "POST", path: string, query: Readonly<Record<string, string>>): Promise<unknown> {
    return await readJson(await this.request(method, path, query), mostListBytes);
  }

  /** @throws {ServerError} No answer, or another status than those that are wanted. */
  async request(
    method: "GET" | "POST",
    path: string,
    query: Readonly<Record<string, string>>,
    { headers = {}, signal }: { headers?: Readonly<Record<string, string>>; signal?: AbortSignal | undefined } = {},
    wanted: readonly number[] = [200],
  ): Promise<Response> {
    const url = new URL(path, this.#base);
    url.search = new URLSearchParams(query).toString();
    let response: Response;
    try {
      response = await fetch(url, {
        method,
        headers: {
          "User-Agent": `holdfast/${version}`,
          ...(this.#authorization === undefined ? {} : { Authorization: this.#authorization }),
          ...headers,
        },
        redirect: "manual",
        // A snapshot of a large head takes minutes, and a download hours.
        timeout: false,
        ...(signal ? { signal } : {}),
      } as BunFetchRequestInit);
    } catch (cause) {
      throw new ServerError(`request failed: ${method} ${url.href}: ${reasonOf(cause)}`);
    }
    if (wanted.includes(response.status)) return response;
    const body = (await readText(response, mostErrorBytes, "cut")).trim();
    const { status, statusText } = response;
    const what = `${status} ${statusText}`.trim();
    throw new ServerError(`request failed: ${method} ${url.href} returned "${what}": ${JSON.stringify(body)}`, status);
  }
}

export function reasonOf(error: unknown): string {
  const { code, message } = error as { code?: string; message?: string };
  if (code === "ConnectionRefused" || code === "ECONNREFUSED") return "connection refused";
  if (code === "ECONNRESET") return "the connection was broken";
  return message ?? code ?? String(error);
}

async function readJson(response: Response, mostBytes: number): Promise<unknown> {
  const text = await readText(response, mostBytes, "refuse");
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === "object" && value !== null) return lowerKeys(value as Record<string, unknown>);
  } catch {
    // Said below.
  }
  throw new ServerError(`the server's answer is no JSON object: ${JSON.stringify(text.slice(0, 100))}`);
}

/** Go's clients take a key in any case, so a server may write it so. */
function lowerKeys(value: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key.toLowerCase(), inner]));
}

async function readText(response: Response, mostBytes: number, beyond: "cut" | "refuse"): Promise<string> {
  const parts: Uint8Array[] = [];
  let bytes = 0;
  try {
    for await (const part of response.body ?? []) {
      parts.push(part);
      bytes += part.length;
      if (bytes > mostBytes) break;
    }
  } catch (cause) {
    throw new ServerError(`reading the server's answer failed: ${reasonOf(cause)}`, response.status, cause);
  }
  if (bytes > mostBytes && beyond === "refuse") throw new ServerError(`an answer of more than ${mostBytes} bytes`);
  return Buffer.concat(parts).subarray(0, mostBytes).toString("utf8");
}

/** @throws {UsageError} */
export function formatOf(flags: FlagValues): string {
  const format = flags.text("format") ?? "tar";
  if (!["tar", "tgz", "tzst", "zip"].includes(format)) {
    throw new UsageError(`Cannot take --format=${format}: expected tar, tgz, tzst or zip`);
  }
  return format;
}
