/** What a scheduled verification makes of an archive that has lost everything. */
import { expect, test } from "bun:test";
import { ScheduledVerification } from "../../../../plugins/pgrwl/archive/scheduled-verification.ts";
import { waitFor } from "../../../harness/wait.ts";
import { placeKinds } from "./places.ts";

test.each([
  [false, "whole"],
  [true, "flawed"],
] as const)("an archive without WAL, where some was stored: %j", async (wasStored, result) => {
  await using place = await placeKinds.find(({ name }) => name === "local")?.start();
  if (!place) throw new Error("There is no folder");
  await using archive = await place.open();
  const stopping = new AbortController();
  const verification = new ScheduledVerification({
    depth: "names",
    intervalMs: 10,
    log: { error() {}, warn() {}, info() {}, debug() {} },
    now: Date.now,
    archive: () => archive,
    segmentSizeBytes: () => undefined,
    expectsWal: () => wasStored,
    waiting: () => [],
    onEnd: () => stopping.abort(),
  });
  const running = verification.run(stopping.signal);
  await waitFor("an end", () => stopping.signal.aborted);
  await running;
  expect([...verification.totals.keys()]).toEqual([result]);
  expect(verification.problem ?? "").toInclude(wasStored ? "no WAL at all" : "");
});
