import { expect, test } from "bun:test";
import { parseVerification } from "../../../../plugins/walg/verification.ts";
import { fixture } from "../../../harness/walg-stand-in.ts";

test("verdicts, ranges and timelines are read", async () => {
  const verification = parseVerification(await fixture("f1/wal-verify.json"));
  expect(verification).toMatchObject({
    integrity: "WARNING",
    timeline: "OK",
    currentTimeline: 2,
    highestStoredTimeline: 2,
  });
  expect(verification.ranges.map(({ timeline, segments, status }) => [timeline, segments, status])).toEqual([
    [1, 48, "FOUND"],
    [2, 18, "FOUND"],
    [2, 2, "MISSING_UPLOADING"],
  ]);
});

test("nothing scanned is no error", () => {
  const output =
    '{"integrity":{"status":"OK","details":null},"timeline":{"status":"WARNING","details":{"current_timeline_id":1,"highest_storage_timeline_id":0}}}';
  expect(parseVerification(output)).toEqual({
    integrity: "OK",
    timeline: "WARNING",
    ranges: [],
    currentTimeline: 1,
    highestStoredTimeline: undefined,
  });
});

test("a check that is missing, and a word that is new, are unknown", () => {
  expect(parseVerification('{"integrity":{"status":"FOO","details":[5,{"status":"FOUND"}]}}')).toEqual({
    integrity: "unknown",
    timeline: "unknown",
    ranges: [],
    currentTimeline: undefined,
    highestStoredTimeline: undefined,
  });
});

test.each(["", "{}", "[]", "null", '{"storage_status":"OK","integrity_scan_result":[]}'])(
  "%j is no answer of wal-verify",
  (output) => {
    expect(() => parseVerification(output)).toThrow(SyntaxError);
  },
);
