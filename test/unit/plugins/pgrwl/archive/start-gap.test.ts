/** What is missing before the beginning, where the archive's end cannot be read. */
import { expect, test } from "bun:test";
import { StorageError } from "../../../../../plugins/common/storage/errors.ts";
import { archivedFile } from "../../../../../plugins/common/wal-archive/archived-file.ts";
import { LocalFiles } from "../../../../../plugins/pgrwl/archive/local-files.ts";
import { findStartGap } from "../../../../../plugins/pgrwl/archive/start-gap.ts";
import { mib, nameOf } from "../../../../integration/pgrwl/archive/places.ts";

const look = (error: Error) => {
  const archive = {
    async *list() {
      for (const number of [1, 2])
        yield* archivedFile({ name: `wal-archive/${nameOf(number)}`, sizeBytes: mib, modified: new Date() });
    },
    read: () => Promise.reject(error),
  };
  const beginning = { timeline: 1, lsn: BigInt(5 * mib), segmentSizeBytes: mib, systemIdentifier: "7" };
  return findStartGap(archive as never, new LocalFiles("/none", ""), beginning, new AbortController().signal);
};

test("WAL that is missing is told of, though S3 does not give out what is before it, moved to Glacier", async () => {
  const refused = new StorageError("access-denied", "Cannot read it: InvalidObjectState");
  expect(await look(refused)).toMatchObject({ missing: { first: nameOf(3), last: nameOf(4) }, foreign: undefined });
  const away = new StorageError("unavailable", "Cannot read it: no connection");
  expect(await look(away).catch((error: unknown) => error)).toBe(away);
});
