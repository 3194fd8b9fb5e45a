/**
 * Collects a storage of 10,000 backups through the plugin and renders its page.
 * Run: `bun scripts/bench/walg.ts [backups]`. Prints one line a figure, with what it must reach.
 */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "bun";
import { toFamilies, toText } from "../../agent/sdk/exposition.ts";
import { InstanceMetrics } from "../../agent/sdk/metrics.ts";
import { createRun } from "../../agent/sdk/run.ts";
import walg from "../../plugins/walg/index.ts";
import { backupListOf } from "./walg-storage.ts";

const backups = Number(process.argv[2] ?? 10_000);
const rounds = 15;
const folder = await mkdtemp(join(tmpdir(), "walg-bench-"));
const command = join(folder, "wal-g");
await writeFile(join(folder, "list.json"), backupListOf(backups));
await writeFile(
  command,
  `#!/bin/sh\ncase $1 in backup-list) exec cat ${folder}/list.json ;; wal-show) echo '[]' ;; wal-verify) exit 1 ;; esac\n`,
  { mode: 0o755 },
);

const stopping = new AbortController();
const metrics = new InstanceMetrics();
const quiet = () => {};
const instance = await walg.setup({
  name: "walg",
  config: walg.config.parse({ path: command, postgres: false, wal_times: { enabled: false } }),
  metrics,
  log: { error: quiet, warn: quiet, info: quiet, debug: quiet },
  run: createRun(stopping.signal),
  signal: stopping.signal,
  publish: async () => {},
  now: Date.now,
});

const { signal } = stopping;
const run = createRun(signal);
/** Resident memory when all is quiet, as between two collections. */
const memory = async () => {
  await Bun.sleep(3000);
  return process.memoryUsage.rss() / 2 ** 20;
};

const commandMs: number[] = [];
const collectMs: number[] = [];
let page = "";
let peak = 0;
await run([command, "backup-list"]);
const memoryBefore = await memory();
for (let round = 0; round < rounds; round++) {
  const before = performance.now();
  await run([command, "backup-list"]);
  commandMs.push(performance.now() - before);

  const begin = performance.now();
  metrics.emptyGauges();
  await instance.collect?.({ signal, run, publish: async () => {} });
  const families = await toFamilies(metrics.all());
  collectMs.push(performance.now() - begin);
  page = toText(families);
  peak = Math.max(peak, process.memoryUsage.rss() / 2 ** 20);
}
const growth = (await memory()) - memoryBefore;

const text = Buffer.from(page);
const packed = gzipSync(text);
const server = Bun.serve({
  port: 0,
  fetch: ({ headers }) =>
    headers.get("accept-encoding")?.includes("gzip")
      ? new Response(packed, { headers: { "Content-Encoding": "gzip" } })
      : new Response(text),
});
/** What a scraper waits for: the bytes, cached by the agent, whole. */
const scrapes = async (encoding: "gzip" | "identity") => {
  const times: number[] = [];
  for (let round = 0; round < 50; round++) {
    const begin = performance.now();
    const response = await fetch(server.url, { decompress: false, headers: { "Accept-Encoding": encoding } });
    await response.arrayBuffer();
    times.push(performance.now() - begin);
  }
  return times;
};
const gzipMs = await scrapes("gzip");
const plainMs = await scrapes("identity");
await server.stop(true);
await instance.stop?.();
stopping.abort();
await rm(folder, { recursive: true });

const median = (values: readonly number[]) =>
  values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
const beyond = median(collectMs) - median(commandMs);
const lines = page.split("\n").length;
process.stdout.write(
  [
    `backups                     ${backups}`,
    `page                        ${lines} lines, ${(text.length / 1e6).toFixed(1)} MB, ${(packed.length / 1e6).toFixed(2)} MB as gzip`,
    `wal-g itself, median        ${median(commandMs).toFixed(0)} ms`,
    `collect beyond it, first    ${((collectMs[0] ?? Number.NaN) - (commandMs[0] ?? Number.NaN)).toFixed(0)} ms`,
    `collect beyond it, median   ${beyond.toFixed(0)} ms   (must stay below 250)`,
    `page over HTTP, gzip        ${median(gzipMs).toFixed(1)} ms   (must stay below 5)`,
    `page over HTTP, plain       ${median(plainMs).toFixed(1)} ms`,
    `memory growth, at rest      ${growth.toFixed(0)} MB   (must stay below 60)`,
    `memory growth, at its peak  ${(peak - memoryBefore).toFixed(0)} MB   (${rounds} collections without a pause)`,
    "",
  ].join("\n"),
);
