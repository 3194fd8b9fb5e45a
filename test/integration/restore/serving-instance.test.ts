/** An instance that only serves, and what an empty archive beside its directory means. */
import { expect, test } from "bun:test";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { testPlugin } from "holdfast";
import pgrwl from "../../../plugins/pgrwl/index.ts";
import { createFolder } from "../../harness/folders.ts";
import { waitFor } from "../../harness/wait.ts";
import { walSegment } from "../../harness/wal-segment.ts";

test.each([
  ["in the directory: what is not there is absent", "wal/archive", 404],
  ["elsewhere: its disk may be away, and nothing is absent", "elsewhere", 502],
])("an empty archive %s", async (_, place, expected) => {
  await using folder = await createFolder("holdfast-serving");
  const directory = join(folder.path, "wal");
  for (const path of [directory, join(folder.path, place)]) await mkdir(path, { recursive: true });
  await writeFile(join(directory, "000000010000000000000001"), walSegment({ number: 1 }));
  const storage = { type: "local", directory: join(folder.path, place) };
  const plugin = await testPlugin(pgrwl, { config: { directory, receive: false, serve: {}, archive: { storage } } });
  const stopping = new AbortController();
  const running = plugin.instance.start?.({ signal: stopping.signal, run: undefined as never });
  const statusOf = async (name: string) => (await plugin.instance.http?.request(`/wal/${name}`))?.status;
  expect(await waitFor("the archive", async () => (await statusOf("000000010000000000000001")) === 200)).toBe(true);
  expect(await statusOf("000000010000000000000002")).toBe(expected);
  stopping.abort();
  await running;
});
