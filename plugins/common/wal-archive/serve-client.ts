/** WAL from an agent that serves it. What came is believed only with the length and the checksum that the agent promised. */
import { createHash } from "node:crypto";
import { open } from "node:fs/promises";
import { abortable } from "../storage/content.ts";
import { codeOf, messageOf } from "../storage/errors.ts";
import { mostBytes } from "./content.ts";
import { checkWalFileName } from "./object-names.ts";
import { digestHeader, standingHeader, systemHeader } from "./serve-headers.ts";
import { type FetchOptions, type Found, type WalSource, WalSourceError } from "./wal-source.ts";

export interface ServeClientOptions {
  /** `host:port`, `:port` on this machine, or a URL; a path in it stands before the routes, such as `/wal` of an agent's main port. */
  readonly address: string;
  readonly token?: string | undefined;
  /** Of the cluster that is recovered, where it is known. */
  readonly systemIdentifier?: string | undefined;
  /** Certificates in PEM to trust instead of the system's. */
  readonly ca?: string | undefined;
  /** How long the agent may take to answer: it decodes a whole segment first, of up to 1 GiB, and may wait for its archive. */
  readonly answerMs?: number;
  /** How long it may be silent then. */
  readonly silenceMs?: number;
}

const defaultAnswerMs = 120_000;
const defaultSilenceMs = 30_000;
/** Those of the later and the earlier versions of pgrwl. */
const routes = ["/api/v1/wal/", "/wal/"] as const;

export class ServeClient implements WalSource {
  readonly description: string;
  readonly #base: string;
  readonly #options: ServeClientOptions;

  /** @throws {WalSourceError} misconfigured: the address is none. */
  constructor(options: ServeClientOptions) {
    this.#options = options;
    this.#base = parseServeAddress(options.address);
    this.description = this.#base;
  }

  async fetch(
    name: string,
    path: string,
    { signal, wholeOnly = false }: FetchOptions = {},
  ): Promise<Found | undefined> {
    for (const route of routes) {
      const url = `${this.#base}${route}${name}${wholeOnly ? "?partial=false" : ""}`;
      const { answerMs = defaultAnswerMs, silenceMs = defaultSilenceMs } = this.#options;
      const silence = new Silence(answerMs, signal);
      try {
        const response = await this.#ask(url, silence.signal);
        silence.heard(silenceMs);
        if (response.ok) return await this.#receive(response, name, url, path, silence);
        const text = await silence.watch(beginningOf(response).catch(() => ""));
        const standing = response.headers.get(standingHeader);
        if (response.status === 404 && standing === "absent") {
          this.#requireSystem(response);
          return undefined;
        }
        if (response.status !== 404) throw refusal(url, response, text);
      } catch (error) {
        signal?.throwIfAborted();
        if (error instanceof WalSourceError || isOfFile(error)) throw error;
        throw new WalSourceError("outage", `Cannot get ${url}: ${silence.explain(error)}`, { cause: error });
      } finally {
        silence.end();
      }
    }
    const remedy = "name the address of an agent whose instance serves WAL, with its path if it has one";
    throw new WalSourceError(
      "misconfigured",
      `Cannot get ${name} from ${this.#base}: it answers with status 404, but not as an agent does that looked for WAL; ${remedy}`,
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {}

  /** @throws {WalSourceError} misconfigured: the agent has another cluster's WAL. */
  #requireSystem({ headers }: Response): void {
    const { systemIdentifier } = this.#options;
    const found = headers.get(systemHeader);
    if (found === null || systemIdentifier === undefined || found === systemIdentifier) return;
    throw new WalSourceError(
      "misconfigured",
      `Cannot restore from ${this.#base}: it has WAL of the cluster with the system identifier ${found}, not of ${systemIdentifier}, which is recovered`,
    );
  }

  #ask(url: string, signal: AbortSignal): Promise<Response> {
    const { token, ca } = this.#options;
    return fetch(url, {
      headers: { "Accept-Encoding": "identity", ...(token === undefined ? {} : { Authorization: `Bearer ${token}` }) },
      redirect: "manual",
      signal,
      // The agent may decode for long; silence is watched here.
      timeout: false,
      ...(ca === undefined ? {} : { tls: { ca } }),
    } as BunFetchRequestInit);
  }

  async #receive(response: Response, name: string, url: string, path: string, silence: Silence): Promise<Found> {
    const promised = response.headers.get("content-length");
    const digest = response.headers.get(digestHeader);
    const damaged = (found: string) => new WalSourceError("damaged", `Cannot use what came from ${url}: ${found}`);
    if (digest === null) throw damaged("it has no checksum; is it an agent that serves WAL?");
    const most = mostBytes(checkWalFileName(name));
    const tooMuch = () => damaged(`it has more than the ${most} bytes that ${name} may have`);
    if (Number(promised) > most) throw tooMuch();
    const hash = createHash("sha256");
    let received = 0;
    await using file = await open(path, "w", 0o600);
    for await (const chunk of abortable(response.body ?? new Blob([]).stream(), silence.signal)) {
      silence.heard();
      // Whatever answers there must not fill the disk that the server has its WAL on.
      if (received + chunk.byteLength > most) throw tooMuch();
      hash.update(chunk);
      for (let rest = chunk; rest.byteLength > 0; ) {
        const { bytesWritten } = await file.write(rest, 0, rest.byteLength, received);
        received += bytesWritten;
        rest = rest.subarray(bytesWritten);
      }
    }
    if (promised !== null && received !== Number(promised))
      throw damaged(`expected were ${promised} bytes, it ended after ${received}`);
    if (digest !== `sha-256=:${hash.digest("base64")}:`) throw damaged("its checksum is another one");
    return response.headers.get(standingHeader) === "partial" ? "partial" : "whole";
  }
}

/** Whether the file could not be written: the agent is not to blame. */
const isOfFile = (error: unknown) =>
  codeOf(error) !== undefined && ["open", "write"].includes((error as NodeJS.ErrnoException).syscall ?? "");

const mostErrorBytes = 4096;

/** What an answer without a file says, as far as anybody reads it. */
async function beginningOf({ body }: Response): Promise<string> {
  const parts: Uint8Array[] = [];
  let bytes = 0;
  for await (const part of body ?? []) {
    parts.push(part);
    bytes += part.byteLength;
    if (bytes >= mostErrorBytes) break;
  }
  return Buffer.concat(parts).toString("utf8", 0, mostErrorBytes);
}

function refusal(url: string, { status }: Response, text: string): WalSourceError {
  const said = text.trim().split("\n")[0]?.slice(0, 500);
  const message = `Cannot get ${url}: status ${status}${said ? `: ${said}` : ""}`;
  if (status === 401 || status === 403)
    return new WalSourceError("misconfigured", `${message}; give the token of the agent's serve: with --token-file`);
  // 502: the agent has found what it cannot read, and says so; a proxy that cannot reach the agent answers so too.
  const isLasting = status < 500 && status !== 408 && status !== 425 && status !== 429;
  return new WalSourceError(isLasting ? "misconfigured" : "outage", message);
}

/** The beginning of the routes' URLs. @throws {WalSourceError} misconfigured */
export function parseServeAddress(address: string): string {
  const withHost = address.startsWith(":") ? `127.0.0.1${address}` : address;
  const text = /^https?:\/\//i.test(withHost) ? withHost : `http://${withHost}`;
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || url.hostname === "" || url.username || url.search || url.hash) {
    // Not repeated where a password may be in it: this goes to the server's log.
    const shown = address.includes("@") ? "a URL with a user" : JSON.stringify(address);
    throw new WalSourceError(
      "misconfigured",
      `Cannot use ${shown} as an agent's address: expected HOST:PORT or http(s)://HOST:PORT`,
    );
  }
  return `${url.origin}${url.pathname.replace(/\/+$/, "")}`;
}

/** Ends a transfer in which nothing comes for too long, or when the caller no longer wants it. */
class Silence {
  readonly #aborting = new AbortController();
  #ms: number;
  #timer: Timer | undefined;
  readonly signal: AbortSignal;

  constructor(ms: number, outer: AbortSignal | undefined) {
    this.#ms = ms;
    this.signal = outer === undefined ? this.#aborting.signal : AbortSignal.any([outer, this.#aborting.signal]);
    this.heard();
  }
  /** @param ms How long it may last from now on. */
  heard(ms = this.#ms): void {
    this.#ms = ms;
    clearTimeout(this.#timer);
    const reason = new Error(`nothing came for ${this.#ms / 1000} s`);
    this.#timer = setTimeout(() => this.#aborting.abort(reason), this.#ms);
  }
  async watch<Value>(work: Promise<Value>): Promise<Value> {
    const aborted = Promise.withResolvers<never>();
    const abort = () => aborted.reject(this.signal.reason);
    this.signal.addEventListener("abort", abort, { once: true });
    try {
      return await Promise.race([work, aborted.promise]);
    } finally {
      this.signal.removeEventListener("abort", abort);
    }
  }
  explain(error: unknown): string {
    if (this.#aborting.signal.aborted) return messageOf(this.#aborting.signal.reason);
    // The runtime's text asks whether the computer can access the URL.
    if (codeOf(error) === "ECONNREFUSED")
      return "the connection was refused; does the agent run, and listen there (listen, port)?";
    return messageOf(error);
  }
  end(): void {
    clearTimeout(this.#timer);
  }
}
