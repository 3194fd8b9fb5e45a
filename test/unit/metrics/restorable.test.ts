import { expect, test } from "bun:test";
import { ownText } from "../../../agent/metrics/own.ts";
import { type RestorableClaim, restorableFamilies } from "../../../agent/metrics/restorable.ts";
import { restorableReasons } from "../../../agent/sdk/restorable.ts";

const row = (given: Partial<RestorableClaim>): RestorableClaim => ({
  cluster: "main",
  source: "barman",
  from: 1000,
  to: 2000.5,
  reason: undefined,
  walOnly: false,
  ...given,
});
const lines = (...rows: RestorableClaim[]) =>
  ownText(restorableFamilies(rows))
    .split("\n")
    .filter((line) => line !== "" && !line.startsWith("#"));

test("one series a cluster and source: 1 without a reason, else 0, and the moments that are known", () => {
  expect(lines(row({}), row({ cluster: 'a"b', source: "walg", to: undefined, reason: "wal_gap" }))).toEqual([
    'holdfast_restorable{cluster="main",source="barman",reason=""} 1',
    'holdfast_restorable{cluster="a\\"b",source="walg",reason="wal_gap"} 0',
    'holdfast_restorable_from_timestamp_seconds{cluster="main",source="barman"} 1000',
    'holdfast_restorable_from_timestamp_seconds{cluster="a\\"b",source="walg"} 1000',
    'holdfast_restorable_to_timestamp_seconds{cluster="main",source="barman"} 2000.5',
  ]);
});

test("WAL without a base backup has no series, and one cluster of a source no second one", () => {
  expect(lines(row({ walOnly: true, reason: "stale" }))).toEqual([]);
  expect(lines(row({}), row({}))).toHaveLength(3);
  // Whichever comes last, what cannot be counted on is not hidden.
  const bad = 'holdfast_restorable{cluster="main",source="barman",reason="no_backup"} 0';
  expect(lines(row({ reason: "no_backup" }), row({}))[0]).toBe(bad);
  expect(lines(row({}), row({ reason: "no_backup" }))[0]).toBe(bad);
  expect(lines(row({ reason: "no_backup" }), row({ walOnly: true }))[0]).toBe(bad);
});

test("docs/http.md and docs/plugins.md have every reason", async () => {
  const read = (name: string) => Bun.file(new URL(`../../../docs/${name}`, import.meta.url)).text();
  const [, section = ""] = (await read("http.md")).split("\n| reason | |\n");
  const documented = [...(section.split("\n\n")[0] ?? "").matchAll(/^\| `([a-z_]+)` \|/gm)].map(([, reason]) => reason);
  expect(documented).toEqual([...restorableReasons]);
  const inContract = /^\| `reason` \| Why one cannot count on it: (.*?)\. None/m.exec(await read("plugins.md"))?.[1];
  expect(inContract?.match(/[a-z_]+(?=`)/g)).toEqual([...restorableReasons]);
});
