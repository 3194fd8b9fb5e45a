import { expect, test } from "bun:test";
import {
  disconnectReasons,
  flushBuckets,
  gapReasons,
  type ListName,
  lsnNames,
  type NumberName,
  states,
  Telemetry,
} from "../../../../../plugins/pgrwl/receiver/telemetry.ts";

const numbers: readonly NumberName[] = [
  "timeline",
  "segmentSizeBytes",
  "receivedBytes",
  "segments",
  "historyFiles",
  "setAsideFiles",
  "slotsCreated",
  "forksBehind",
  "statuses",
  "messages",
  "streamingSince",
  "lastMessageAt",
  "lastFlushAt",
  "behindSince",
  "flushingSince",
  "flushSeconds",
];
const lists: Readonly<Record<ListName, number>> = {
  disconnects: disconnectReasons.length,
  gaps: gapReasons.length,
  gapOpen: gapReasons.length,
  flushes: flushBuckets.length + 1,
};

test("no field shares memory with another, and the other thread reads what this one wrote", () => {
  const telemetry = new Telemetry();
  const other = new Telemetry(telemetry.buffer);
  let next = 1;
  const wanted: [() => unknown, unknown][] = [];
  for (const name of lsnNames) {
    const lsn = BigInt(next++) << 56n;
    telemetry.setLsn(name, lsn);
    wanted.push([() => other.lsn(name), lsn]);
  }
  for (const name of numbers) {
    const value = next++ + 0.5;
    telemetry.set(name, value);
    wanted.push([() => other.number(name), value]);
  }
  for (const [name, length] of Object.entries(lists) as [ListName, number][]) {
    const values = Array.from({ length }, () => next++);
    for (const [index, value] of values.entries()) telemetry.setInList(name, index, value);
    wanted.push([() => other.list(name), values]);
  }
  telemetry.state = "disk_full";
  wanted.push([() => other.state, "disk_full"]);
  for (const [read, value] of wanted) expect(read() as unknown).toEqual(value);
  expect(telemetry.buffer.byteLength).toBe((lsnNames.length + numbers.length + 1 + 6 + 6 + 11 + 17) * 8);
});

test("an index that a list does not have changes nothing", () => {
  const telemetry = new Telemetry();
  const before = [...new Uint8Array(telemetry.buffer)];
  for (const [name, length] of Object.entries(lists) as [ListName, number][])
    for (const index of [-1, length, length + 1, Number.NaN, 0.5]) telemetry.addToList(name, index);
  expect([...new Uint8Array(telemetry.buffer)]).toEqual(before);
});

test("each state is read as it was written; a new one starts", () => {
  const telemetry = new Telemetry();
  expect(telemetry.state).toBe("starting");
  for (const state of states) {
    telemetry.state = state;
    expect(telemetry.state).toBe(state);
  }
});

test.each([
  [0, 0],
  [0.0001, 0],
  [0.00011, 1],
  [10, flushBuckets.length - 1],
  [10.01, flushBuckets.length],
])("a flush of %d s is counted in bucket %d", (seconds, bucket) => {
  const telemetry = new Telemetry();
  telemetry.observeFlush(seconds);
  expect(telemetry.list("flushes").indexOf(1)).toBe(bucket);
  expect(telemetry.number("flushSeconds")).toBe(seconds);
});
