/** An instance that serves WAL and receives none. */
import { expect, test } from "bun:test";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createRun, testPlugin } from "../../../../agent/sdk/index.ts";
import pgrwl from "../../../../plugins/pgrwl/index.ts";
import { createFolder } from "../../../harness/folders.ts";
import { waitFor } from "../../../harness/wait.ts";

test("an archive that cannot be opened is told, and opened as soon as it can be", async () => {
  await using folder = await createFolder("holdfast-serving");
  const ca = join(folder.path, "ca.pem");
  const storage = { type: "s3", bucket: "wal", region: "r", ca_file: ca, access_key_id: "a", secret_access_key: "b" };
  const config = { directory: folder.path, receive: false, serve: {}, archive: { storage } };
  const tested = await testPlugin(pgrwl, { config });
  const stopping = new AbortController();
  const { signal } = stopping;
  const work = tested.instance.start?.({ signal, run: createRun(signal) });
  try {
    const problemOf = () => tested.instance.status?.().problem;
    expect(await waitFor("the problem", problemOf)).toContain(`Cannot read ca_file ${ca}`);
    await writeFile(ca, "");
    await waitFor("no problem", () => problemOf() === undefined);
    expect(tested.logs.map(({ level, message }) => [level, message])).toContainEqual(["info", "The archive is open"]);
  } finally {
    stopping.abort();
    await work;
    await tested.stop();
  }
});
