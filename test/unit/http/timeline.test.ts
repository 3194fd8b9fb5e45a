import { expect, test } from "bun:test";
import fc from "fast-check";
import { statusPage } from "../../../agent/http/status-page.ts";
import { timeScale } from "../../../agent/http/time-scale.ts";
import { timeline } from "../../../agent/http/timeline.ts";
import { restorableReasons } from "../../../agent/sdk/restorable.ts";
import type { RestorableRow } from "../../../agent/system/status.ts";
import { instance, now, status } from "./statuses.ts";

const nowSeconds = now / 1000;
const day = 86_400;

function row(given: Partial<RestorableRow>): RestorableRow {
  return {
    cluster: "main",
    source: "barman",
    from: nowSeconds - 10 * day,
    to: nowSeconds - 60,
    reason: undefined,
    detail: undefined,
    walOnly: false,
    ...given,
  };
}
const drawn = (...rows: RestorableRow[]) => String(timeline(rows, now));
/** Numbers in percent of an attribute, in order. */
const percents = (text: string, name: string) =>
  [...text.matchAll(new RegExp(` ${name}="([^"]*)%"`, "g"))].map(([, value]) => Number(value));

test("the timeline stands before the instances, and says in words what it draws", () => {
  const page = statusPage(
    { ...status, instances: [instance({ restorable: [row({})] })] },
    { now, hostname: "", notices: [] },
  );
  expect(page.indexOf("Can I restore, and to when?")).toBeGreaterThan(0);
  expect(page.indexOf("Can I restore, and to when?")).toBeLessThan(page.indexOf("<h2>Instances</h2>"));
  expect(page).toContain("Yes. It can be restored, to 1 min ago.");
  expect(page).toContain("<title>main by barman: restorable; from 2026-11-11 08:30 to 2026-11-21 08:29 UTC</title>");
  expect(page).toContain("<title>holdfast</title>");
});

test("a bar reaches from the first moment to the last, and a dotted line from there to now", () => {
  const text = drawn(row({ to: nowSeconds - 5 * day }));
  const [bar = 0] = percents(text, "width");
  const scale = timeScale([nowSeconds - 10 * day], nowSeconds);
  expect(bar).toBeCloseTo(scale.now - scale.position(nowSeconds - 5 * day), 1);
  expect(text).toContain('<svg role="img" class="row ok">');
  expect(percents(text, "x2")).toContain(Math.round(scale.now * 1000) / 1000);
});

test("what cannot be counted on comes first, with its reason as a word, and in the tab's title", () => {
  const rows = [row({}), row({ cluster: "lost", reason: "wal_gap", detail: "3 segments" })];
  const text = drawn(...rows);
  expect(text.indexOf("lost")).toBeLessThan(text.indexOf(">main<"));
  expect(text).toContain('<span aria-hidden="true">▲</span> WAL gap</span>');
  expect(text).toContain("<div>3 segments</div>");
  expect(text).toContain("Not all. 1 of 2 clusters can be restored, to 1 min ago.");
  const page = statusPage(
    { ...status, instances: [instance({ restorable: rows })] },
    { now, hostname: "", notices: [] },
  );
  expect(page).toContain("<title>1 not restorable · holdfast</title>");
});

test("what is told of one cluster by two sources is not counted as two clusters", () => {
  const text = drawn(row({}), row({ source: "walg", reason: "stale" }));
  expect(text).toContain("Not all. 1 of 2 can be restored, to 1 min ago.");
  expect(drawn(row({ reason: "stale" }), row({ source: "walg", reason: "stale" }))).toContain(
    "No. 0 of 2 can be restored.",
  );
});

test("no moment is named for all where one of them tells of none", () => {
  const text = drawn(row({}), row({ cluster: "other", to: undefined }));
  expect(text).toContain("Yes. All 2 can be restored.");
});

test("WAL without a base backup is shown, and nothing is claimed of it", () => {
  const text = drawn(row({ walOnly: true }));
  expect(text).toContain("WAL is there; no base backup is known here.");
  expect(text).toContain('<span aria-hidden="true">◌</span> WAL only</span>');
});

test("there is no timeline where nothing is known to be restorable", () => {
  expect(drawn()).toBe("");
});

test("of very many rows those in trouble are shown, and the rest is counted", () => {
  const rows = Array.from({ length: 500 }, (_, index) => row({ cluster: `c${index}` }));
  const text = drawn(...rows, row({ cluster: "lost", reason: "no_backup" }));
  expect(text.match(/<tbody/g)).toHaveLength(100);
  expect(text).toContain("lost");
  expect(text).toContain("401 more");
});

test.each([
  [3 * 60, ["07:45", "08:00", "08:15"]],
  [day, ["12:00", "18:00", "21 Nov"]],
  [10 * day, ["13 Nov", "15 Nov", "17 Nov", "19 Nov"]],
  [300 * day, ["Mar 2026", "May 2026", "Jul 2026", "Sep 2026"]],
  [5 * 365 * day, ["2022", "2023", "2024", "2025"]],
])("ticks of a span of %d s are at round moments", (seconds, labels) => {
  const found = timeScale([nowSeconds - seconds], nowSeconds).ticks.map(({ label }) => label);
  for (const label of labels) expect(found).toContain(label);
  expect(found.length).toBeLessThanOrEqual(6);
});

const moment = fc.oneof(
  fc.constant(undefined),
  fc.double({ min: 0, max: 253_402_300_799, noNaN: true }),
  fc.integer({ min: -1000, max: 1000 }).map((seconds) => nowSeconds + seconds * 3600),
  fc.double(),
);
const anyRow = fc.record({
  cluster: fc.string({ unit: "binary" }),
  source: fc.string({ unit: "binary" }),
  from: moment,
  to: moment,
  reason: fc.constantFrom(undefined, ...restorableReasons),
  detail: fc.option(fc.string({ unit: "binary" }), { nil: undefined }),
  walOnly: fc.boolean(),
});

test("whatever is told, the drawing has finite numbers within its width, and no negative ones", () => {
  fc.assert(
    fc.property(
      fc.array(anyRow, { minLength: 1, maxLength: 8 }),
      fc.oneof(fc.constant(now), fc.double()),
      (rows, at) => {
        const text = String(timeline(rows, at));
        expect(text).not.toMatch(/ (?:x|x1|x2|y|width|height)="[^"]*(?:NaN|Infinity|undefined|e)[^"]*"/);
        for (const name of ["x", "x1", "x2", "width"]) {
          for (const value of percents(text, name)) {
            expect(value).toBeGreaterThanOrEqual(0);
            expect(value).toBeLessThanOrEqual(100);
          }
        }
        for (const [, x, width] of text.matchAll(/class="bar" x="([^%"]+)%" width="([^%"]+)%"/g)) {
          expect(Number(width)).toBeGreaterThan(0);
          expect(Number(x) + Number(width)).toBeLessThanOrEqual(100.001);
        }
      },
    ),
    { numRuns: 300 },
  );
});

test("texts of plugins stay texts", () => {
  const evil = `<script>alert(1)</script>" onload="x`;
  fc.assert(
    fc.property(fc.string(), (text) => {
      const page = drawn(row({ cluster: evil + text, source: evil, detail: `${evil}${text}`, reason: "damaged" }));
      expect(page).not.toContain("<script>");
      expect(page).not.toMatch(/<[a-z]+[^<>]*\sonload=/);
    }),
    { numRuns: 50 },
  );
});
