/** Objects that S3 does not give out, as they were moved to Glacier: they are in nobody's way. */
import { expect, test } from "bun:test";
import { join } from "node:path";
import { openWalArchive } from "../../../../plugins/common/wal-archive/open.ts";
import { archiveSettings } from "../../../../plugins/common/wal-archive/settings.ts";
import { verifyArchive } from "../../../../plugins/common/wal-archive/verify.ts";
import { createFolder } from "../../../harness/folders.ts";
import { failure, startS3Server } from "../../../harness/s3/server.ts";
import { s3Settings } from "../../storage/storages.ts";
import { range, startArchiver, uploaded } from "./archiver-under-test.ts";
import { nameOf, writeSegments } from "./places.ts";

test("those that cannot be compared with the files here hold up no other file", async () => {
  await using server = startS3Server();
  const section = { storage: { ...s3Settings(server), attempts: 1 } };
  await using first = await startArchiver(section);
  await writeSegments(first.directory, [1, 2]);
  first.run();
  await first.until("both", () => uploaded(first.archiver) === 2);
  server.intercept = (request, key) =>
    request.method === "GET" && /0000000[12]$/.test(key) ? failure(request, 403, "InvalidObjectState") : undefined;
  // Nothing is left of what was known here.
  await using second = await startArchiver(section);
  await writeSegments(second.directory, range(1, 5));
  second.run();
  await second.until("the others", () => uploaded(second.archiver) === 2);
  await second.until("two problems", () => second.archiver.problems.length === 2);
  expect(second.archiver.problems).toMatchObject([{ reason: "damaged" }, { reason: "damaged" }]);
  expect(second.archiver.problems[0]?.message).toContain("InvalidObjectState");
  expect(second.archiver.uploader?.nextAttemptAt).toBeUndefined();
});

test("verification names those that it could not read, and looks at all others", async () => {
  await using server = startS3Server();
  await using folder = await createFolder("holdfast-colder");
  await using archive = await openWalArchive(
    archiveSettings.parse({ storage: { ...s3Settings(server), attempts: 1 } }),
    {
      environment: {},
    },
  );
  for (const name of await writeSegments(folder.path, range(1, 6))) await archive.put(name, join(folder.path, name));
  await archive.storage.delete([`wal-archive/${nameOf(4)}`]);
  server.intercept = (request, key) =>
    request.method === "GET" && key.endsWith(nameOf(1)) ? failure(request, 403, "InvalidObjectState") : undefined;
  const verify = () => verifyArchive(archive, { depth: "all", signal: new AbortController().signal });
  expect(await verify()).toMatchObject({
    isWhole: false,
    gaps: [{ first: nameOf(4), last: nameOf(4) }],
    damaged: [{ objectName: `wal-archive/${nameOf(1)}`, message: expect.stringContaining("InvalidObjectState") }],
  });
  // A key that may read nothing says nothing of the objects, and is not tried on all of them.
  for (const name of await writeSegments(folder.path, range(6, 41))) await archive.put(name, join(folder.path, name));
  let asked = 0;
  server.intercept = (request, key) => {
    if (request.method !== "GET" || !key.includes("wal-archive/0")) return undefined;
    asked++;
    return failure(request, 403, "AccessDenied");
  };
  expect(await verify().catch((error: unknown) => error)).toMatchObject({ kind: "access-denied" });
  expect(asked).toBeLessThan(20);
});
