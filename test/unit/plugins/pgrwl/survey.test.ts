/** When somebody looks again at what WAL and base backups are there. */
import { expect, test } from "bun:test";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { parseLsn } from "../../../../plugins/common/postgres/lsn.ts";
import { openWalArchive } from "../../../../plugins/common/wal-archive/open.ts";
import { Survey } from "../../../../plugins/pgrwl/restorable/survey.ts";
import { createFolder } from "../../../harness/folders.ts";
import { waitFor } from "../../../harness/wait.ts";
import { walSegment } from "../../../harness/wal-segment.ts";

test("what was looked at before the server told its timeline is looked at again when it tells another one", async () => {
  await using folder = await createFolder("holdfast-survey");
  const [directory, place] = [join(folder.path, "wal"), join(folder.path, "archive")];
  await mkdir(place);
  for (const number of [1, 2, 3, 4])
    await Bun.write(join(directory, `00000001000000000000000${number}`), walSegment({ number }));
  // Somebody tried a restore, and left this behind.
  await Bun.write(join(place, "wal-archive", "00000002.history"), "1\t0/200100\tno recovery target specified\n");
  const settings = { storage: { type: "local", directory: place }, compression: { algorithm: "none" } };
  const archive = await openWalArchive(settings as never, { environment: {} });
  let timeline: number | undefined;
  let looks = 0;
  const survey = new Survey({
    directory,
    archive: () => archive,
    password: undefined,
    keepFrom: [],
    log: { error() {}, warn() {}, info() {}, debug() {} },
    segmentSizeBytes: () => undefined,
    timeline: () => timeline,
    now: Date.now,
    onEnd: () => void looks++,
  });
  const stopping = new AbortController();
  const running = survey.run(stopping.signal);
  try {
    await waitFor("the first look", () => looks > 0 || undefined);
    expect(survey.last?.run).toMatchObject({ timeline: 2, newestLsn: parseLsn("0/200000") });
    timeline = 1;
    await waitFor("the second look", () => looks > 1 || undefined);
    expect(survey.last?.run).toMatchObject({ timeline: 1, newestLsn: parseLsn("0/500000") });
  } finally {
    stopping.abort();
    await running;
  }
});
