/** An S3 server in memory that checks signatures, digests and the order of a multipart upload. */
import { createHash, randomBytes } from "node:crypto";
import { bucketAnswer } from "./bucket.ts";
import { type Account, signatureFlaw } from "./signature.ts";

export interface StoredVersion {
  readonly id: string;
  /** undefined: a deletion marker. */
  readonly content: Uint8Array | undefined;
  readonly etag: string;
  readonly modified: Date;
  readonly metadata: Readonly<Record<string, string>>;
}

export interface Upload {
  readonly id: string;
  readonly key: string;
  readonly begun: Date;
  readonly parts: Map<number, { readonly content: Uint8Array; readonly etag: string }>;
}

export class Bucket {
  /** Newest first. */
  readonly versions = new Map<string, StoredVersion[]>();
  readonly uploads = new Map<string, Upload>();
  isVersioned = false;

  newest(key: string): StoredVersion | undefined {
    const [version] = this.versions.get(key) ?? [];
    return version?.content === undefined ? undefined : version;
  }

  write(
    key: string,
    content: Uint8Array | undefined,
    etag: string,
    metadata: Record<string, string> = {},
  ): StoredVersion {
    const id = this.isVersioned ? randomBytes(8).toString("hex") : "null";
    const version = { id, content, etag, modified: new Date(Math.floor(Date.now() / 1000) * 1000), metadata };
    this.versions.set(key, [version, ...(this.versions.get(key) ?? []).filter((other) => other.id !== id)]);
    return version;
  }

  delete(key: string, id: string | null): void {
    if (id === null && this.isVersioned) {
      this.write(key, undefined, "");
      return;
    }
    const left = (this.versions.get(key) ?? []).filter((version) => version.id !== (id ?? "null"));
    if (left.length > 0) this.versions.set(key, left);
    else this.versions.delete(key);
  }
}

export interface S3Server extends AsyncDisposable {
  readonly port: number;
  readonly account: Account;
  readonly buckets: Map<string, Bucket>;
  /** Requests so far, as `PUT key?query`. */
  readonly requests: string[];
  /** Keys or versions of one page of a list. */
  pageSize: number;
  /** Asked before each request; an answer here is sent instead. */
  intercept: ((request: Request, key: string) => Response | undefined) | undefined;
  /** How far this server's clock is off. */
  clockOffsetMs: number;
}

export interface S3ServerOptions {
  readonly tls?: { readonly cert: string; readonly key: string };
  readonly sessionToken?: string;
}

/** With the buckets `holdfast` and `versioned`. */
export function startS3Server({ tls, sessionToken }: S3ServerOptions = {}): S3Server {
  const account: Account = {
    accessKeyId: "HOLDFASTTEST",
    secretAccessKey: randomBytes(20).toString("base64"),
    region: "eu-test-1",
    ...(sessionToken === undefined ? {} : { sessionToken }),
  };
  const versioned = new Bucket();
  versioned.isVersioned = true;
  const buckets = new Map([
    ["holdfast", new Bucket()],
    ["versioned", versioned],
  ]);
  const listener = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    reusePort: false,
    idleTimeout: 0,
    ...(tls === undefined ? {} : { tls }),
    fetch: answer,
  });

  async function answer(request: Request): Promise<Response> {
    const body = new Uint8Array(await request.arrayBuffer());
    const url = new URL(request.url);
    const hostBucket = /^([a-z]+)\.localhost$/.exec(url.hostname)?.[1];
    const path = decodeURIComponent(url.pathname.slice(1));
    const [pathBucket = "", ...rest] = path.split("/");
    const bucketName = hostBucket ?? pathBucket;
    const key = hostBucket === undefined ? rest.join("/") : path;
    server.requests.push(`${request.method} ${key}${url.search}`);
    const now = new Date(Date.now() + server.clockOffsetMs);
    const flaw = signatureFlaw(request, body, account, now);
    const dated = (response: Response) => {
      response.headers.set("date", now.toUTCString());
      return response;
    };
    if (flaw !== undefined)
      return dated(
        failure(request, 403, flaw, flaw === "AuthorizationHeaderMalformed" ? { Region: account.region } : {}),
      );
    const intercepted = server.intercept?.(request, key);
    if (intercepted !== undefined) return intercepted;
    const bucket = buckets.get(bucketName);
    if (bucket === undefined) return dated(failure(request, 404, "NoSuchBucket"));
    return dated(bucketAnswer({ request, url, bucket, bucketName, key, body, pageSize: server.pageSize }));
  }

  const server: S3Server = {
    port: listener.port ?? 0,
    account,
    buckets,
    requests: [],
    pageSize: 1000,
    intercept: undefined,
    clockOffsetMs: 0,
    [Symbol.asyncDispose]: () => listener.stop(true),
  };
  return server;
}

/** An error as S3 tells it; without a body to HEAD. */
export function failure(
  request: Request,
  status: number,
  code: string,
  fields: Readonly<Record<string, string>> = {},
): Response {
  const more = Object.entries(fields).map(([name, value]) => `<${name}>${value}</${name}>`);
  const xml = `<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>${code}</Code><Message>${code} of the test server</Message>${more.join("")}</Error>`;
  return new Response(request.method === "HEAD" ? null : xml, {
    status,
    headers: { "content-type": "application/xml" },
  });
}

export const md5 = (content: Uint8Array): string => createHash("md5").update(content).digest("hex");
