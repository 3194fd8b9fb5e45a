/** What a storage that hangs leaves to be done once it answers. */
import { expect, test } from "bun:test";
import { LocalFiles } from "../../../../../plugins/pgrwl/archive/local-files.ts";
import { PartialShipping } from "../../../../../plugins/pgrwl/archive/partial-shipping.ts";
import { UploadTelemetry } from "../../../../../plugins/pgrwl/archive/upload-telemetry.ts";

test("beginnings that were due while the storage hung are not made up for, one by one", async () => {
  const answer = Promise.withResolvers<void>();
  let asked = 0;
  const require = async () => {
    asked++;
    await answer.promise;
    throw new Error("it is away");
  };
  const shipping = new PartialShipping({
    archive: {} as never,
    files: new LocalFiles("/none", ""),
    place: { require } as never,
    intervalMs: 10,
    telemetry: new UploadTelemetry(),
    log: { error() {}, warn() {}, info() {}, debug() {} },
    now: Date.now,
    position: () => ({ timeline: 1, flushed: 100n, segmentSizeBytes: 2 ** 20 }),
  });
  const stopping = new AbortController();
  const running = shipping.run(stopping.signal);
  await Bun.sleep(500);
  expect(asked).toBe(1);
  answer.resolve();
  await answer.promise;
  // Long enough for all that may be queued, too short for the next to be due.
  for (let turn = 0; turn < 20; turn++) await Promise.resolve();
  expect(asked).toBe(1);
  stopping.abort();
  await running;
});
