/** Objects that S3 does not give out, as they were moved to Glacier: they are in nobody's way. */
import { expect, test } from "bun:test";
import { failure, startS3Server } from "../../../harness/s3/server.ts";
import { s3Settings } from "../../storage/storages.ts";
import { range, startArchiver, uploaded } from "./archiver-under-test.ts";
import { writeSegments } from "./places.ts";

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
  expect(second.archiver.problems).toMatchObject([{ reason: "damaged" }, { reason: "damaged" }]);
  expect(second.archiver.problems[0]?.message).toContain("InvalidObjectState");
  expect(second.archiver.uploader?.nextAttemptAt).toBeUndefined();
});
