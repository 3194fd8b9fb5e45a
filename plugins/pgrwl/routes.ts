/** The original's HTTP API in receive mode, under the paths of all its generations. Shapes: pgrwl, internal/httpsrv. */
import { type Context, Hono } from "hono";
import { redactConnection } from "../common/postgres/connection-setting.ts";
import { formatLsn } from "../common/postgres/lsn.ts";
import { messageOf } from "../common/storage/errors.ts";
import { redactArchive } from "./archive/settings.ts";
import { formatGoDuration } from "./go-duration.ts";
import { knownLsn, lagBytes } from "./metrics.ts";
import type { ServerFacts, Standing } from "./receiver/protocol.ts";
import { gapReasons, type Telemetry } from "./receiver/telemetry.ts";
import type { Gap } from "./receiver-thread.ts";
import type { Settings } from "./settings.ts";
import type { WalListing } from "./wal-listing.ts";

/** What the routes tell of; its members change. */
export interface Receiver {
  readonly telemetry: Telemetry;
  readonly standing: Standing;
  readonly server: ServerFacts | undefined;
  readonly gap: Gap | undefined;
}

export interface RoutesOptions {
  readonly settings: Settings;
  readonly receiver: Receiver;
  now(): number;
  /** The items of `/api/v1/wals`. */
  readonly listing: WalListing;
}

type Handler = (c: Context) => Response | Promise<Response>;

export function createRoutes({ settings, receiver, now, listing }: RoutesOptions): Hono {
  const app = new Hono();
  const get = (paths: readonly string[], handler: Handler) => {
    for (const path of paths) {
      app.get(path, handler);
      app.all(path, (c) => {
        c.header("Allow", "GET, HEAD");
        return c.text("Method Not Allowed\n", 405);
      });
    }
  };
  app.all("/healthz", (c) => c.body(null, 200));
  // What the status page of the agent links to.
  app.get("/", (c) => c.redirect("status"));
  get(["/status", "/api/v1/status"], () => json(statusOf(settings, receiver, now())));
  get(["/config", "/api/v1/brief-config"], () => json({ retention_enable: settings.archive?.retention !== undefined }));
  get(["/api/v1/redacted-config"], () => json(redactedConfig(settings)));
  const wals = shared(() => listing.items());
  get(["/api/v1/wals"], async (c) => {
    try {
      return json(await wals());
    } catch (error) {
      c.header("Retry-After", "5");
      return c.text(`Cannot list WAL: ${messageOf(error)}\n`, 503);
    }
  });
  return app;
}

/** With a newline at the end, as Go's encoder writes it. */
function json(value: unknown): Response {
  return new Response(`${JSON.stringify(value)}\n`, {
    headers: { "Content-Type": "application/json", "X-Content-Type-Options": "nosniff" },
  });
}

/** Questions that come while one is being answered get its answer: a long directory is read once. */
function shared<Answer>(ask: () => Promise<Answer>): () => Promise<Answer> {
  let asking: Promise<Answer> | undefined;
  return () => {
    asking ??= ask().finally(() => {
      asking = undefined;
    });
    return asking;
  };
}

/** `running_mode` and `stream_status` are the original's; what is unknown is left out. */
function statusOf(settings: Settings, { telemetry, standing, server, gap }: Receiver, now: number): object {
  const { state } = telemetry;
  const running = state === "streaming";
  const since = telemetry.number("streamingSince");
  const lsn = (name: Parameters<Telemetry["lsn"]>[0]) => {
    const known = knownLsn(telemetry, name);
    return known === undefined ? undefined : formatLsn(known);
  };
  return {
    running_mode: "receive",
    stream_status: {
      slot: settings.slot,
      timeline: telemetry.number("timeline") || undefined,
      last_flush_lsn: lsn("flushed"),
      uptime: running && since > 0 ? formatGoDuration(now - since * 1000) : undefined,
      running,
    },
    state,
    problem: standing.state === state ? standing.problem : undefined,
    next_attempt_at: standing.nextAttemptAt === undefined ? undefined : moment(standing.nextAttemptAt),
    received_lsn: lsn("received"),
    written_lsn: lsn("written"),
    server_lsn: lsn("server"),
    lag_bytes: lagBytes(telemetry),
    gap: gap && {
      reason: gap.reason,
      open: telemetry.list("gapOpen")[gapReasons.indexOf(gap.reason)] === 1,
      refused: gap.refused,
      message: gap.message,
      found_at: moment(gap.foundAt),
    },
    server: server && { system_identifier: server.systemIdentifier, version: server.serverVersion },
  };
}

/** RFC 3339, in UTC. */
function moment(unixMs: number): string {
  return new Date(unixMs).toISOString();
}

/** The configuration as it would be written, with all defaults and without secrets. */
function redactedConfig({ notes: _, end_position, postgres, archive, serve, ...config }: Settings): object {
  const text = (seconds: number | undefined) => (seconds === undefined ? undefined : formatGoDuration(seconds * 1000));
  return {
    ...config,
    postgres: postgres && redactConnection(postgres),
    serve: serve && { ...serve, ...(serve.token === undefined ? {} : { token: "[REDACTED]" }) },
    archive: archive && redactArchive(archive),
    end_position: end_position === undefined ? undefined : formatLsn(end_position),
    status_interval: text(config.status_interval),
    receive_timeout: text(config.receive_timeout),
    connect_timeout: text(config.connect_timeout),
    back_off: { first: text(config.back_off.first), longest: text(config.back_off.longest) },
  };
}
