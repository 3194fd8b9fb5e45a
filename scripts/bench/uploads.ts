/**
 * What uploading a backlog at full speed costs synchronous commits: one receiving agent as the only synchronous standby, with nothing to
 * upload and with hundreds of segments that wait, in turns on one server. An archive in memory
 * stands for one elsewhere. One on the disk of receiver and server is the worst case: their writes and syncs compete.
 * `bun scripts/bench/uploads.ts [--quick] [ROUNDS] [SECONDS]`, about 3 minutes; quick: 1. Needs Debian's PostgreSQL and dist/holdfast.
 */
import { mkdir, mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Agent, startAgent } from "../../test/harness/agent.ts";
import { createFolder } from "../../test/harness/folders.ts";
import { initPgbench } from "../../test/harness/pgbench.ts";
import { startPostgres } from "../../test/harness/postgres.ts";
import { waitFor } from "../../test/harness/wait.ts";
import { createSlot, currentLsn, haveFlushed, isStreaming } from "../../test/harness/wal-receiver.ts";
import { type Commits, measureCommits, setSynchronous } from "./lib/commits.ts";
import { print } from "./lib/load.ts";
import { benchArguments, inTurns, loadText, median } from "./lib/turns.ts";

const { quick, numbers } = benchArguments();
const [rounds = quick ? 3 : 5, seconds = quick ? 3 : 4] = numbers;
const clients = 8;
const backlogMiB = 2048;
const slot = "bench";
/** Memory stands for a storage elsewhere, one that takes whatever it is given. */
const [sameDisk, memory] = [tmpdir(), "/dev/shm"];
const archives = {
  "none, same disk": [sameDisk, {}],
  "same, 32MiB/s": [sameDisk, { max_rate: "32MiB" }],
  "zstd, same disk": [sameDisk, { compression: "zstd" }],
  none: [memory, {}],
  zstd: [memory, { compression: "zstd" }],
  "zstd, 32MiB/s": [memory, { compression: "zstd", max_rate: "32MiB" }],
  "gzip, encrypted": [memory, { compression: "gzip", encryption: { passphrase: "a passphrase" } }],
} satisfies Record<string, readonly [string, object]>;

interface Run extends Commits {
  /** While commits were measured. */
  readonly uploadedMiBPerSecond: number;
  /** Segments that waited still at the end. */
  readonly left: number;
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
await createSlot(server, slot);
const directory = join(folder.path, "wal");
await mkdir(directory);
await server.psql("CREATE TABLE bulk (text text)");
for (let written = 0; written < backlogMiB; written += 128)
  await server.psql("INSERT INTO bulk SELECT repeat(md5(i::text), 30) FROM generate_series(1, 118000) i");
await server.psql("TRUNCATE bulk; CHECKPOINT");
// What was written is received once, before anything is measured.
{
  await using _ = await startReceiver(undefined);
}

print(`Commits of ${clients} clients, ${rounds} rounds of ${seconds} s in turns, medians; ${loadText()}`);
const runs = await inTurns<Run>(rounds, {
  "no uploads": () => run(sameDisk, undefined),
  ...Object.fromEntries(Object.entries(archives).map(([name, archive]) => [name, () => run(archive[0], archive[1])])),
});
const alone = runs.get("no uploads") ?? [];
for (const [name, all] of runs) {
  const latencyMs = median(all.map((one) => one.latencyMs)).toFixed(3);
  const perSecond = median(all.map((one) => one.perSecond)).toFixed(0);
  const uploaded = median(all.map((one) => one.uploadedMiBPerSecond)).toFixed(0);
  // Of each round, for a machine that has other work too.
  const ratio = median(all.map((one, round) => one.latencyMs / (alone[round]?.latencyMs ?? Number.NaN))).toFixed(2);
  const line = `  ${name.padEnd(16)} ${latencyMs.padStart(8)} ms ${perSecond.padStart(6)}/s`;
  if (all === alone) print(line);
  else {
    const isShort = all.some(({ left }) => left === 0);
    print(
      `${line}   uploading ${uploaded.padStart(4)} MiB/s   ratio ${ratio} (at most 1.15)${isShort ? "; the backlog ended too early" : ""}`,
    );
  }
}

/** Receives, and is level. @param codec Of an archive that has nothing yet; undefined: no archive. */
async function startReceiver(archive: object | undefined): Promise<Agent> {
  const config = {
    directory,
    slot,
    postgres: `host=127.0.0.1 port=${server.port} user=postgres sslmode=disable`,
    ...(archive === undefined ? {} : { archive: { ...archive, keep_local: 100_000 } }),
  };
  await using cleanup = new AsyncDisposableStack();
  const agent = cleanup.use(
    await startAgent(`plugins:\n  wal: { plugin: pgrwl, config: ${JSON.stringify(config)} }\n`),
  );
  await waitFor("holdfast to stream", () => isStreaming(server, { applicationName: slot }), 300_000);
  const lsn = await currentLsn(server);
  await waitFor("holdfast to be level", () => haveFlushed(server, lsn, [{ applicationName: slot }]), 300_000);
  cleanup.move();
  return agent;
}

async function run(folderOfArchive: string, codec: object | undefined): Promise<Run> {
  const archive = await mkdtemp(join(folderOfArchive, "holdfast-bench-archive-"));
  await using cleanup = new AsyncDisposableStack();
  cleanup.defer(() => rm(archive, { recursive: true }));
  await using _ = await startReceiver(codec && { storage: { type: "local", directory: archive }, ...codec });
  await setSynchronous(server, slot);
  try {
    const before = await segmentsIn(join(archive, "wal-archive"));
    const commits = await measureCommits(server, clients, seconds);
    const after = await segmentsIn(join(archive, "wal-archive"));
    const left = (await segmentsIn(directory)) - after;
    return { ...commits, uploadedMiBPerSecond: ((after - before) * 16) / seconds, left };
  } finally {
    await setSynchronous(server, "");
  }
}

/** Whole ones, in any format. */
async function segmentsIn(path: string): Promise<number> {
  const names = await readdir(path).catch(() => []);
  return names.filter((name) => /^[0-9A-F]{24}(?:\.(?:gz|zst))?(?:\.aes)?$/.test(name)).length;
}
