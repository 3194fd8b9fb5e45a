/**
 * The WAL receiver beside `pg_receivewal --synchronous`, on one server and in one run: commit latency with either as the
 * only synchronous standby, catching up, CPU and memory; and what a busy scraper and a hung plugin change.
 * Run on a machine that does nothing else: `bun scripts/bench/pgrwl.ts [rounds] [seconds]`. Needs Debian's PostgreSQL.
 */
import { readFileSync } from "node:fs";
import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { startAgent } from "../../test/harness/agent.ts";
import { createFolder } from "../../test/harness/folders.ts";
import { initPgbench } from "../../test/harness/pgbench.ts";
import { type PostgresServer, startPostgres } from "../../test/harness/postgres.ts";
import { startReceivewal } from "../../test/harness/receivewal.ts";
import { waitFor } from "../../test/harness/wait.ts";
import { createSlot, currentLsn, haveFlushed, isStreaming } from "../../test/harness/wal-receiver.ts";
import { type Commits, measureCommits, setSynchronous } from "./lib/commits.ts";
import { load } from "./lib/load.ts";
import { median } from "./lib/turns.ts";

const rounds = Number(process.argv[2] ?? 5);
const seconds = Number(process.argv[3] ?? 5);
const catchUpMiB = 2304;
const contenders = ["pg_receivewal", "holdfast"] as const;
type Contender = (typeof contenders)[number];

interface Running extends AsyncDisposable {
  readonly pid: number;
  readonly url?: string;
}

await using folder = await createFolder("holdfast-bench");
await using server = await startPostgres({
  fsync: "on",
  shared_buffers: "256MB",
  max_wal_size: "16GB",
  checkpoint_timeout: "1h",
  max_connections: "50",
});
await initPgbench(server, 10);

let number = 0;

/** Starts a receiver on a slot and a folder of its own. */
async function start(contender: Contender, plugins = ""): Promise<Running> {
  number += 1;
  const slot = `bench_${number}`;
  const directory = join(folder.path, slot);
  await mkdir(directory);
  await createSlot(server, slot);
  await using cleanup = new AsyncDisposableStack();
  cleanup.defer(async () => {
    await server.psql(`SELECT pg_drop_replication_slot('${slot}')`);
    await rm(directory, { recursive: true });
  });
  if (contender === "pg_receivewal") {
    const { pid } = cleanup.use(await startReceivewal(server, { slot, directory }));
    const owned = cleanup.move();
    return { pid, [Symbol.asyncDispose]: () => owned.disposeAsync() };
  }
  const config = { directory, slot, postgres: `host=127.0.0.1 port=${server.port} user=postgres sslmode=disable` };
  const { pid, url } = cleanup.use(
    await startAgent(`plugins:\n  wal: { plugin: pgrwl, config: ${JSON.stringify(config)} }\n${plugins}`, {
      files: hungPlugin,
    }),
  );
  await waitFor("holdfast to stream", () => isStreaming(server, { applicationName: slot }), 300_000);
  const owned = cleanup.move();
  return { pid, url, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

const hungPlugin = {
  "plugins/hung.ts": `import { definePlugin, z } from "holdfast";
export default definePlugin({
  name: "hung", description: "Never ends", config: z.strictObject({}),
  setup: () => ({ collect: () => new Promise<void>(() => {}) }),
});
`,
};

/** Commits wait for whichever receiver is the only one that streams. */
async function commitsWith(contender: Contender, clients: number, plugins = "", scraped = false): Promise<Commits> {
  await using running = await start(contender, plugins);
  const lsn = await currentLsn(server);
  const known = [{ applicationName: `bench_${number}` }];
  await waitFor("the receiver to be level", () => haveFlushed(server, lsn, known), 60_000);
  await setSynchronous(server, `bench_${number}`);
  try {
    const scraping = scraped ? load(`${running.url}/metrics`, { seconds, clients: 1, pauseMs: 10 }) : undefined;
    const commits = await measureCommits(server, clients, seconds);
    await scraping;
    return commits;
  } finally {
    await setSynchronous(server, "");
  }
}

interface CaughtUp {
  readonly mibPerSecond: number;
  readonly cpuPerGib: number;
  readonly peakMiB: number;
}

async function catchUp(contender: Contender, mib: number): Promise<CaughtUp> {
  const began = performance.now();
  await using running = await start(contender);
  const lsn = await currentLsn(server);
  const known = [{ applicationName: `bench_${number}` }];
  await waitFor("the receiver to catch up", () => haveFlushed(server, lsn, known), 300_000);
  const elapsed = (performance.now() - began) / 1000;
  const cpu = cpuSeconds(running.pid);
  return { mibPerSecond: mib / elapsed, cpuPerGib: cpu / (mib / 1024), peakMiB: peakMiB(running.pid) };
}

function cpuSeconds(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]?.split(" ") ?? [];
  return (Number(fields[11]) + Number(fields[12])) / 100;
}
function peakMiB(pid: number): number {
  return Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]) / 1024;
}

const say = (line: string) => process.stdout.write(`${line}\n`);

async function compareCommits(clients: number): Promise<void> {
  const found: Record<Contender, Commits[]> = { pg_receivewal: [], holdfast: [] };
  for (let round = 0; round < rounds; round++) {
    // Whoever comes second finds a warmer server.
    for (const contender of round % 2 ? contenders.toReversed() : contenders)
      found[contender].push(await commitsWith(contender, clients));
  }
  const [theirs, ours] = contenders.map((one) => median(found[one].map(({ latencyMs }) => latencyMs)));
  const [theirRate, ourRate] = contenders.map((one) => median(found[one].map(({ perSecond }) => perSecond)));
  say(
    `commits, ${String(clients).padStart(2)} clients   pg_receivewal ${theirs?.toFixed(3)} ms ${theirRate?.toFixed(0)}/s` +
      `   holdfast ${ours?.toFixed(3)} ms ${ourRate?.toFixed(0)}/s   latency ratio ${((ours ?? 0) / (theirs ?? 1)).toFixed(2)} (at most 1.10)`,
  );
}

for (const clients of [1, 8, 32]) await compareCommits(clients);

const hung = "plugin_dir: plugins\n";
const beside: number[] = [];
const alone: number[] = [];
for (let round = 0; round < rounds; round++) {
  alone.push((await commitsWith("holdfast", 8)).latencyMs);
  beside.push((await commitsWith("holdfast", 8, `  hung: { interval: 1s, config: {} }\n${hung}`, true)).latencyMs);
}
say(
  `beside a scraper and a hung plugin, 8 clients   ${median(alone).toFixed(3)} ms alone, ${median(beside).toFixed(3)} ms` +
    `   ratio ${(median(beside) / median(alone)).toFixed(2)} (at most 1.10)`,
);

/** WAL that both receive from its beginning: a new slot begins at the checkpoint before it. */
async function writeWal(target: PostgresServer, mib: number): Promise<void> {
  await target.psql("CHECKPOINT; CREATE TABLE bulk (text text)");
  for (let done = 0; done < mib; done += 128)
    await target.psql("INSERT INTO bulk SELECT repeat(md5(i::text), 30) FROM generate_series(1, 118000) i");
  await target.psql("SELECT pg_switch_wal()");
}
const before = await currentLsn(server);
await writeWal(server, catchUpMiB);
const written = Number(
  await server.psql(`SELECT pg_wal_lsn_diff('${await currentLsn(server)}', '${before}') / 1048576`),
);
const found: Record<Contender, CaughtUp[]> = { pg_receivewal: [], holdfast: [] };
for (let round = 0; round < Math.min(rounds, 3); round++)
  for (const contender of round % 2 ? contenders.toReversed() : contenders)
    found[contender].push(await catchUp(contender, written));
const of = (contender: Contender, field: keyof CaughtUp) => median(found[contender].map((one) => one[field]));
const ratio = (field: keyof CaughtUp) => (of("holdfast", field) / of("pg_receivewal", field)).toFixed(2);
say(
  `catching up, ${written.toFixed(0)} MiB   pg_receivewal ${of("pg_receivewal", "mibPerSecond").toFixed(0)} MiB/s   ` +
    `holdfast ${of("holdfast", "mibPerSecond").toFixed(0)} MiB/s   ratio ${ratio("mibPerSecond")} (at least 1.5)`,
);
say(
  `CPU for each GiB   pg_receivewal ${of("pg_receivewal", "cpuPerGib").toFixed(2)} s   holdfast ${of("holdfast", "cpuPerGib").toFixed(2)} s   ratio ${ratio("cpuPerGib")}`,
);
say(
  `peak memory   pg_receivewal ${of("pg_receivewal", "peakMiB").toFixed(0)} MiB   holdfast, the whole agent ${Math.max(...found.holdfast.map((one) => one.peakMiB)).toFixed(0)} MiB (below 120)`,
);
