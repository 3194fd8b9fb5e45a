import { expect, test } from "bun:test";
import fc from "fast-check";
import type { RestorableReason } from "../../../../agent/sdk/index.ts";
import { type KnownCopies, restorableWindow } from "../../../../plugins/prombackup/restorable.ts";

type Snapshot = KnownCopies["snapshots"][number];
const snapshot = (from: number, to: number, ok?: boolean, isComplete = true): Snapshot => ({
  info: { minTimeMs: from * 1000, maxTimeMs: to * 1000, isComplete },
  verification: ok === undefined ? undefined : { ok },
});
const backup = (from: number, to: number, verified = true): KnownCopies["backups"][number] => ({
  verified,
  blocks: [{ ulid: "01", min_time: from * 1000, max_time: to * 1000, level: 1 }],
});
const windowOf = (known: Partial<KnownCopies>) =>
  restorableWindow({ snapshots: [], backups: [], hasUnreadable: false, ...known });

test("the window reaches from the oldest to the newest verified copy, here and in the targets", () => {
  const window = windowOf({ snapshots: [snapshot(50, 90, true)], backups: [backup(10, 60), backup(30, 70)] });
  expect(window).toEqual({ from: 10, to: 90 });
});

test("a newer copy that was not verified, or is damaged, is told and does not count", () => {
  expect(windowOf({ snapshots: [snapshot(10, 50, true), snapshot(10, 60)] })).toEqual({
    from: 10,
    to: 50,
    detail: "A newer snapshot was not verified",
  });
  expect(windowOf({ snapshots: [snapshot(10, 50, true), snapshot(10, 60, false)] })).toMatchObject({
    to: 50,
    detail: "A newer snapshot is damaged",
  });
});

test.each<[string, Partial<KnownCopies>, RestorableReason]>([
  ["nothing was verified", { snapshots: [snapshot(10, 50)] }, "unverified"],
  ["all is damaged", { snapshots: [snapshot(10, 50, false)] }, "damaged"],
  ["there is nothing", {}, "no_backup"],
  ["there is only one that Prometheus writes still", { snapshots: [snapshot(1, 2, undefined, false)] }, "no_backup"],
  ["a backup has no blocks", { backups: [{ verified: true, blocks: [] }] }, "no_backup"],
  ["the only target cannot be read", { hasUnreadable: true }, "archive_unreachable"],
])("where %s the reason says so", (_, known, reason) => {
  expect(windowOf(known).reason).toBe(reason);
});

test("a target that cannot be read takes nothing from what is verified elsewhere", () => {
  expect(windowOf({ snapshots: [snapshot(10, 50, true)], hasUnreadable: true }).reason).toBeUndefined();
});

test("moments are in order and never before 1970, whatever blocks say", () => {
  const any = fc.tuple(fc.integer({ min: -1e9, max: 1e9 }), fc.nat(1e9), fc.constantFrom(undefined, true, false));
  fc.assert(
    fc.property(fc.array(any, { maxLength: 6 }), (all) => {
      const { from, to, reason } = windowOf({
        snapshots: all.map(([at, length, ok]) => snapshot(at, at + length, ok)),
      });
      expect(from === undefined).toBe(to === undefined);
      expect(from ?? 0).toBeGreaterThanOrEqual(0);
      expect(to ?? 0).toBeGreaterThanOrEqual(from ?? 0);
      expect(reason === undefined).toBe(all.some(([, , ok]) => ok === true));
    }),
  );
});
