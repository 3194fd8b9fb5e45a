/** An archive that was written in one format after the other is read in all of them, whatever the configuration says now. */
import { expect, test } from "bun:test";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import type { ArchiveSectionInput } from "../../../../plugins/pgrwl/archive/settings.ts";
import { describeWith } from "../../../harness/describe-with.ts";
import { createFolder } from "../../../harness/folders.ts";
import { giveTo, serverUser } from "../../../harness/users.ts";
import { waitFor } from "../../../harness/wait.ts";
import { createRestorer, openArchive } from "../../restore/support.ts";
import { startScene } from "./scene.ts";

const encryption = { passphrase: "a passphrase" };
const formats: readonly (readonly [string, Omit<ArchiveSectionInput, "storage">])[] = [
  ["", {}],
  [".gz", { compression: "gzip" }],
  [".zst", { compression: { algorithm: "zstd", level: 9 } }],
  [".gz.aes", { compression: "gzip", encryption }],
  [".aes", { encryption }],
  [".zst.aes", { compression: "zstd", encryption }],
];

describeWith(["postgresql-15", "pgbench", "dist/holdfast"], "a restore from a folder", () => {
  test("whose format was changed again and again", async () => {
    await using folder = await createFolder("holdfast-formats", serverUser("postgres"));
    const storage = { type: "local", directory: join(folder.path, "archive") } as const;
    await using store = await openArchive({ storage, encryption });
    await using scene = await startScene();
    const extensions = async () => {
      const found = new Set<string>();
      for await (const { kind, extension } of store.list()) if (kind === "segment") found.add(extension);
      return found;
    };
    for (const [extension, format] of formats.slice(0, -1)) {
      await using instance = await scene.receive({ ...format, storage, keep_local: 1 });
      await instance.until("streaming");
      if (format.compression === "gzip" && !format.encryption) await scene.load();
      await scene.switchWal(6);
      // What still waits is written in the next format.
      await instance.caughtUp(scene.server);
      await waitFor(`a segment with "${extension}"`, async () => (await extensions()).has(extension));
      await instance.stop();
    }
    const [, last] = formats.at(-1) ?? [];
    const instance = await scene.receive({ ...last, storage, keep_local: 1, ship_partial: "1s" });
    await instance.until("streaming");
    await scene.switchWal(10);
    const loss = await scene.lose(instance, store, "partial");
    expect([...(await extensions())].sort()).toEqual(formats.map(([extension]) => extension).sort());

    await using restorer = await createRestorer();
    // As an agent of the server's own user would have written it.
    for (const name of ["", ...(await readdir(storage.directory, { recursive: true }))])
      await giveTo(serverUser("postgres"), join(storage.directory, name));
    await using restored = await scene.restore(restorer.command(await restorer.configure({ storage, encryption })));
    await scene.expectRestored(restored, loss);
  }, 480_000);
});
