/** Gives WAL to recoveries: under the paths of all generations of the original, and never less than a whole, verified file. */
import { createHash, timingSafeEqual } from "node:crypto";
import type { DirectClient, Log, RouteEnv } from "holdfast";
import type { Context, Hono } from "hono";
import { messageOf } from "../common/storage/errors.ts";
import { failureReason } from "../common/wal-archive/errors.ts";
import type { WalLookup } from "../common/wal-archive/lookup.ts";
import { parseWalFileName } from "../common/wal-archive/object-names.ts";
import { digestHeader, standingHeader, systemHeader } from "../common/wal-archive/serve-headers.ts";
import { WalSourceError } from "../common/wal-archive/wal-source.ts";
import { rangeOf } from "./http-range.ts";
import { ServedFile } from "./served-file.ts";
import { Turns, TurnsError } from "./turns.ts";

/** A closed list, for a label. */
export const serveResults = ["whole", "partial", "absent", "refused", "outage", "failed", "busy"] as const;
export type ServeResult = (typeof serveResults)[number];

/** What has been served; the page reads it. */
export class ServeTelemetry {
  readonly requests = new Map<ServeResult, number>();
  bytes = 0;

  count(result: ServeResult): void {
    this.requests.set(result, (this.requests.get(result) ?? 0) + 1);
  }
}

export interface ServeOptions {
  readonly lookup: WalLookup;
  readonly token: string | undefined;
  readonly telemetry: ServeTelemetry;
  readonly log: Log;
  /** Whose WAL it is; undefined while it is not known. */
  systemIdentifier(): Promise<string | undefined>;
  /** Of the server; undefined while it is not known. */
  segmentSizeBytes(): number | undefined;
  /** Answers that are sent at once. */
  readonly mostSent?: number;
  /** Time in which a client must take something. */
  readonly stallMs?: number;
}

/** Fetched, decoded and checked at once. */
const mostAtOnce = 4;
/** Each holds a whole segment, of up to 64 MiB in memory and 1 GiB in a file: clients that read slowly, or not at all, must not fill either. */
const defaultMostSent = 16;
const defaultStallMs = 60_000;
const mostWaiting = 64;
/** What is larger goes through a temporary file. */
const mostMemoryBytes = 64 * 2 ** 20;
const outageRetrySeconds = 5;
const busyRetrySeconds = 1;

export function addServeRoutes(app: Hono, options: ServeOptions): void {
  const turns = {
    find: new Turns(mostAtOnce, mostWaiting),
    send: new Turns(options.mostSent ?? defaultMostSent, mostWaiting),
  };
  const handler = (c: Context) => answer(c, options, turns);
  for (const path of ["/wal/", "/wal/:name", "/api/v1/wal/", "/api/v1/wal/:name"]) {
    // Hono answers HEAD by GET's handler, without the body.
    app.get(path, handler);
    app.all(path, (c) => {
      c.header("Allow", "GET, HEAD");
      return c.text("Method Not Allowed\n", 405);
    });
  }
}

interface AllTurns {
  readonly find: Turns;
  readonly send: Turns;
}

async function answer(c: Context, options: ServeOptions, turns: AllTurns): Promise<Response> {
  const { token, telemetry, lookup } = options;
  const say = (result: ServeResult, status: 400 | 401 | 404 | 502 | 503, text: string, retrySeconds?: number) => {
    telemetry.count(result);
    if (retrySeconds !== undefined) c.header("Retry-After", String(retrySeconds));
    return c.text(`${text}\n`, status);
  };
  if (token !== undefined && !hasToken(c.req.header("authorization"), token)) {
    c.header("WWW-Authenticate", "Bearer");
    return say("refused", 401, "Cannot serve WAL: expected the token of this instance's serve: as bearer token");
  }
  const name = c.req.param("name") ?? "";
  if (parseWalFileName(name) === undefined)
    return say(
      "refused",
      400,
      "Cannot serve this: expected the name of a segment, SEGMENT.partial or TIMELINE.history",
    );
  const { signal } = c.req.raw;
  try {
    // Given back at once, but for a body that is sent.
    using sending = new DisposableStack();
    sending.use(await turns.send.take(signal));
    using _ = await turns.find.take(signal);
    const wholeOnly = c.req.query("partial") === "false";
    const inMemory = (options.segmentSizeBytes() ?? Number.POSITIVE_INFINITY) <= mostMemoryBytes;
    const file = await ServedFile.find(lookup, name, { signal, wholeOnly, inMemory, mostBytes: mostMemoryBytes });
    if (file === undefined) {
      const systemIdentifier = await options.systemIdentifier();
      if (systemIdentifier !== undefined) c.header(systemHeader, systemIdentifier);
      c.header(standingHeader, "absent");
      return say("absent", 404, `There is no ${name} in ${lookup.description}`);
    }
    telemetry.count(file.found);
    return respond(c, file, options, sending);
  } catch (error) {
    if (signal.aborted) return c.body(null, 503);
    if (error instanceof TurnsError)
      return say("busy", 503, `Cannot serve ${name}: ${error.message}`, busyRetrySeconds);
    const text = `Cannot serve ${name}: ${messageOf(error)}`;
    const isOutage = error instanceof WalSourceError ? error.kind === "outage" : failureReason(error) === "unavailable";
    options.log.warn("Cannot serve a file of WAL", { file: name, error: messageOf(error) });
    if (isOutage) return say("outage", 503, text, outageRetrySeconds);
    return say("failed", 502, text);
  }
}

/** @param sending Taken over where a body follows. */
function respond(
  c: Context,
  file: ServedFile,
  { telemetry, stallMs = defaultStallMs }: ServeOptions,
  sending: DisposableStack,
): Response {
  const { sizeBytes, sha256 } = file;
  const etag = `"${sha256.slice(0, 32)}"`;
  const headers = new Headers({
    "Content-Type": "application/octet-stream",
    "Accept-Ranges": "bytes",
    "Cache-Control": "no-cache",
    ETag: etag,
    [digestHeader]: `sha-256=:${Buffer.from(sha256, "hex").toString("base64")}:`,
    [standingHeader]: file.found,
  });
  const ifRange = c.req.header("if-range");
  const range = ifRange === undefined || ifRange === etag ? rangeOf(c.req.header("range"), sizeBytes) : undefined;
  if (range === "unsatisfiable") {
    file.close();
    headers.set("Content-Range", `bytes */${sizeBytes}`);
    return new Response(null, { status: 416, headers });
  }
  const { start, end } = range ?? { start: 0, end: sizeBytes };
  if (range) headers.set("Content-Range", `bytes ${start}-${end - 1}/${sizeBytes}`);
  headers.set("Content-Length", String(end - start));
  const status = range ? 206 : 200;
  if (c.req.method === "HEAD") {
    file.close();
    return new Response(null, { status, headers });
  }
  telemetry.bytes += end - start;
  const held = sending.move();
  const { direct } = (c.env ?? {}) as RouteEnv;
  if (direct) {
    const send = async (client: DirectClient) => {
      using _ = held;
      await file.send(client, start, end);
    };
    return direct({ status, headers, stallMs, send });
  }
  return new Response(file.body(start, end, { stallMs, ended: () => held.dispose() }), { status, headers });
}

/** In a time that does not depend on where they differ. */
function hasToken(authorization: string | undefined, token: string): boolean {
  const [, sent = ""] = /^Bearer +(\S+) *$/i.exec(authorization ?? "") ?? [];
  const digest = (text: string) => createHash("sha256").update(text).digest();
  return timingSafeEqual(digest(sent), digest(token));
}
