import { expect, test } from "bun:test";
import { cp, mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createFolder } from "../harness/folders.ts";
import { skipHeadName, snapshotFolderFixture } from "../harness/snapshot-fixture.ts";
import { prometheusAnswering, startSnapshotServer } from "../harness/snapshot-server.ts";
import { waitFor } from "../harness/wait.ts";

const hourMs = 3_600_000;
const dayMs = 24 * hourMs;
const nameOf = (count: number) => `20261121T0716${String(count).padStart(2, "0")}Z-48d449c7c9037e84`;

/** A schedule of one backup a day into a folder, whose clock and Prometheus are ours. */
async function startScene(lastSuccessAgoMs: number) {
  await using cleanup = new AsyncDisposableStack();
  const recorded = cleanup.use(await snapshotFolderFixture());
  const folder = cleanup.use(await createFolder("holdfast-snapshots"));
  const place = cleanup.use(await createFolder("holdfast-target"));
  let taken = 0;
  const prometheus = cleanup.use(
    prometheusAnswering(async ({ method }) => {
      if (method !== "POST") return { body: JSON.stringify({ status: "success", data: {} }) };
      const name = nameOf(++taken);
      await cp(join(recorded.path, skipHeadName), join(folder.path, name), { recursive: true });
      return { body: JSON.stringify({ status: "success", data: { name } }) };
    }),
  );
  const clock = { aheadMs: 0 };
  const stateFolder = join(place.path, "state");
  await mkdir(stateFolder);
  const times = { "uploadSuccess:disk": Date.now() - lastSuccessAgoMs };
  await writeFile(join(stateFolder, "prombackup.json"), JSON.stringify({ version: 1, times }));
  const server = cleanup.use(
    await startSnapshotServer({
      folder: folder.path,
      prometheus: prometheus.url,
      config: {
        backup: { targets: { disk: { storage: { type: "local", directory: join(place.path, "target") } } } },
        state_dir: stateFolder,
      },
      now: () => Date.now() + clock.aheadMs,
    }),
  );
  const stopping = new AbortController();
  const running = server.test.instance.start?.({ signal: stopping.signal, run: undefined as never });
  cleanup.defer(async () => {
    stopping.abort();
    await running;
  });
  const owned = cleanup.move();
  return {
    clock,
    taken: () => taken,
    nextBackup: async () => (await server.test.instance.status?.())?.facts?.["Next backup"],
    logged: (wanted: string) => waitFor(wanted, () => server.test.logs.some(({ message }) => message === wanted)),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

test("a success in the future, of a clock that was set back since, keeps no backup from being made", async () => {
  await using scene = await startScene(-4 * 365 * dayMs);
  await scene.logged("Backup complete");
  await waitFor("the wait for the next", async () => (await scene.nextBackup()) === "in 23 h");
});

test("a clock that is set back while a backup is waited for: no snapshot is taken that no target wants", async () => {
  // Due in a while: before, the clock is set back.
  await using scene = await startScene(dayMs - 8000);
  scene.clock.aheadMs = -20 * hourMs;
  await scene.logged("The clock was set back: no backup is due yet");
  expect(scene.taken()).toBe(0);
});
