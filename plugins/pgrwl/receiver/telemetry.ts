/**
 * What the receiving thread measures, in memory that it shares with its instance: it stores numbers and never sends
 * a message for one, and the instance reads them even while the thread waits for a disk.
 */

export const lsnNames = ["received", "written", "flushed", "server", "slotRestart", "streamStart"] as const;
export type LsnName = (typeof lsnNames)[number];

/** `waiting`: until the next attempt; `disk_full`, `refused`: attempts go on, and do nothing until their cause is gone. */
export const states = [
  "starting",
  "connecting",
  "streaming",
  "waiting",
  "disk_full",
  "refused",
  "finished",
  "stopped",
] as const;
export type State = (typeof states)[number];

/** Why a connection was lost or an attempt failed; a closed list, for a label. */
export const disconnectReasons = [
  "configuration",
  "connect",
  "authentication",
  "server_shutdown",
  "connection_lost",
  "timeout",
  "protocol",
  "server_error",
  "disk_full",
  "disk_error",
  "gap",
] as const;
export type DisconnectReason = (typeof disconnectReasons)[number];

/** What can break the chain of WAL; a closed list, for a label. */
export const gapReasons = [
  "system_identifier",
  "wal_removed",
  "slot_lost",
  "timeline",
  "server_behind",
  "diverged",
] as const;
export type GapReason = (typeof gapReasons)[number];

/** Upper bounds in seconds. A disk with a battery answers in 0.1 ms, one that is in trouble in seconds. */
export const flushBuckets = [
  0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10,
] as const;

const numberNames = [
  "state",
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
  /** Unix seconds; 0: never. */
  "streamingSince",
  "lastMessageAt",
  "lastFlushAt",
  /** Unix seconds since when the server has had WAL that is not flushed here; 0: all of it is. */
  "behindSince",
  /** Unix seconds at which a write or flush that still runs began; 0: none runs. */
  "flushingSince",
  "flushSeconds",
] as const;
export type NumberName = (typeof numberNames)[number];

const lists = {
  disconnects: disconnectReasons.length,
  gaps: gapReasons.length,
  /** 1 while attempts are refused for this reason. */
  gapOpen: gapReasons.length,
  /** Flushes by bucket, not cumulated; the last takes what exceeds all bounds. */
  flushes: flushBuckets.length + 1,
} as const;
export type ListName = keyof typeof lists;

const numberCount = numberNames.length + Object.values(lists).reduce((sum, length) => sum + length, 0);

export class Telemetry {
  /** To be handed to the other thread. */
  readonly buffer: SharedArrayBuffer;
  readonly #lsns: BigUint64Array;
  readonly #numbers: Float64Array;
  readonly #offsets: Readonly<Record<ListName, number>>;

  constructor(buffer = new SharedArrayBuffer((lsnNames.length + numberCount) * 8)) {
    this.buffer = buffer;
    this.#lsns = new BigUint64Array(buffer, 0, lsnNames.length);
    this.#numbers = new Float64Array(buffer, lsnNames.length * 8, numberCount);
    let offset = numberNames.length;
    const offsets: Record<ListName, number> = { disconnects: 0, gaps: 0, gapOpen: 0, flushes: 0 };
    for (const name of Object.keys(lists) as ListName[]) {
      offsets[name] = offset;
      offset += lists[name];
    }
    this.#offsets = offsets;
  }

  /** A position; 0 while it is not known. */
  lsn(name: LsnName): bigint {
    return Atomics.load(this.#lsns, lsnNames.indexOf(name));
  }
  setLsn(name: LsnName, lsn: bigint): void {
    Atomics.store(this.#lsns, lsnNames.indexOf(name), lsn);
  }

  number(name: NumberName): number {
    return this.#numbers[numberNames.indexOf(name)] ?? 0;
  }
  set(name: NumberName, value: number): void {
    this.#numbers[numberNames.indexOf(name)] = value;
  }
  add(name: NumberName, value = 1): void {
    this.set(name, this.number(name) + value);
  }

  list(name: ListName): readonly number[] {
    return [...this.#numbers.subarray(this.#offsets[name], this.#offsets[name] + lists[name])];
  }
  setInList(name: ListName, index: number, value: number): void {
    if (index >= 0 && index < lists[name]) this.#numbers[this.#offsets[name] + index] = value;
  }
  addToList(name: ListName, index: number, value = 1): void {
    this.setInList(name, index, (this.#numbers[this.#offsets[name] + index] ?? 0) + value);
  }

  get state(): State {
    return states[this.number("state")] ?? "starting";
  }
  set state(state: State) {
    this.set("state", states.indexOf(state));
  }

  /** Counts a flush that took so long. */
  observeFlush(seconds: number): void {
    this.add("flushSeconds", seconds);
    const bucket = flushBuckets.findIndex((bound) => seconds <= bound);
    this.addToList("flushes", bucket === -1 ? flushBuckets.length : bucket);
  }
}
