/** What one file's failure, and a clock that is set, mean for the others. */
import { expect, test } from "bun:test";
import { StorageError } from "../../../../../plugins/common/storage/errors.ts";
import { LocalFiles } from "../../../../../plugins/pgrwl/archive/local-files.ts";
import { Uploader } from "../../../../../plugins/pgrwl/archive/uploader.ts";
import { createFolder } from "../../../../harness/folders.ts";
import { waitFor } from "../../../../harness/wait.ts";
import { nameOf, writeSegments } from "../../../../integration/pgrwl/archive/places.ts";

/** Brings three segments to an archive that takes each as `take` says. */
async function started(take: (name: string) => void) {
  await using cleanup = new AsyncDisposableStack();
  const folder = cleanup.use(await createFolder("holdfast-uploader"));
  await writeSegments(folder.path, [1, 2, 3]);
  const files = new LocalFiles(folder.path, "one");
  await files.load();
  const clock = { aheadMs: 0 };
  const archived: string[] = [];
  const put = async (objectName: string) => {
    take(objectName);
    return { objectName, outcome: "stored", storedBytes: 1 };
  };
  const uploader = new Uploader({
    archive: { put } as never,
    files,
    place: { require: async () => {} } as never,
    concurrency: 2,
    firstBackOffMs: 100,
    longestBackOffMs: 200,
    log: { error() {}, warn() {}, info() {}, debug() {} },
    now: () => Date.now() + clock.aheadMs,
    onArchived: ({ name }) => archived.push(name),
  });
  const stopping = new AbortController();
  const running = uploader.run(stopping.signal);
  cleanup.defer(async () => {
    stopping.abort();
    await running;
  });
  const owned = cleanup.move();
  return { uploader, clock, archived, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

test("a file here that cannot be read holds up no other", async () => {
  await using tested = await started((name) => {
    if (name === nameOf(1)) throw Object.assign(new Error("EIO: i/o error, read"), { code: "EIO" });
  });
  await waitFor("the others", () => tested.archived.length === 2);
  expect(tested.uploader.problems).toMatchObject([{ reason: "local" }]);
  expect(tested.uploader.nextAttemptAt).toBeUndefined();
});

test.each([-3_600_000, 3_600_000])("a clock that is set by %d ms does not hold up what failed", async (aheadMs) => {
  let isAway = true;
  await using tested = await started(() => {
    if (isAway) throw new StorageError("unavailable", "Cannot write there: it is away");
  });
  await waitFor("a failure", () => tested.uploader.problems.length === 1);
  tested.clock.aheadMs = aheadMs;
  isAway = false;
  await waitFor("all", () => tested.archived.length === 3);
  expect(tested.uploader.problems).toEqual([]);
});
