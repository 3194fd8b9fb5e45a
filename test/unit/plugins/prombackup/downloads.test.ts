import { expect, test } from "bun:test";
import { Downloads } from "../../../../plugins/prombackup/downloads.ts";
import { State } from "../../../../plugins/prombackup/state.ts";
import { createFolder } from "../../../harness/folders.ts";

const silent = () => {};
const log = { debug: silent, info: silent, warn: silent, error: silent };
const minuteMs = 60_000;

test("a snapshot is in use for a while after a download of it failed, whatever the clock does then", async () => {
  await using folder = await createFolder("holdfast-downloads");
  const state = await State.open(folder.path, "one", log);
  let now = Date.UTC(2030, 0, 1);
  const downloads = new Downloads(state, () => now, 5 * minuteMs);
  const download = downloads.begin("a-b", "tar", undefined);
  downloads.end(download, { success: false, errorText: "cut", sha256Hex: "" });
  for (const aheadMs of [4 * minuteMs, -minuteMs]) {
    now += aheadMs;
    expect(downloads.isInUse("a-b")).toBe(true);
  }
  now = Date.UTC(2026, 0, 1);
  expect(downloads.isInUse("a-b")).toBe(false);
  expect(downloads.all()).toEqual([]);
  await state.settled();
});
