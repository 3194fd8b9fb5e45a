/** The Prometheus whose snapshots these are: takes one, and tells in its own words why it does not. */
import { readFile } from "node:fs/promises";
import { z } from "holdfast";
import type { PrometheusSettings } from "./settings.ts";

export interface PrometheusFlags {
  readonly adminApiEnabled: boolean;
  readonly storagePath: string | undefined;
}

/** Prometheus did not do what it was asked. The message is a reason, to stand behind what could not be done. */
export class PrometheusError extends Error {
  override readonly name = "PrometheusError";
}

const failure = z.looseObject({ errorType: z.string().optional(), error: z.string() });
const snapshotAnswer = z.looseObject({ data: z.looseObject({ name: z.string().min(1) }) });
const flagsAnswer = z.looseObject({ data: z.record(z.string(), z.string()) });

const flagsTimeoutMs = 10_000;
const mostAnswerBytes = 1 << 20;

export class Prometheus {
  readonly #settings: PrometheusSettings;
  readonly #base: URL;
  readonly #authorization: string | undefined;

  constructor(settings: PrometheusSettings) {
    this.#settings = settings;
    const { url, authorization } = endpoint(settings.url);
    const { username, password = "", bearer_token: token } = settings;
    this.#base = url;
    this.#authorization =
      token !== undefined ? `Bearer ${token}` : username !== undefined ? basic(username, password) : authorization;
  }

  /** Where it is, without a password. */
  get url(): string {
    return this.#base.href;
  }

  /**
   * Takes a snapshot. Prometheus goes on with it when nobody waits any more: never ask again after a failure.
   * @returns Its name. @throws {PrometheusError} Prometheus' own reason, or why there is no answer.
   */
  async takeSnapshot(skipHead: boolean, signal?: AbortSignal): Promise<string> {
    const path = `api/v1/admin/tsdb/snapshot?skip_head=${skipHead}`;
    const text = await this.#ask("POST", path, this.#settings.timeout * 1000, signal);
    const answer = snapshotAnswer.safeParse(parseJson(text));
    if (!answer.success) throw new PrometheusError(`Prometheus gave no name of a snapshot: ${excerpt(text)}`);
    return answer.data.data.name;
  }

  /** @throws {PrometheusError} */
  async flags(signal?: AbortSignal): Promise<PrometheusFlags> {
    const text = await this.#ask("GET", "api/v1/status/flags", flagsTimeoutMs, signal);
    const answer = flagsAnswer.safeParse(parseJson(text));
    if (!answer.success) throw new PrometheusError(`Prometheus gave no flags: ${excerpt(text)}`);
    const { data } = answer.data;
    return { adminApiEnabled: data["web.enable-admin-api"] === "true", storagePath: data["storage.tsdb.path"] };
  }

  async #ask(method: string, path: string, timeoutMs: number, signal: AbortSignal | undefined): Promise<string> {
    const deadline = AbortSignal.timeout(timeoutMs);
    const headers = this.#authorization === undefined ? {} : { Authorization: this.#authorization };
    let status: number;
    let text: string;
    try {
      const response = await fetch(new URL(path, this.#base), {
        method,
        headers,
        redirect: "manual",
        signal: signal ? AbortSignal.any([deadline, signal]) : deadline,
        tls: await this.#tls(),
        // The deadline above is the only one.
        timeout: false,
      } as BunFetchRequestInit);
      status = response.status;
      text = await boundedText(response);
    } catch (cause) {
      throw new PrometheusError(this.#unreachable(cause, deadline, timeoutMs), { cause });
    }
    if (status !== 200) throw new PrometheusError(reasonIn(status, text));
    return text;
  }

  #unreachable(cause: unknown, deadline: AbortSignal, timeoutMs: number): string {
    if (deadline.aborted) {
      return `no answer of Prometheus after ${timeoutMs / 1000} s; it may still finish what it was asked`;
    }
    const { code, message } = cause as { code?: string; message?: string };
    if (code === "ConnectionRefused" || code === "ECONNREFUSED") return `connect to ${this.url}: connection refused`;
    return `connect to ${this.url}: ${message ?? code ?? String(cause)}`;
  }

  /** Read each time: certificates are renewed while the agent runs. */
  async #tls(): Promise<Bun.TLSOptions & { rejectUnauthorized?: boolean }> {
    const { ca_file: ca, cert_file: cert, key_file: key, insecure_skip_verify: insecure } = this.#settings;
    return {
      ...(ca === undefined ? {} : { ca: await readFile(ca, "utf8") }),
      ...(cert === undefined ? {} : { cert: await readFile(cert, "utf8") }),
      ...(key === undefined ? {} : { key: await readFile(key, "utf8") }),
      ...(insecure ? { rejectUnauthorized: false } : {}),
    };
  }
}

/**
 * The URL as `fetch` takes it: with a host (`http://:9090` is what Go programs understand), a slash at its end, and the
 * user and the password in a header. @throws {TypeError} It is none.
 */
export function endpoint(text: string): { url: URL; authorization: string | undefined } {
  const url = new URL(text.replace(/^(https?:\/\/(?:[^/@]*@)?):/, "$1localhost:"));
  if (!/^https?:$/.test(url.protocol)) throw new TypeError(`expected http or https, found ${url.protocol}`);
  const { username, password } = url;
  const authorization = username === "" ? undefined : basic(decodeURIComponent(username), decodeURIComponent(password));
  url.username = "";
  url.password = "";
  url.search = "";
  url.hash = "";
  url.pathname = `${url.pathname.replace(/\/+$/, "")}/`;
  return { url, authorization };
}

const basic = (user: string, password: string) => `Basic ${Buffer.from(`${user}:${password}`).toString("base64")}`;

/** Prometheus' own reason, and what to do where that is known. */
function reasonIn(status: number, text: string): string {
  const parsed = failure.safeParse(parseJson(text));
  const reason = parsed.success ? parsed.data.error : `status ${status}: ${excerpt(text)}`;
  const remedy = remedies.find(({ when }) => when(status, reason))?.remedy;
  return remedy === undefined ? reason : `${reason}: ${remedy}`;
}

const remedies: readonly { when(status: number, reason: string): boolean; remedy: string }[] = [
  {
    when: (_, reason) => reason.includes("admin APIs disabled"),
    remedy: "start Prometheus with --web.enable-admin-api",
  },
  {
    when: (_, reason) => reason.includes("Prometheus Agent"),
    remedy: "an agent stores no blocks, ask the server it writes to",
  },
  { when: (status) => status === 401 || status === 403, remedy: "check username and password, or bearer_token" },
  { when: (status) => status === 404, remedy: "check the url, with the path of --web.route-prefix" },
  { when: (status) => status >= 300 && status < 400, remedy: "check the url, redirects are not followed" },
  { when: (status) => status === 503, remedy: "Prometheus starts or stops" },
  { when: (_, reason) => reason.includes("no space left"), remedy: "the head block is written anew for each snapshot" },
  {
    when: (_, reason) => /function not implemented|operation not permitted|operation not supported/.test(reason),
    remedy: "snapshots need a file system with hard links",
  },
];

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function excerpt(text: string): string {
  const line = text.trim().replace(/\s+/g, " ");
  return line === "" ? "an empty answer" : JSON.stringify(line.length > 200 ? `${line.slice(0, 200)}…` : line);
}

/** @throws {RangeError} It is larger than any answer of Prometheus. */
async function boundedText(response: Response): Promise<string> {
  const parts: Uint8Array[] = [];
  let bytes = 0;
  for await (const part of response.body ?? []) {
    bytes += part.length;
    if (bytes > mostAnswerBytes) throw new RangeError(`an answer of more than ${mostAnswerBytes} bytes`);
    parts.push(part);
  }
  return Buffer.concat(parts).toString("utf8");
}
