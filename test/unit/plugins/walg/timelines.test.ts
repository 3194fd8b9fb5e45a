import { expect, test } from "bun:test";
import { parseTimelines, runNumbers } from "../../../../plugins/walg/timelines.ts";
import { fixture } from "../../../harness/walg-stand-in.ts";

test("the timelines of a storage are read with parents, switch points and missing runs", async () => {
  expect(parseTimelines(await fixture("f1/wal-show.json"))).toEqual([
    {
      id: 1,
      parent: undefined,
      switchLsn: undefined,
      startSegment: "000000010000000000000002",
      endSegment: "000000010000000000000040",
      missing: [{ log: 0, first: 0x0e, last: 0x0f }],
      whole: false,
    },
    {
      id: 2,
      parent: 1,
      switchLsn: 1_073_744_384n,
      startSegment: "000000020000000000000040",
      endSegment: "000000020000000000000051",
      missing: [],
      whole: true,
    },
  ]);
});

test("an empty WAL folder has no timelines", () => {
  expect(parseTimelines("[]")).toEqual([]);
});

test("the object that the exporter's README shows gives verdicts", () => {
  const mock =
    '{"integrity":{"status":"OK","details":[{"timeline_id":1,"status":"FOUND"},{"timeline_id":2,"status":"FOUND"},{"timeline_id":2,"status":"MISSING_LOST"}]}}\n';
  expect(parseTimelines(mock).map(({ id, whole }) => [id, whole])).toEqual([
    [1, true],
    [2, false],
  ]);
});

test("a record without an id is passed over, a switch point above 2^53 is kept", () => {
  const json =
    '[{"status":"OK"},{"id":3,"parent_id":2,"switch_point_lsn":18446744073709551615,"missing_segments":null,"status":"OK"}]';
  expect(parseTimelines(json)).toMatchObject([{ id: 3, switchLsn: 2n ** 64n - 1n, missing: [] }]);
});

test.each(["", "null", "{}", "[5]", '[{"backup_name":"base_x"}]', '{"timeline":{}}'])(
  "%j is no answer of wal-show",
  (output) => {
    expect(() => parseTimelines(output)).toThrow(SyntaxError);
  },
);

test("runs join in either order, not across logs, and count by segment size", () => {
  const name = (log: string, segment: string) => `"00000001000000${log}000000${segment}"`;
  const names = [name("01", "01"), name("01", "00"), name("00", "FF"), name("00", "F0"), name("00", "F1")].join(",");
  const [timeline] = parseTimelines(`[{"id":1,"missing_segments":[${names}],"status":"LOST_SEGMENTS"}]`);
  expect(timeline?.missing).toEqual([
    { log: 1, first: 0, last: 1 },
    { log: 0, first: 255, last: 255 },
    { log: 0, first: 240, last: 241 },
  ]);
  expect(runNumbers({ log: 1, first: 0, last: 1 }, 16 * 2 ** 20)).toEqual({ first: 256, last: 257 });
  expect(runNumbers({ log: 1, first: 0, last: 1 }, 64 * 2 ** 20)).toEqual({ first: 64, last: 65 });
});

test("50 MB of missing segments become a few thousand runs", () => {
  const names: string[] = [];
  for (let number = 1_850_000; number > 0; number--) {
    names.push(
      `"00000001${(number >> 8).toString(16).toUpperCase().padStart(8, "0")}${(number & 255).toString(16).toUpperCase().padStart(8, "0")}"`,
    );
  }
  const document = `[{"id":1,"start_segment":"000000010000000000000001","end_segment":"0000000100002000000000FF","missing_segments":[${names.join(",")}],"status":"LOST_SEGMENTS"}]`;
  expect(document.length).toBeGreaterThan(49_000_000);
  const [timeline] = parseTimelines(document);
  expect(timeline?.missing.length).toBeLessThan(8_000);
  expect(timeline?.missing.reduce((sum, { first, last }) => sum + last - first + 1, 0)).toBe(1_850_000);
});
