/** What is missing before the beginning, where the archive's end cannot be read. */
import { expect, test } from "bun:test";
import { StorageError } from "../../../../../plugins/common/storage/errors.ts";
import { WalArchive } from "../../../../../plugins/common/wal-archive/archive.ts";
import { LocalFiles } from "../../../../../plugins/pgrwl/archive/local-files.ts";
import { findStartGap } from "../../../../../plugins/pgrwl/archive/start-gap.ts";
import { mib, nameOf } from "../../../../integration/pgrwl/archive/places.ts";

const look = (error: Error) => {
  const storage = {
    description: "s3://wal",
    async *list(folder: string) {
      if (folder !== "wal-archive") return;
      for (const number of [1, 2])
        yield { name: `wal-archive/${nameOf(number)}`, sizeBytes: mib, modified: new Date() };
    },
    get: () => Promise.reject(error),
  };
  const archive = new WalArchive({ storage: storage as never, codec: { compression: "none" } });
  const beginning = { timeline: 1, lsn: BigInt(5 * mib), segmentSizeBytes: mib, systemIdentifier: "7" };
  return findStartGap(archive, new LocalFiles("/none", ""), beginning, new AbortController().signal);
};

test("WAL that is missing is told of, though S3 does not give out what is before it, moved to Glacier", async () => {
  const refused = new StorageError("access-denied", "Cannot read it: InvalidObjectState");
  expect(await look(refused)).toMatchObject({ missing: { first: nameOf(3), last: nameOf(4) }, foreign: undefined });
  const away = new StorageError("unavailable", "Cannot read it: no connection");
  expect(await look(away).catch((error: unknown) => error)).toBe(away);
});
