/** What a stream tells of itself while its thread waits for the disk, and of the server. */
import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { CopyBothStream, ReplicationRow } from "../../../../../plugins/common/postgres/replication.ts";
import { Disk } from "../../../../../plugins/pgrwl/receiver/disk.ts";
import { LagClock } from "../../../../../plugins/pgrwl/receiver/lag-clock.ts";
import { WalStream } from "../../../../../plugins/pgrwl/receiver/stream.ts";
import { Telemetry } from "../../../../../plugins/pgrwl/receiver/telemetry.ts";
import { WalFiles } from "../../../../../plugins/pgrwl/receiver/wal-files.ts";
import { receiverSettings, settings } from "../../../../../plugins/pgrwl/settings.ts";
import { waitFor } from "../../../../harness/wait.ts";
import { type Call, FaultyDisk } from "./faulty-disk.ts";
import { mib, ourSystem, segmentOf } from "./wal-content.ts";

const size = BigInt(mib);
const first = 3n * size;

/** Notes what the page would have shown, had a call to the disk not come back. */
class WatchedDisk extends FaultyDisk {
  readonly seen = new Map<Call, { readonly behindSince: number; readonly flushingSince: number }>();
  #telemetry: Telemetry;
  constructor(telemetry: Telemetry) {
    super();
    this.#telemetry = telemetry;
  }
  note(call: Call): void {
    const [behindSince, flushingSince] = [
      this.#telemetry.number("behindSince"),
      this.#telemetry.number("flushingSince"),
    ];
    this.seen.set(call, { behindSince, flushingSince });
  }
  override write(...parameters: Parameters<FaultyDisk["write"]>): number {
    this.note("write");
    return super.write(...parameters);
  }
  override syncData(fd: number): void {
    this.note("syncData");
    super.syncData(fd);
  }
  override size(fd: number): ReturnType<FaultyDisk["size"]> {
    this.note("size");
    return super.size(fd);
  }
}

let directory: string;
let telemetry: Telemetry;
let disk: WatchedDisk;
let stream: WalStream;
let running: Promise<readonly ReplicationRow[]>;
let end: PromiseWithResolvers<readonly ReplicationRow[]>;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "holdfast-stream-"));
  telemetry = new Telemetry();
  disk = new WatchedDisk(telemetry);
  const files = new WalFiles({
    directory,
    segmentSizeBytes: mib,
    mode: 0o600,
    systemIdentifier: ourSystem,
    disk: new Disk(disk),
    mustRepeat: true,
    serverLsn: () => 2n ** 63n,
    onSegment: () => {},
    onSetAside: () => {},
  });
  files.begin(1, first);
  const lag = new LagClock();
  lag.restart(first, first, 0);
  stream = new WalStream({
    // As often as a stream looks at the clock at most.
    settings: { ...receiverSettings(settings.parse({ directory, slot: "test" })), statusIntervalMs: 20 },
    files,
    telemetry,
    lag,
    place: "a test",
    abort: () => end.reject(new Error("aborted")),
    checkFolder: () => {},
    serverLsn: first,
    stuckAt: 0n,
    onStreaming: () => {},
  });
  end = Promise.withResolvers();
  const copy: CopyBothStream = { send: () => {}, finish: () => {}, serverIsDone: false, ended: end.promise };
  running = stream.run(copy);
});
afterEach(async () => {
  end.resolve([]);
  await running;
  rmSync(directory, { recursive: true });
});

/** As the server sends it. @param serverEnd How far its WAL reaches. */
function wal(from: bigint, bytes: number, serverEnd: bigint): Buffer {
  const head = Buffer.alloc(25);
  head[0] = 0x77;
  head.writeBigUInt64BE(from, 1);
  head.writeBigUInt64BE(serverEnd, 9);
  const at = Number(from - first);
  return Buffer.concat([head, segmentOf({ timeline: 1, number: 3 }).subarray(at, at + bytes)]);
}
/** @param sent How far the server has sent its WAL. */
function keepalive(sent: bigint): Buffer {
  const payload = Buffer.alloc(18);
  payload[0] = 0x6b;
  payload.writeBigUInt64BE(sent, 1);
  return payload;
}

test.each(["write", "syncData"] as const)("a %s that hangs is seen, and so is the lag that it makes", (call) => {
  stream.data(wal(first, 1000, first + 1000n));
  stream.drained();
  const { behindSince, flushingSince } = disk.seen.get(call) ?? { behindSince: 0, flushingSince: 0 };
  expect(behindSince).toBeGreaterThan(0);
  expect(flushingSince).toBeGreaterThanOrEqual(behindSince);
  expect([telemetry.number("behindSince"), telemetry.number("flushingSince")]).toEqual([0, 0]);
});

test("a disk that hangs while nothing comes is seen when the file is looked at", async () => {
  stream.data(wal(first, 1000, first + 1000n));
  stream.drained();
  disk.seen.clear();
  await waitFor("a look at the file", () => disk.seen.has("size"), 20_000);
  expect(disk.seen.get("size")?.flushingSince).toBeGreaterThan(0);
});

test("a keepalive tells how far the server has sent, not how far its WAL reaches: the lag stays", () => {
  stream.data(wal(first, 1000, first + size));
  stream.data(keepalive(first + 1000n));
  expect(telemetry.lsn("server")).toBe(first + size);
  stream.data(keepalive(first + size + 50n));
  expect(telemetry.lsn("server")).toBe(first + size + 50n);
});
