/**
 * What a collection of the barman plugin costs: 50 servers with 100 backups each, served by a stand-in `barman` without the
 * real command's own time. Prints the processes that a first and a second collection start, the time to parse
 * the list of backups, and how many processes the reference exporter starts for each of ours.
 * Exit status 1 when a bound is broken. `scripts/bench/barman.ts [SERVERS] [BACKUPS]`
 */
import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { testPlugin } from "holdfast";
import { parseBackups } from "../../plugins/barman/backups.ts";
import barman from "../../plugins/barman/index.ts";
import { type GeneratedCatalogue, generateCatalogue } from "../../test/harness/barman-replay-catalogue.ts";

const parseLimitMs = 100;
const [servers = 50, backups = 100] = process.argv.slice(2).map(Number);

const folder = await mkdtemp(join(tmpdir(), "barman-bench-"));
try {
  process.exitCode = (await bench(generateCatalogue({ servers, backups }), folder)) ? 0 : 1;
} finally {
  await rm(folder, { recursive: true, force: true });
}

async function bench(catalogue: GeneratedCatalogue, directory: string): Promise<boolean> {
  const log = join(directory, "starts");
  const path = await writeStandIn(catalogue, directory, log);
  const plugin = await testPlugin(barman, { config: { path }, now: () => catalogue.now });
  const first = await timed(() => plugin.collect());
  const startedFirst = await countLines(log);
  const second = await timed(() => plugin.collect());
  const startedSecond = (await countLines(log)) - startedFirst;
  await plugin.stop();

  const list = catalogue.answer("list-backups all");
  const parseMs: number[] = [];
  for (let run = 0; run < 9; run += 1) parseMs.push((await timed(() => parseBackups(list))).ms);
  const median = parseMs.sort((a, b) => a - b)[4] ?? Number.POSITIVE_INFINITY;
  const reference = 5 + 6 * (servers + 1);
  const isGood = startedFirst <= 2 + servers && startedSecond <= 2 && median < parseLimitMs;
  process.stdout.write(
    [
      `servers ${servers}, backups of each ${backups}, list-backups ${(list.length / 1e6).toFixed(2)} MB, series ${
        first.value.split("\n").filter((line) => line !== "" && !line.startsWith("#")).length
      }`,
      `first collection: ${startedFirst} processes (at most ${2 + servers}), ${first.ms.toFixed(0)} ms`,
      `second collection: ${startedSecond} processes (at most 2), ${second.ms.toFixed(0)} ms`,
      `parsing list-backups: ${median.toFixed(1)} ms (under ${parseLimitMs}), ${(parseLimitMs / median).toFixed(1)} times faster than asked`,
      `reference exporter: ${reference} processes each time, ${(reference / startedFirst).toFixed(1)} times ours at first, ${(
        reference / startedSecond
      ).toFixed(1)} times ours later`,
      isGood ? "all bounds hold" : "A BOUND IS BROKEN",
      "",
    ].join("\n"),
  );
  return isGood;
}

/** A shell script that logs its start and prints a file. */
async function writeStandIn(catalogue: GeneratedCatalogue, directory: string, log: string): Promise<string> {
  const answers = join(directory, "answers");
  await mkdir(answers);
  const write = (name: string, line: string) => writeFile(join(answers, name), catalogue.answer(line));
  await write("list-backups.all", "list-backups all");
  await write("check.all", "check all");
  for (const server of catalogue.servers) {
    await write(`show-backup.${server}`, `show-backup ${server} ${catalogue.newestId(server)}`);
  }
  const path = join(directory, "barman");
  await writeFile(path, `#!/bin/sh\necho "$*" >> '${log}'\nexec cat "${answers}/$3.$4"\n`);
  await chmod(path, 0o755);
  return path;
}

async function countLines(file: string): Promise<number> {
  return (await readFile(file, "utf8")).split("\n").length - 1;
}

async function timed<T>(work: () => T | Promise<T>): Promise<{ readonly value: T; readonly ms: number }> {
  const begin = performance.now();
  const value = await work();
  return { value, ms: performance.now() - begin };
}
