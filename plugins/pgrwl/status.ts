/** What people see of the receiver on the agent's status page. What is not known is left out. */
import type { PluginStatus } from "holdfast";
import { formatLsn } from "../common/postgres/lsn.ts";
import type { Archiver } from "./archive/archiver.ts";
import { formatGoDuration } from "./go-duration.ts";
import { knownLsn, lagBytes } from "./metrics.ts";
import type { ServerFacts, Standing } from "./receiver/protocol.ts";
import type { Telemetry } from "./receiver/telemetry.ts";

export interface StatusOptions {
  readonly slot: string;
  readonly telemetry: Telemetry;
  readonly standing: Standing;
  readonly server: ServerFacts | undefined;
  /** Room in the receiver's directory. */
  readonly freeBytes: number | undefined;
  readonly archive?: PluginStatus | undefined;
}

export function receiverStatus({ slot, telemetry, standing, server, freeBytes, archive }: StatusOptions): PluginStatus {
  const { state } = telemetry;
  const lag = lagBytes(telemetry);
  return {
    facts: {
      Receiver: state.replaceAll("_", " "),
      Server: server && `PostgreSQL ${server.serverVersion}`,
      Slot: slot,
      Flushed: flushed(telemetry),
      Lag: lag === undefined ? undefined : formatBytes(lag),
      Received: `${formatBytes(telemetry.number("receivedBytes"))}, segments completed: ${telemetry.number("segments")}`,
      Free: freeBytes === undefined ? undefined : formatBytes(freeBytes),
      ...archive?.facts,
    },
    problem: (standing.state === state ? standing.problem : undefined) ?? archive?.problem,
  };
}

/** What an instance's archive adds. @param now Unix milliseconds. */
export function archiveStatus(
  { archive, uploader, problems, startProblem, report }: Archiver,
  now: number,
): PluginStatus {
  const backlog = uploader?.backlog();
  const lastUploadAt = uploader?.telemetry.lastUploadAt;
  const age = (unixMs: number) => formatGoDuration(Math.floor(Math.max(0, now - unixMs) / 1000) * 1000);
  const waiting = backlog && `${backlog.files} files, ${formatBytes(backlog.bytes)}`;
  return {
    facts: {
      Archive: archive?.description ?? "not opened",
      "To archive": backlog?.oldestAt === undefined ? waiting : `${waiting}, oldest ${age(backlog.oldestAt)}`,
      "Last archived": lastUploadAt === undefined ? undefined : `${age(lastUploadAt)} ago`,
      Retention: report && `${report.outcome.replaceAll("_", " ")}, ${report.deletedFiles} of ${report.files} files`,
    },
    problem:
      problems[0]?.message ?? startProblem ?? (report?.doubts[0] && `Retention deletes nothing: ${report.doubts[0]}`),
  };
}

function flushed(telemetry: Telemetry): string | undefined {
  const lsn = knownLsn(telemetry, "flushed");
  const timeline = telemetry.number("timeline");
  return lsn === undefined || timeline === 0 ? undefined : `${formatLsn(lsn)}, timeline ${timeline}`;
}

const units = ["KiB", "MiB", "GiB", "TiB"] as const;

/** `512 B`, `4.0 KiB`, `1.5 GiB`, `320 TiB`: rounded down, for what is free must not seem more. */
export function formatBytes(bytes: number): string {
  if (bytes < 1024) return `${bytes} B`;
  const power = Math.min(units.length, Math.floor(Math.log2(bytes) / 10));
  const amount = bytes / 1024 ** power;
  const shown = amount < 100 ? (Math.floor(amount * 10) / 10).toFixed(1) : Math.floor(amount).toString();
  return `${shown} ${units[power - 1]}`;
}
