/** What is made of base backups whose markers the storage does not give out. */
import { expect, test } from "bun:test";
import { StorageError, type StorageErrorKind } from "../../../../../plugins/common/storage/errors.ts";
import { storedBackups } from "../../../../../plugins/pgrwl/archive/base-backups.ts";

const look = (kind: StorageErrorKind) => {
  const marker = JSON.stringify({ start_lsn: 0x30_0028, finished_at: "2026-11-20T10:00:00Z" });
  const storage = {
    async *list() {
      for (const id of ["1", "2"]) yield { name: `backups/${id}/${id}.json`, sizeBytes: 1, modified: new Date() };
    },
    get: async (name: string) => {
      if (name.startsWith("backups/1/")) throw new StorageError(kind, `Cannot read ${name}: InvalidObjectState`);
      return { stream: new Blob([marker]).stream() };
    },
  };
  const signal = new AbortController().signal;
  return storedBackups(storage as never, { password: undefined, segmentSizeBytes: 2 ** 20, signal });
};

test("one that was moved to Glacier is a doubt, and the others are seen", async () => {
  expect(await look("access-denied")).toMatchObject({
    needs: [{ who: "the base backup 2", segment: "000000010000000000000003" }],
    doubts: [expect.stringContaining("InvalidObjectState")],
  });
});

test("an outage says nothing of any", async () => {
  expect(await look("unavailable").catch((error: unknown) => error)).toMatchObject({ kind: "unavailable" });
});
