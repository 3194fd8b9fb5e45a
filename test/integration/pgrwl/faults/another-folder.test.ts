/** A folder over which another one is mounted, or which is replaced: the chain must be whole in the one that has the name. */
import { expect, test } from "bun:test";
import { cp, mkdir, readdir, rename } from "node:fs/promises";
import { join } from "node:path";
import { describeWith } from "../../../harness/describe-with.ts";
import { createFolder } from "../../../harness/folders.ts";
import { startPostgres } from "../../../harness/postgres.ts";
import { waitFor } from "../../../harness/wait.ts";
import { startInProcess } from "./in-process.ts";
import { faultsIn, writeWal } from "./instance.ts";

const segments = async (directory: string) =>
  (await readdir(directory)).filter((name) => name.length === 24).map((name) => Number.parseInt(name, 16));

describeWith(["postgresql"], "another folder of the same name", () => {
  test("with less WAL in it than was received into the first, it misses none of that", async () => {
    await using server = await startPostgres({ autovacuum: "off", wal_keep_size: "1GB" }, { segmentMiB: 1 });
    await using folder = await createFolder("holdfast-mounted");
    const [directory, mounted] = [join(folder.path, "wal"), join(folder.path, "mounted")];
    await using receiver = await startInProcess(server, server, "mounted", { directory });
    await writeWal(server, 2);
    await receiver.caughtUp(server);
    await mkdir(mounted);
    for (const name of await readdir(directory))
      if (!name.endsWith(".partial")) await cp(join(directory, name), join(mounted, name));
    await writeWal(server, 3);
    await receiver.caughtUp(server);
    await rename(directory, join(folder.path, "hidden"));
    await rename(mounted, directory);
    const before = (await segments(directory)).length;
    await writeWal(server, 2);
    await receiver.caughtUp(server);
    await waitFor("segments in the folder", async () => (await segments(directory)).length > before);
    const [first = 0, ...rest] = (await segments(directory)).sort((a, b) => a - b);
    expect(rest).toEqual(rest.map((_, index) => first + 1 + index));
    expect(await faultsIn(directory, server)).toEqual([]);
  }, 120_000);
});
