import { expect, test } from "bun:test";
import { settings } from "../../../../plugins/walg/settings.ts";

test("without a word the schedules are those of the released exporter", () => {
  const { list, wal, storage, compat, max_output } = settings.parse({});
  expect([list, storage]).toEqual([
    { interval: 60, timeout: 120 },
    { interval: 30, timeout: 10 },
  ]);
  expect(wal).toMatchObject({ interval: 300, timeout: 600 });
  expect({ compat, max_output }).toEqual({ compat: "both", max_output: 2 ** 26 });
});

test.each(["30s", "1h30m", "500ms"])("an interval of %s is taken", (interval) => {
  expect(settings.safeParse({ list: { interval } }).success).toBe(true);
});

test.each(["0s", "-5s", "abc", "", 0])("an interval of %p is refused", (interval) => {
  expect(settings.safeParse({ wal: { interval } }).success).toBe(false);
});

test.each([
  { paht: "wal-g" },
  { wal_segment_size: "3MiB" },
  { wal_segment_size: "2GiB" },
  { compat: "upstream" },
  { ignore_wal_before: "0000000100000000000000" },
  { max_backup_series: -1 },
  { postgres: true },
  { postgres: { hots: "db1" } },
  { postgres: "nonsense" },
  { postgres: "host=db1 port=70000" },
  { postgres: { port: 70_000 } },
  { postgres: { sslmode: "verfy-full" } },
  { wal: { commands: ["wal-list"] } },
])("%j is refused", (config) => {
  expect(settings.safeParse(config).success).toBe(false);
});

test.each([
  { postgres: false },
  { postgres: "service=main" },
  { postgres: { host: "/run/postgresql", port: 5433 } },
  { wal_segment_size: "64MiB" },
])("%j is taken", (config) => {
  expect(settings.safeParse(config).success).toBe(true);
});
