import { expect, test } from "bun:test";
import { testPlugin } from "holdfast";
import { parseBackups } from "../../../../plugins/barman/backups.ts";
import barman from "../../../../plugins/barman/index.ts";
import { replayRun } from "../../../harness/barman-replay.ts";
import { generateCatalogue } from "../../../harness/barman-replay-catalogue.ts";
import { readPage } from "./page.ts";

test("50 servers with 100 backups: 2 + 50 processes first, 2 after that, one for each new backup", async () => {
  const catalogue = generateCatalogue({ servers: 50, backups: 100 });
  let now = catalogue.now;
  let answers = catalogue;
  const run = replayRun(
    () => ({}),
    (line) => ({ stdout: answers.answer(line) }),
  );
  const plugin = await testPlugin(barman, { run, now: () => now });
  const page = readPage(await plugin.collect());
  expect(run.calls).toHaveLength(52);
  expect(Object.keys(page.of("barman_backup_size"))).toHaveLength(50 * 99);
  expect(Object.keys(page.of("barman_last_backup_copy_time"))).toHaveLength(50);
  for (let round = 0; round < 3; round += 1) {
    run.calls.length = 0;
    now += 60_000;
    await plugin.collect();
    expect(run.calls).toEqual(["list-backups all", "check all"]);
  }
  answers = generateCatalogue({ servers: 50, backups: 100, withNewBackupOf: 3 });
  run.calls.length = 0;
  await plugin.collect();
  expect(run.calls.filter((line) => line.startsWith("show-backup"))).toHaveLength(3);
});

test("the list of 50 servers with 100 backups is parsed in under 100 ms", () => {
  const stdout = generateCatalogue({ servers: 50, backups: 100 }).answer("list-backups all");
  const times = Array.from({ length: 5 }, () => {
    const begin = performance.now();
    parseBackups(stdout);
    return performance.now() - begin;
  });
  expect(Math.min(...times)).toBeLessThan(100);
});

test("WAL figures are renewed a few at a time, within wal_ttl", async () => {
  let wal = 0;
  const catalogue = () => generateCatalogue({ servers: 50, backups: 2, newestWalBytes: wal });
  let now = catalogue().now;
  const run = replayRun(
    () => ({}),
    (line) => ({ stdout: catalogue().answer(line) }),
  );
  const plugin = await testPlugin(barman, { run, now: () => now });
  await plugin.collect();
  const shows: number[] = [];
  for (let round = 0; round < 120; round += 1) {
    wal += 16 * 2 ** 20;
    now += 60_000;
    run.calls.length = 0;
    await plugin.collect();
    shows.push(run.calls.length - 2);
  }
  expect(Math.max(...shows)).toBe(1);
  expect(shows.reduce((sum, count) => sum + count)).toBeGreaterThanOrEqual(50);
});
