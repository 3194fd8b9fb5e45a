import { expect, test } from "bun:test";
import fc from "fast-check";
import { LagClock } from "../../../../../plugins/pgrwl/receiver/lag-clock.ts";

test("it is level until the server has more than is flushed, and behind since the server had it", () => {
  const lag = new LagClock();
  lag.restart(100n, 100n, 1000);
  expect(lag.behindSince).toBe(0);
  lag.serverAt(150n, 1005);
  lag.serverAt(200n, 1008);
  expect(lag.behindSince).toBe(1005);
  lag.flushedTo(149n);
  expect(lag.behindSince).toBe(1005);
  lag.flushedTo(150n);
  expect(lag.behindSince).toBe(1008);
  lag.flushedTo(200n);
  expect(lag.behindSince).toBe(0);
});

test("what is missing at the start has been missing since the folder was written last", () => {
  const lag = new LagClock();
  lag.restart(500n, 100n, 900);
  lag.serverAt(600n, 1000);
  expect(lag.behindSince).toBe(900);
  lag.flushedTo(500n);
  expect(lag.behindSince).toBe(1000);
});

test("a restart forgets, for the server may be another or have gone back", () => {
  const lag = new LagClock();
  lag.restart(0n, 0n, 0);
  lag.serverAt(9000n, 10);
  lag.restart(50n, 50n, 20);
  expect(lag.behindSince).toBe(0);
  lag.serverAt(60n, 21);
  expect(lag.behindSince).toBe(21);
});

test("a new timeline that repeats the segment of its fork is not behind", () => {
  const lag = new LagClock();
  lag.restart(100n, 100n, 0);
  lag.serverAt(250n, 5);
  lag.flushedTo(250n);
  lag.flushedTo(200n);
  expect(lag.behindSince).toBe(0);
  lag.serverAt(251n, 9);
  expect(lag.behindSince).toBe(9);
});

const event = fc.oneof(
  fc.record({
    kind: fc.constant("server" as const),
    bytes: fc.nat(1000),
    seconds: fc.double({ min: 0, max: 3, noNaN: true }),
  }),
  fc.record({ kind: fc.constant("flush" as const), share: fc.double({ min: 0, max: 1, noNaN: true }) }),
);

function follow(
  events: readonly (typeof event extends fc.Arbitrary<infer E> ? E : never)[],
  exactSeconds: number,
): void {
  const lag = new LagClock();
  lag.restart(1n, 1n, 0);
  const seen: { lsn: bigint; at: number }[] = [];
  let [server, flushed, now] = [1n, 1n, 1000];
  for (const one of events) {
    if (one.kind === "server") {
      now += one.seconds;
      server += BigInt(one.bytes);
      seen.push({ lsn: server, at: now });
      lag.serverAt(server, now);
    } else {
      flushed += BigInt(Math.floor(Number(server - flushed) * one.share));
      lag.flushedTo(flushed);
    }
    const since = seen.find(({ lsn }) => lsn > flushed)?.at;
    if (since === undefined) expect(lag.behindSince).toBe(0);
    else {
      expect(lag.behindSince).toBeGreaterThan(0);
      expect(lag.behindSince).toBeLessThanOrEqual(since);
      expect(since - lag.behindSince).toBeLessThanOrEqual(exactSeconds);
    }
  }
}

test("it is behind exactly when something is missing, and since no later than that, to a tenth of a second", () => {
  fc.assert(fc.property(fc.array(event, { maxLength: 200 }), (events) => follow(events, 0.1)));
});

test("a long outage costs memory for some marks only, and is told no later than it began", () => {
  const outage = Array.from({ length: 20_000 }, () => ({ kind: "server" as const, bytes: 10, seconds: 0.2 }));
  const catchUp = Array.from({ length: 200 }, () => ({ kind: "flush" as const, share: 0.05 }));
  follow([...outage, ...catchUp], 20_000 * 0.2);
});

test("a clock that is set back makes nothing younger than it is", () => {
  const lag = new LagClock();
  lag.restart(1n, 1n, 0);
  lag.serverAt(10n, 5000);
  lag.serverAt(20n, 1000);
  expect(lag.behindSince).toBe(5000);
  lag.flushedTo(20n);
  expect(lag.behindSince).toBe(0);
});
