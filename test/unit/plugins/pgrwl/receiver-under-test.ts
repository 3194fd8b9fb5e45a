/** A receiver that nobody runs: its numbers are set by the test. */
import type { Knowledge } from "../../../../plugins/pgrwl/metrics.ts";
import { disconnectReasons, type State, Telemetry } from "../../../../plugins/pgrwl/receiver/telemetry.ts";

export const now = Date.parse("2026-01-02T12:00:00Z");
const nowSeconds = now / 1000;

/** One that streams, 4 KiB behind the server. */
export function streaming(): Telemetry {
  const telemetry = new Telemetry();
  telemetry.state = "streaming";
  telemetry.set("timeline", 2);
  telemetry.set("segmentSizeBytes", 2 ** 24);
  telemetry.set("streamingSince", nowSeconds - 3723.004);
  telemetry.set("receivedBytes", 50_000_000);
  telemetry.set("segments", 2);
  telemetry.set("statuses", 7);
  telemetry.set("messages", 70);
  telemetry.set("historyFiles", 1);
  telemetry.set("slotsCreated", 1);
  telemetry.set("lastMessageAt", nowSeconds - 0.25);
  telemetry.set("lastFlushAt", nowSeconds - 0.5);
  telemetry.set("behindSince", nowSeconds - 1.5);
  telemetry.setLsn("received", 0x3002000n);
  telemetry.setLsn("written", 0x3002000n);
  telemetry.setLsn("flushed", 0x3001000n);
  telemetry.setLsn("server", 0x3002000n);
  telemetry.setLsn("slotRestart", 0x2000000n);
  for (const seconds of [0.00008, 0.0002, 0.0002, 0.004, 12]) telemetry.observeFlush(seconds);
  telemetry.addToList("disconnects", disconnectReasons.indexOf("connection_lost"), 3);
  return telemetry;
}

export function inState(state: State): Telemetry {
  const telemetry = new Telemetry();
  telemetry.state = state;
  return telemetry;
}

export function knowledge(known: Partial<Knowledge>): Knowledge {
  const telemetry = known.telemetry ?? new Telemetry();
  return {
    now: nowSeconds,
    startedAt: nowSeconds - 4000,
    telemetry,
    standing: { state: telemetry.state },
    server: undefined,
    lastSegmentAt: undefined,
    space: undefined,
    bytesPerSecond: undefined,
    ...known,
  };
}
