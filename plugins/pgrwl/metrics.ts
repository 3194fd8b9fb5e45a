/** The receiver's page: what the shared memory and the thread's messages tell, as metrics. What is not known is left out. */
import type { Metrics } from "holdfast";
import type { Space } from "./directory-space.ts";
import { type CounterName, type GaugeName, metricTable } from "./metric-table.ts";
import { secondsUntilFull } from "./receive-rate.ts";
import type { ServerFacts, Standing } from "./receiver/protocol.ts";
import {
  disconnectReasons,
  flushBuckets,
  gapReasons,
  type LsnName,
  type NumberName,
  states,
  type Telemetry,
} from "./receiver/telemetry.ts";
import { RegisteredMetrics } from "./registered-metrics.ts";

/** What a page is made of. Moments are Unix seconds. */
export interface Knowledge {
  readonly now: number;
  readonly startedAt: number;
  readonly telemetry: Telemetry;
  readonly standing: Standing;
  readonly server: ServerFacts | undefined;
  readonly lastSegmentAt: number | undefined;
  readonly space: Space | undefined;
  readonly bytesPerSecond: number | undefined;
}

export class ReceiverMetrics {
  readonly #registered: RegisteredMetrics<GaugeName, CounterName>;
  readonly #set: RegisteredMetrics<GaugeName, CounterName>["set"];

  constructor(metrics: Metrics) {
    this.#registered = new RegisteredMetrics(metrics, metricTable, flushBuckets);
    this.#set = (name, value, labels) => this.#registered.set(name, value, labels);
  }

  /** Brings a counter up to what somebody else has counted. */
  countUpTo(name: CounterName, total: number): void {
    this.#registered.countUpTo(name, total);
  }

  /** Sets all gauges, and brings the counters up to what is known. */
  show(knowledge: Knowledge): void {
    this.#showStanding(knowledge);
    this.#showPositions(knowledge);
    this.#showMoments(knowledge);
    this.#showDisk(knowledge);
    this.#count(knowledge.telemetry);
  }

  clearGauges(): void {
    this.#registered.clearGauges();
  }

  #showStanding({ now, startedAt, telemetry, standing, server }: Knowledge): void {
    this.#set("pgrwl_uptime_seconds", Math.max(0, now - startedAt));
    for (const state of states) this.#set("pgrwl_receiver_state", standing.state === state ? 1 : 0, { state });
    this.#set("pgrwl_connected", isStreaming(telemetry) ? 1 : 0);
    if (isStreaming(telemetry)) this.#set("pgrwl_stream_start_timestamp_seconds", known(telemetry, "streamingSince"));
    const { nextAttemptAt } = standing;
    if (nextAttemptAt !== undefined) this.#set("pgrwl_next_attempt_timestamp_seconds", nextAttemptAt / 1000);
    if (server !== undefined) {
      const { systemIdentifier: system_identifier, serverVersion: version } = server;
      this.#set("pgrwl_server_info", 1, { system_identifier, version });
    }
    this.#set("pgrwl_timeline", known(telemetry, "timeline"));
    this.#set("pgrwl_segment_size_bytes", known(telemetry, "segmentSizeBytes"));
    for (const [index, reason] of gapReasons.entries()) {
      this.#set("pgrwl_gap", telemetry.list("gapOpen")[index] ?? 0, { reason });
    }
  }

  #showPositions({ now, telemetry }: Knowledge): void {
    for (const name of ["received", "written", "flushed", "server"] as const) {
      const lsn = knownLsn(telemetry, name);
      if (lsn !== undefined) this.#set(`pgrwl_${name}_lsn`, Number(lsn));
    }
    this.#set("pgrwl_lag_bytes", lagBytes(telemetry));
    this.#set("pgrwl_lag_seconds", lagSeconds(telemetry, now));
    this.#set("pgrwl_slot_retained_bytes", distance(knownLsn(telemetry, "slotRestart"), knownLsn(telemetry, "server")));
  }

  #showMoments({ telemetry, lastSegmentAt }: Knowledge): void {
    this.#registered.observe("pgrwl_flush_duration_seconds", {
      counts: telemetry.list("flushes"),
      sum: telemetry.number("flushSeconds"),
    });
    this.#set("pgrwl_flush_start_timestamp_seconds", known(telemetry, "flushingSince"));
    this.#set("pgrwl_last_message_timestamp_seconds", known(telemetry, "lastMessageAt"));
    this.#set("pgrwl_last_flush_timestamp_seconds", known(telemetry, "lastFlushAt"));
    this.#set("pgrwl_last_segment_timestamp_seconds", lastSegmentAt);
  }

  #showDisk({ space, bytesPerSecond }: Knowledge): void {
    if (space === undefined) return;
    this.#set("pgrwl_directory_free_bytes", space.freeBytes);
    this.#set("pgrwl_directory_size_bytes", space.sizeBytes);
    this.#set("pgrwl_disk_full_in_seconds", secondsUntilFull(space.freeBytes, bytesPerSecond));
  }

  #count(telemetry: Telemetry): void {
    for (const [name, number] of counters) this.#registered.countUpTo(name, telemetry.number(number));
    const disconnects = telemetry.list("disconnects");
    for (const [index, reason] of disconnectReasons.entries()) {
      this.#registered.countUpTo("pgrwl_disconnects_total", disconnects[index] ?? 0, { reason });
    }
    const gaps = telemetry.list("gaps");
    for (const [index, reason] of gapReasons.entries()) {
      this.#registered.countUpTo("pgrwl_gaps_total", gaps[index] ?? 0, { reason });
    }
  }
}

const counters: readonly (readonly [CounterName, NumberName])[] = [
  ["pgrwl_wal_bytes_received_total", "receivedBytes"],
  ["pgrwl_wal_files_received_total", "segments"],
  ["pgrwl_slots_created_total", "slotsCreated"],
  ["pgrwl_history_files_received_total", "historyFiles"],
  ["pgrwl_set_aside_files_total", "setAsideFiles"],
  ["pgrwl_timeline_forks_behind_total", "forksBehind"],
  ["pgrwl_messages_received_total", "messages"],
  ["pgrwl_statuses_sent_total", "statuses"],
];

const isStreaming = (telemetry: Telemetry): boolean => telemetry.state === "streaming";

/** A number whose 0 says that it is not known. */
function known(telemetry: Telemetry, name: NumberName): number | undefined {
  return telemetry.number(name) || undefined;
}

/** A position; undefined while it is not known. */
export function knownLsn(telemetry: Telemetry, name: LsnName): bigint | undefined {
  return telemetry.lsn(name) || undefined;
}

/** While the stream stands still, nobody knows how far the server has gone on. */
export function lagBytes(telemetry: Telemetry): number | undefined {
  return isStreaming(telemetry) ? distance(knownLsn(telemetry, "flushed"), knownLsn(telemetry, "server")) : undefined;
}

function lagSeconds(telemetry: Telemetry, now: number): number | undefined {
  const since = known(telemetry, "behindSince");
  if (since !== undefined) return Math.max(0, now - since);
  return lagBytes(telemetry) === undefined ? undefined : 0;
}

function distance(from: bigint | undefined, to: bigint | undefined): number | undefined {
  if (from === undefined || to === undefined) return undefined;
  return to > from ? Number(to - from) : 0;
}
