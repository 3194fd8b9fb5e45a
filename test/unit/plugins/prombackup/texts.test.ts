import { expect, test } from "bun:test";
import fc from "fast-check";
import { isDownloadName, isExactName, snapshotTime } from "../../../../plugins/common/tsdb/snapshot-name.ts";
import { parseRange } from "../../../../plugins/prombackup/byte-range.ts";
import {
  durationError,
  goJson,
  goQuote,
  parseGoBool,
  parseGoDuration,
} from "../../../../plugins/prombackup/go-text.ts";
import { endpoint } from "../../../../plugins/prombackup/prometheus.ts";

test.each([
  ["1h30m0s", 5_400_000],
  ["1.5h", 5_400_000],
  ["100ms", 100],
  ["1µs", 0.001],
  ["0", 0],
  ["-1h", -3_600_000],
  ["+2m", 120_000],
  [".5s", 500],
  ["1d", 86_400_000],
  ["2w", 1_209_600_000],
])("parseGoDuration(%j) is %d ms", (text, milliseconds) => {
  expect(parseGoDuration(text)).toBeCloseTo(milliseconds, 6);
});

test.each([
  ["", 'time: invalid duration ""'],
  ["h", 'time: invalid duration "h"'],
  ["1", 'time: missing unit in duration "1"'],
  ["1x", 'time: unknown unit "x" in duration "1x"'],
  ["1h2y", 'time: unknown unit "y" in duration "1h2y"'],
  ["9999999h", 'time: invalid duration "9999999h"'],
])("%j is no duration: %s", (text, message) => {
  expect(parseGoDuration(text)).toBeUndefined();
  expect(durationError(text)).toBe(message);
});

test("goQuote() and goJson() escape as Go does", () => {
  expect(goQuote('a"\\\n\x01ſ\u{e000}\u{1f600}')).toBe('"a\\"\\\\\\n\\x01ſ\\ue000\u{1f600}"');
  expect(goJson({ a: "<&>" })).toBe('{\n  "a": "\\u003c\\u0026\\u003e"\n}\n');
  expect(parseGoBool("TRUE")).toBe(true);
  expect(parseGoBool("constructor")).toBeUndefined();
});

test.each([
  ["20261121T070602Z-2039575512e21d2c", Date.UTC(2026, 10, 21, 7, 6, 2), true],
  ["20261121T070602+0200-2039575512e21d2c", Date.UTC(2026, 10, 21, 5, 6, 2), false],
  ["20261121T070602.5Z-x", Date.UTC(2026, 10, 21, 7, 6, 2), false],
  ["20261301T070602Z-2039575512e21d2c", undefined, false],
  ["20260229T070602Z-2039575512e21d2c", undefined, false],
  ["20261121t070602z-2039575512e21d2c", undefined, false],
  ["20261121T070602Z", undefined, false],
  ["lost+found", undefined, false],
  ["20261121T070602Z-we ird.name", Date.UTC(2026, 10, 21, 7, 6, 2), false],
])("the time of %j", (name, time, isExact) => {
  expect(snapshotTime(name)).toBe(time);
  expect(isExactName(name)).toBe(isExact);
});

test("no name that may be downloaded leads out of a folder", () => {
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.stringMatching(/^[\w.\-/%\n\0]*$/)), (name) => {
      return !isDownloadName(name) || /^[0-9A-Za-z]+-[0-9A-Za-z]+$/.test(name);
    }),
  );
  expect(isDownloadName("a-b\n")).toBe(false);
});

test.each([
  ["bytes=0-0", { from: 0, to: 1 }],
  ["bytes=5-", { from: 5, to: 100 }],
  ["bytes=90-500", { from: 90, to: 100 }],
  ["bytes=-30", { from: 70, to: 100 }],
  ["bytes=-500", { from: 0, to: 100 }],
  ["bytes=100-", "unsatisfiable"],
  ["bytes=-0", "unsatisfiable"],
  ["bytes=5-4", undefined],
  ["bytes=0-1,5-6", undefined],
  ["lines=1-2", undefined],
  [null, undefined],
] as const)("parseRange(%j) of 100 bytes", (header, range) => {
  expect(parseRange(header, 100)).toEqual(range as never);
});

test.each([
  ["http://:9090", "http://localhost:9090/", undefined],
  ["http://u:p@:9090", "http://localhost:9090/", `Basic ${btoa("u:p")}`],
  ["http://h:1/prefix//", "http://h:1/prefix/", undefined],
  ["http://[::1]:9090", "http://[::1]:9090/", undefined],
  ["http://u:p%40@h/", "http://h/", `Basic ${btoa("u:p@")}`],
])("endpoint(%j)", (text, href, authorization) => {
  const found = endpoint(text);
  expect([found.url.href, found.authorization]).toEqual([href, authorization]);
});
