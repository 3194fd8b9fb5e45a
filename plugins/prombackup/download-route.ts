/** `GET /api/download`: a snapshot as an archive, made while it is sent. */
import { lstat, stat } from "node:fs/promises";
import { join } from "node:path";
import type { DirectClient, RouteEnv } from "holdfast";
import { isDownloadName, snapshotTime } from "../common/tsdb/snapshot-name.ts";
import { textError } from "./answers.ts";
import { type ByteRange, parseRange } from "./byte-range.ts";
import { sendDirectly } from "./direct-download.ts";
import { downloadBody } from "./download-body.ts";
import { archiveStream, type FormatName, formatProblem, formats, isFormat, tarInPieces, tarLayout } from "./formats.ts";
import { goQuote } from "./go-text.ts";
import { knownTarDigest, rememberTarDigest } from "./manifest-route.ts";
import type { Parameters } from "./parameters.ts";
import type { Server } from "./server.ts";
import { listSnapshot, reasonOf, type SnapshotListing, stateOf } from "./snapshot-entries.ts";

/** What is asked for, once the name and the format are known to be right. */
interface Wanted {
  readonly name: string;
  readonly format: FormatName;
}

/** @param env Says whether files can go to the client without passing through this process. */
export async function download(
  server: Server,
  request: Request,
  parameters: Parameters,
  env: RouteEnv,
): Promise<Response> {
  const wanted = readWanted(parameters);
  if (wanted instanceof Response) return wanted;
  // Before anything is waited for: pruning then either took the snapshot out already, or leaves it.
  const hold = server.holds.hold(wanted.name);
  try {
    const refusal = await refuse(server.store.folder, wanted.name);
    if (refusal) return refusal;
    return answer(server, request, wanted, await listSnapshot(server.store.folder, wanted.name), env);
  } catch (error) {
    return textError(500, `Reading snapshot failed: ${reasonOf(error)}`);
  } finally {
    // From here on the download itself holds it.
    hold[Symbol.dispose]();
  }
}

/** In the order of the original: a name, its rule, the format; whether it exists comes after. */
function readWanted(parameters: Parameters): Wanted | Response {
  const name = parameters.text("name");
  if (name === "") return textError(404, "Snapshot name is required");
  if (!isDownloadName(name)) return textError(400, `invalid snapshot name: ${goQuote(name)}`);
  const format = parameters.text("format") || "tar";
  return isFormat(format) ? { name, format } : textError(400, `unknown archive format: ${format}`);
}

async function refuse(folder: string, name: string): Promise<Response | undefined> {
  try {
    const found = await stat(join(folder, name));
    return found.isDirectory() ? undefined : textError(404, `snapshot invalid: ${name}`);
  } catch (error) {
    const { code } = error as { code?: string };
    const isLink = await lstat(join(folder, name)).then(
      () => true,
      () => false,
    );
    if (code === "ENOENT" || code === "ENOTDIR") {
      return textError(404, isLink ? `snapshot invalid: ${name}` : `snapshot not found: ${name}`);
    }
    return textError(500, `Reading snapshot failed: ${reasonOf(error)}`);
  }
}

function answer(
  server: Server,
  request: Request,
  { name, format }: Wanted,
  listing: SnapshotListing,
  { direct }: RouteEnv,
): Response {
  const { entries, problems } = listing;
  const problem = formatProblem(format, entries);
  if (problem !== undefined) return textError(400, problem);
  const { mediaType, extension } = formats[format];
  const headers = new Headers({
    "Content-Type": mediaType,
    "Content-Disposition": `attachment; filename=${name}${extension}`,
    "Cache-Control": "no-store, no-transform",
  });
  const isTar = format === "tar";
  const sizeBytes = isTar ? tarLayout(entries).sizeBytes : undefined;
  const state = stateOf(entries);
  const etag = `"${state}"`;
  let range: ByteRange | undefined;
  if (sizeBytes !== undefined) {
    headers.set("ETag", etag);
    headers.set("Accept-Ranges", "bytes");
    const ifRange = request.headers.get("if-range");
    const asked =
      request.method === "GET" && (ifRange === null || ifRange === etag) ? request.headers.get("range") : null;
    const found = parseRange(asked, sizeBytes);
    if (found === "unsatisfiable") {
      return textError(416, "Range not satisfiable", { "Content-Range": `bytes */${sizeBytes}`, ETag: etag });
    }
    range = found;
    if (range) headers.set("Content-Range", `bytes ${range.from}-${range.to - 1}/${sizeBytes}`);
    const length = String(range ? range.to - range.from : sizeBytes);
    headers.set("Content-Length", length);
    // Bun takes the one above off a body that streams.
    headers.set("X-Prombackup-Content-Length", length);
  }
  if (request.method === "HEAD") return new Response(null, { headers });

  const totalBytes = range ? range.to - range.from : sizeBytes;
  const running = server.downloads.begin(name, format, totalBytes);
  headers.set("X-Prombackup-Download-Id", running.id);
  const moment = Math.floor((snapshotTime(name) ?? 0) / 1000);
  const stretch = { from: range?.from, to: range?.to };
  const isWholeTar = isTar && range === undefined && problems.length === 0;
  const watched = watcher(server, running, format);
  const succeeded = (sha256Hex: string) => {
    if (isWholeTar) rememberTarDigest(state, sha256Hex);
    watched.succeeded(sha256Hex);
  };
  const end = { ...watched, succeeded };
  const status = range ? 206 : 200;
  const knownSha256Hex = isWholeTar ? knownTarDigest(state) : undefined;
  const { signal } = server.deps;
  const stallMs = server.deps.settings.stall_timeout * 1000;
  const archive = { name, format, entries, moment, ...stretch };
  if (direct) {
    const pieces = () => (isTar ? tarInPieces(archive) : archiveStream(archive));
    const send = (client: DirectClient) => sendDirectly(client, pieces(), end, { problems, knownSha256Hex });
    return direct({ status, headers, stallMs, signal, send });
  }
  return new Response(downloadBody(archiveStream(archive), end, { problems, knownSha256Hex, stallMs, signal }), {
    status,
    headers,
  });
}

function watcher(server: Server, running: ReturnType<Server["downloads"]["begin"]>, format: FormatName) {
  const { series, log } = server.deps;
  const startedAt = performance.now();
  const end = (result: "success" | "error" | "aborted", sha256Hex: string, errorText: string | null) => {
    server.downloads.end(running, { success: result === "success", errorText, sha256Hex }, result === "aborted");
    series.count("prombackup_server_downloads_total", { format, result });
    const durationSeconds = (performance.now() - startedAt) / 1000;
    if (result === "success") series.observe("prombackup_server_download_duration_seconds", durationSeconds);
    const fields = {
      download: running.id,
      snapshot: running.snapshotName,
      format,
      sent_bytes: running.sentBytes,
      duration_seconds: durationSeconds,
    };
    if (errorText === null) log.info("Download complete", fields);
    else log.warn("Download failed", { ...fields, error: errorText });
  };
  return {
    succeeded: (sha256Hex: string) => end("success", sha256Hex, null),
    failed: (errorText: string) => end("error", "", errorText),
    aborted: (errorText: string) => end("aborted", "", errorText),
    sent(bytes: number) {
      running.sentBytes += bytes;
      series.count("prombackup_server_download_bytes_total", { format }, bytes);
    },
  };
}
