/**
 * Signed requests to one bucket. Bun's own S3 client would not do (1.4.5): it has no way to trust a certificate authority or
 * to waive TLS checks for one instance, to list or delete versions, to delete many objects at once, or to abort an upload.
 */
import { collect } from "../content.ts";
import { StorageError } from "../errors.ts";
import { retry } from "../retry.ts";
import type { CredentialSource } from "./credentials.ts";
import { answerError, connectionError, type Subject } from "./failures.ts";
import { canonicalQuery, encodePath, sha256, sign } from "./signature.ts";
import { textOf } from "./xml.ts";

export interface S3Target {
  /** Scheme, host, and a path where the server wants one. */
  readonly endpoint: URL;
  readonly bucket: string;
  readonly region: string;
  /** The bucket in the path instead of the host name. */
  readonly pathStyle: boolean;
  readonly credentials: CredentialSource;
  /** Certificates in PEM to trust instead of the system's. */
  readonly ca?: string;
  readonly skipVerify: boolean;
  /** How long a server may be silent. */
  readonly timeoutMs: number;
  /** How often a request that failed for the moment is made. */
  readonly attempts: number;
  readonly now: () => Date;
}

export interface S3Request {
  readonly method: "GET" | "HEAD" | "PUT" | "POST" | "DELETE";
  /** Completes "Cannot …" in errors. */
  readonly what: string;
  /** Without the leading slash; the bucket itself without it. */
  readonly key?: string;
  readonly query?: Readonly<Record<string, string>>;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Uint8Array;
  readonly signal?: AbortSignal | undefined;
}

/** An answer whose body must be read through or cancelled; `idle` watches over its silence. */
export interface S3Answer {
  readonly response: Response;
  readonly idle: IdleTimer;
}

/** Answers are metadata; 1,000 keys of 1 KiB with their fields stay below. */
const maxAnswerBytes = 16 << 20;
/** Slower uploads are taken for dead. */
const minUploadBytesPerMs = 64;

export class S3Client {
  readonly target: S3Target;
  readonly #base: URL;

  constructor(target: S3Target) {
    this.target = target;
    const { endpoint, bucket, pathStyle } = target;
    this.#base = new URL(endpoint);
    const path = endpoint.pathname.replace(/\/+$/, "");
    if (pathStyle) this.#base.pathname = `${path}/${encodePath(bucket)}`;
    else {
      this.#base.hostname = `${bucket}.${endpoint.hostname}`;
      this.#base.pathname = path;
    }
  }

  /** An answer with a status of success, its body read to the end. @throws {StorageError} */
  async send(request: S3Request): Promise<{ readonly headers: Headers; readonly text: string }> {
    return await retry({ attempts: this.target.attempts, ...signalOf(request) }, async () => {
      const { response, idle } = await this.#once(request);
      try {
        const text = await this.#text(request, response, idle);
        // An answer that took long begins with success and says what went wrong in its body.
        if (text.includes("<Error>") && textOf(text, "Code") !== undefined && !text.includes("<DeleteResult")) {
          throw answerError(this.#subject(request.what), response, text);
        }
        return { headers: response.headers, text };
      } finally {
        idle.stop();
      }
    });
  }

  /** An answer with a status of success, its body still to come. @throws {StorageError} */
  async open(request: S3Request): Promise<S3Answer> {
    return await retry({ attempts: this.target.attempts, ...signalOf(request) }, () => this.#once(request));
  }

  async #once(request: S3Request): Promise<S3Answer> {
    const { method, what, key, query = {}, headers = {}, body = new Uint8Array(), signal } = request;
    const { credentials, region, ca, skipVerify, timeoutMs, now } = this.target;
    const url = new URL(this.#base);
    if (key !== undefined) url.pathname = `${this.#base.pathname.replace(/\/$/, "")}/${encodePath(key)}`;
    url.search = canonicalQuery(Object.entries(query));
    const signed = sign({ method, url, headers, payloadSha256: sha256(body), region, now: now() }, await credentials());
    const idle = new IdleTimer(timeoutMs, signal);
    idle.start(timeoutMs + body.byteLength / minUploadBytesPerMs);
    let response: Response;
    try {
      response = await fetch(url, {
        method,
        headers: { ...signed, "accept-encoding": "identity" },
        ...(method === "PUT" || method === "POST" ? { body } : {}),
        redirect: "manual",
        signal: idle.signal,
        // Bun's own limits: ours count, and bytes stay as they are stored.
        timeout: false,
        decompress: false,
        tls: { rejectUnauthorized: !skipVerify, ...(ca === undefined ? {} : { ca }) },
      } as RequestInit);
    } catch (error) {
      idle.stop();
      signal?.throwIfAborted();
      throw idle.isOver
        ? new StorageError("unavailable", `Cannot ${what}: ${this.#base.host} did not answer in time`, { cause: error })
        : connectionError(what, this.#base.host, error);
    }
    if (response.ok) return { response, idle };
    try {
      throw answerError(this.#subject(what), response, await this.#text(request, response, idle));
    } finally {
      idle.stop();
    }
  }

  async #text({ what, signal }: S3Request, response: Response, idle: IdleTimer): Promise<string> {
    try {
      if (response.body === null) return "";
      return Buffer.from(await collect(response.body, maxAnswerBytes)).toString("utf8");
    } catch (error) {
      signal?.throwIfAborted();
      throw idle.isOver
        ? new StorageError("unavailable", `Cannot ${what}: ${this.#base.host} fell silent`, { cause: error })
        : connectionError(what, this.#base.host, error);
    }
  }

  #subject(what: string): Subject {
    const { bucket, region, now } = this.target;
    return { what, bucket, region, now: now() };
  }
}

const signalOf = ({ signal }: S3Request) => (signal === undefined ? {} : { signal });

/** Aborts its signal after a time of silence, or when another signal is aborted. */
export class IdleTimer {
  readonly #controller = new AbortController();
  readonly #timeoutMs: number;
  readonly #outer: AbortSignal | undefined;
  readonly #abort = () => this.#controller.abort(this.#outer?.reason);
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** Whether the time ran out. */
  isOver = false;

  constructor(timeoutMs: number, outer?: AbortSignal) {
    this.#timeoutMs = timeoutMs;
    this.#outer = outer;
    if (outer?.aborted) this.#abort();
    outer?.addEventListener("abort", this.#abort, { once: true });
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** The time begins anew. */
  start(timeoutMs = this.#timeoutMs): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      this.isOver = true;
      this.#controller.abort(new Error("time-out"));
    }, timeoutMs);
  }

  /** Nobody is waiting: a reader may take its time. */
  rest(): void {
    clearTimeout(this.#timer);
  }

  stop(): void {
    this.rest();
    this.#outer?.removeEventListener("abort", this.#abort);
  }

  /** Ends the request. */
  cancel(): void {
    this.stop();
    this.#controller.abort(new Error("cancelled"));
  }
}
