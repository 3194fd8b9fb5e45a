/** The paths of the original's API, and those that it lacks. */
import type { RouteEnv } from "holdfast";
import { isExactName } from "../common/tsdb/snapshot-name.ts";
import { json, RequestError, textError } from "./answers.ts";
import { download } from "./download-route.ts";
import type { Download } from "./downloads.ts";
import { isFormat } from "./formats.ts";
import { goQuote } from "./go-text.ts";
import { digestOf, manifestOf } from "./manifest-route.ts";
import { Parameters } from "./parameters.ts";
import type { Keep } from "./retention.ts";
import { type ListedSnapshot, type Server, SnapshotError } from "./server.ts";
import { reasonOf } from "./snapshot-entries.ts";

export interface Route {
  readonly methods: readonly ("GET" | "HEAD" | "POST")[];
  answer(server: Server, request: Request, env: RouteEnv): Response | Promise<Response>;
}

const get = (
  answer: (server: Server, parameters: Parameters, request: Request, env: RouteEnv) => Response | Promise<Response>,
): Route => ({
  methods: ["GET"],
  answer: (server, request, env) => answer(server, Parameters.ofQuery(new URL(request.url).search), request, env),
});
const post = (answer: (server: Server, parameters: Parameters) => Response | Promise<Response>): Route => ({
  methods: ["POST"],
  answer: async (server, request) => answer(server, await Parameters.ofPost(request)),
});

export const apiRoutes: Readonly<Record<string, Route>> = {
  "/api/snapshot": post(takeSnapshot),
  "/api/download": {
    ...get((server, parameters, request, env) => download(server, request, parameters, env)),
    methods: ["GET", "HEAD"],
  },
  "/api/download_status": get(downloadStatus),
  "/api/prune": post(prune),
  "/api/snapshots": get(async (server) => json({ snapshots: (await server.list()).map(shownSnapshot) })),
  "/api/downloads": get((server) => json({ downloads: server.downloads.all().map(shownDownload) })),
  "/api/manifest": longRead("manifest", manifestOf),
  "/api/digest": longRead("digest", digestOf),
  "/api/verify": post(verify),
  "/api/delete": post(remove),
};

/** Reads a whole snapshot: one at a time, for as long as somebody waits for it. */
function longRead(what: string, read: (server: Server, name: string, signal: AbortSignal) => Promise<Response>): Route {
  return get((server, parameters, request) => {
    const name = existingName(parameters);
    return server.longReads.run(`${what} ${name}`, request.signal, (signal) =>
      read(server, name, AbortSignal.any([signal, server.deps.signal])),
    );
  });
}

async function takeSnapshot(server: Server, parameters: Parameters): Promise<Response> {
  const skipHead = parameters.boolean("skip_head");
  const format = parameters.text("download_format");
  if (format !== "" && !isFormat(format)) throw new RequestError(400, `unknown archive format: ${format}`);
  try {
    const name = await server.takeSnapshot(skipHead, "api");
    const query = new URLSearchParams(format === "" ? { name } : { format, name });
    return json({ name }, 303, { Location: `./download?${query}` });
  } catch (error) {
    if (error instanceof SnapshotError) return textError(500, error.message);
    throw error;
  }
}

function downloadStatus(server: Server, parameters: Parameters): Response {
  const id = parameters.text("id");
  if (id === "") return textError(404, "Download ID is required");
  const found = server.downloads.find(id);
  if (!found) return textError(404, `Download ${id} not found`);
  const { finished } = found;
  return json({
    id: found.id,
    snapshot_name: found.snapshotName,
    finished: finished
      ? { success: finished.success, error_text: finished.errorText, sha256_hex: finished.sha256Hex }
      : null,
  });
}

async function prune(server: Server, parameters: Parameters): Promise<Response> {
  const keep: Keep = readKeep(parameters);
  try {
    const report = await server.prune({ keep, dryRun: parameters.boolean("dry_run") }, "api");
    const { dryRun, removed, skipped, failed } = report;
    return json({ dry_run: dryRun, removed, skipped, failed }, failed.length > 0 ? 500 : 200);
  } catch (error) {
    if (error instanceof RequestError) throw error;
    return textError(500, `Pruning failed: ${reasonOf(error)}`);
  }
}

/** The rules in a request: without any, only what is in use stays. */
export function readKeep(parameters: Parameters): Keep {
  return {
    withinMs: parameters.duration("keep_within"),
    last: parameters.count("keep_last"),
    daily: parameters.count("keep_daily"),
    weekly: parameters.count("keep_weekly"),
    monthly: parameters.count("keep_monthly"),
  };
}

async function verify(server: Server, parameters: Parameters): Promise<Response> {
  const name = existingName(parameters);
  const verified = await server.verifications.verify(name, server.deps.signal);
  if (!verified) return textError(404, `snapshot not found: ${name}`);
  const { report, ok } = verified;
  return json({
    name,
    ok,
    blocks: report.blocks.length,
    size_bytes: report.sizeBytes,
    problems: report.problems,
    warnings: report.warnings,
  });
}

async function remove(server: Server, parameters: Parameters): Promise<Response> {
  const name = existingName(parameters);
  try {
    const outcome = await server.remove(name);
    if (outcome === "missing") return textError(404, `snapshot not found: ${name}`);
    if (outcome === "in_use") return textError(409, `snapshot in use: ${name}`);
    return json({ removed: [name] });
  } catch (error) {
    return textError(500, `Removing ${name} failed: ${reasonOf(error)}`);
  }
}

/** @throws {RequestError} No name, or not one that Prometheus gives. */
export function existingName(parameters: Parameters): string {
  const name = parameters.text("name");
  if (name === "") throw new RequestError(404, "Snapshot name is required");
  if (!isExactName(name)) throw new RequestError(400, `invalid snapshot name: ${goQuote(name)}`);
  return name;
}

export function shownSnapshot(snapshot: ListedSnapshot) {
  const moment = (ms: number | undefined) => (ms === undefined ? null : new Date(ms).toISOString());
  return {
    name: snapshot.name,
    time: moment(snapshot.timeMs),
    size_bytes: snapshot.sizeBytes,
    exclusive_bytes: snapshot.exclusiveBytes,
    blocks: snapshot.blocks,
    min_time: moment(snapshot.minTimeMs),
    max_time: moment(snapshot.maxTimeMs),
    complete: snapshot.isComplete,
    in_use: snapshot.inUse,
    verified: snapshot.verified,
    problems: snapshot.problems,
  };
}

export function shownDownload(one: Download) {
  const { finished } = one;
  return {
    id: one.id,
    snapshot_name: one.snapshotName,
    format: one.format,
    started: new Date(one.startedAt).toISOString(),
    sent_bytes: one.sentBytes,
    total_bytes: one.totalBytes ?? null,
    state: finished === undefined ? "running" : finished.success ? "success" : one.aborted ? "aborted" : "error",
    error_text: finished?.errorText ?? null,
  };
}
