import { expect, test } from "bun:test";
import fc from "fast-check";
import { formatBytes, receiverStatus } from "../../../../plugins/pgrwl/status.ts";
import { inState, streaming } from "./receiver-under-test.ts";

test("a stream tells how far WAL is safe, and how far behind that is", () => {
  const server = { systemIdentifier: "7331", serverVersion: "18.4", timeline: 2, segmentSizeBytes: 2 ** 24 };
  const standing = { state: "streaming" } as const;
  const telemetry = streaming();
  expect(receiverStatus({ slot: "main", telemetry, standing, server, freeBytes: 3 * 2 ** 40 })).toEqual({
    facts: {
      Receiver: "streaming",
      Server: "PostgreSQL 18.4",
      Slot: "main",
      Flushed: "0/3001000, timeline 2",
      Lag: "4.0 KiB",
      Received: "47.6 MiB, segments completed: 2",
      Free: "3.0 TiB",
    },
    problem: undefined,
  });
});

test("without a stream nothing is said of the lag, and the problem is told", () => {
  const problem = "Cannot write 000000010000000000000003.partial: no space left on device";
  const telemetry = inState("disk_full");
  const standing = { state: "disk_full", problem } as const;
  const status = receiverStatus({ slot: "main", telemetry, standing, server: undefined, freeBytes: undefined });
  expect(status).toEqual({
    facts: { Receiver: "disk full", Slot: "main", Received: "0 B, segments completed: 0" },
    problem,
  });
});

test("the problem of a state that is over is not told", () => {
  const telemetry = inState("streaming");
  const standing = { state: "waiting", problem: "connection refused" } as const;
  const status = receiverStatus({ slot: "main", telemetry, standing, server: undefined, freeBytes: undefined });
  expect(status.problem).toBeUndefined();
});

test.each([
  [0, "0 B"],
  [1023, "1023 B"],
  [1024, "1.0 KiB"],
  [1024 ** 2 - 1, "1023 KiB"],
  [1024 ** 2, "1.0 MiB"],
  [99.99 * 1024 ** 2, "99.9 MiB"],
  [2 ** 50, "1024 TiB"],
])("%d bytes are %s", (bytes, text) => {
  expect(formatBytes(bytes)).toBe(text);
});

test("a size shown is never more than there is, and less by no more than a tenth", () => {
  const factors: Readonly<Record<string, number>> = { B: 1, KiB: 2 ** 10, MiB: 2 ** 20, GiB: 2 ** 30, TiB: 2 ** 40 };
  fc.assert(
    fc.property(fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER }), (bytes) => {
      const [amount, unit = ""] = formatBytes(bytes).split(" ");
      const shown = Number(amount) * (factors[unit] ?? Number.NaN);
      expect(shown).toBeLessThanOrEqual(bytes);
      expect(shown).toBeGreaterThanOrEqual(bytes * 0.9);
    }),
  );
});
