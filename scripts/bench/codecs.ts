/**
 * How fast the uploader brings WAL of pgbench into a folder, in each format, beside what the command line has for it: as many files at once,
 * written, synced and renamed. In turns, medians.
 * `bun scripts/bench/codecs.ts [--quick] [SEGMENTS] [ROUNDS]`, about 2 minutes; quick: half of one. Needs Debian's PostgreSQL, gzip and zstd.
 */
import { copyFile, mkdir, mkdtemp, readdir, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { openWalArchive } from "../../plugins/common/wal-archive/open.ts";
import { type ArchiveSettingsInput, archiveSettings } from "../../plugins/common/wal-archive/settings.ts";
import { ArchivePlace } from "../../plugins/pgrwl/archive/archive-place.ts";
import { LocalFiles } from "../../plugins/pgrwl/archive/local-files.ts";
import { Uploader } from "../../plugins/pgrwl/archive/uploader.ts";
import { createFolder } from "../../test/harness/folders.ts";
import { initPgbench, runPgbench } from "../../test/harness/pgbench.ts";
import { startPostgres } from "../../test/harness/postgres.ts";
import { runTool } from "../../test/harness/processes.ts";
import { print } from "./lib/load.ts";
import { benchArguments, inTurns, loadText, median, seconds } from "./lib/turns.ts";

const { quick, numbers } = benchArguments();
const [segments = quick ? 12 : 32, rounds = quick ? 2 : 3] = numbers;
const concurrency = 2;
const encryption = { passphrase: "a passphrase" };
const formats: Readonly<Record<string, Omit<ArchiveSettingsInput, "storage">>> = {
  none: {},
  gzip: { compression: "gzip" },
  zstd: { compression: "zstd" },
  "none, encrypted": { encryption },
  "gzip, encrypted": { compression: "gzip", encryption },
  "zstd, encrypted": { compression: "zstd", encryption },
};
/** With the uploader's own levels. */
const tools: Readonly<Record<string, string>> = { none: "cat", gzip: "gzip -6 -c", zstd: "zstd -3 -q -c" };

await using folder = await createFolder("holdfast-bench");
const directory = join(folder.path, "wal");
await mkdir(directory);
await writeWal();
const names = (await readdir(directory)).sort();
const mebibytes = names.length * 16;

print(`${names.length} segments of pgbench, ${concurrency} at once, ${rounds} rounds; ${loadText()}`);
const storedMiB = new Map<string, number>();
const runs = await inTurns(rounds, {
  ...Object.fromEntries(
    Object.entries(formats).map(([name, format]) => [name, () => measure(name, (to) => upload(to, format))]),
  ),
  ...Object.fromEntries(
    Object.entries(tools).map(([name, tool]) => [`$ ${name}`, () => measure(name, (to) => useTool(to, tool))]),
  ),
});
const speed = (name: string) => mebibytes / median(runs.get(name) ?? []);
for (const name of Object.keys(formats)) {
  const tool = name.split(",")[0] ?? name;
  const [ours, theirs] = [speed(name), speed(`$ ${tool}`)];
  const command =
    name === tool
      ? `   ${tools[tool]} ${theirs.toFixed(0).padStart(4)} MiB/s   ratio ${(ours / theirs).toFixed(2)}`
      : "";
  const share = ((100 * (storedMiB.get(name) ?? 0)) / mebibytes).toFixed(0);
  print(`  ${name.padEnd(16)} ${ours.toFixed(0).padStart(4)} MiB/s, ${share.padStart(3)} % of the size${command}`);
}

/** pgbench's tables and transactions, with the full pages that a checkpoint causes. */
async function writeWal(): Promise<void> {
  await using server = await startPostgres({ archive_mode: "on", max_wal_size: "16GB" });
  await initPgbench(server, 10);
  const archived = async () =>
    (await readdir(server.archiveFolder)).filter((name) => /^[0-9A-F]{24}$/.test(name)).sort();
  while ((await archived()).length <= segments) {
    await runPgbench(server, 4, 5_000);
    await server.psql("CHECKPOINT");
  }
  // The last one may be a part still.
  for (const name of (await archived()).slice(0, segments))
    await copyFile(join(server.archiveFolder, name), join(directory, name));
}

/** @returns Seconds. */
async function measure(name: string, store: (to: string) => Promise<void>): Promise<number> {
  const to = await mkdtemp(join(folder.path, "to-"));
  try {
    const took = await seconds(() => store(to));
    const stored = await readdir(to, { recursive: true, withFileTypes: true });
    const files = stored.filter((entry) => entry.isFile());
    if (files.length !== names.length)
      throw new Error(`Cannot compare ${name}: ${files.length} of ${names.length} files are there`);
    const sizes = await Promise.all(files.map(async (entry) => (await stat(join(entry.parentPath, entry.name))).size));
    storedMiB.set(name, sizes.reduce((sum, size) => sum + size, 0) / 2 ** 20);
    return took;
  } finally {
    await rm(to, { recursive: true });
  }
}

async function upload(to: string, format: Omit<ArchiveSettingsInput, "storage">): Promise<void> {
  const settings = archiveSettings.parse({ storage: { type: "local", directory: to }, ...format });
  await using archive = await openWalArchive(settings, { environment: {} });
  const files = new LocalFiles(directory, to);
  await files.load();
  const stopping = new AbortController();
  let left = names.length;
  const onArchived = () => {
    if (--left === 0) stopping.abort();
  };
  const silent = () => {};
  const log = { debug: silent, info: silent, warn: silent, error: silent };
  const backOff = { firstBackOffMs: 1000, longestBackOffMs: 1000 };
  const place = new ArchivePlace({ archive, files, isMounted: true });
  await new Uploader({ archive, files, place, concurrency, ...backOff, log, now: Date.now, onArchived }).run(
    stopping.signal,
  );
}

async function useTool(to: string, tool: string): Promise<void> {
  const one = `${tool} "$1" > "${to}/$1.part" && sync "${to}/$1.part" && mv "${to}/$1.part" "${to}/$1" && sync "${to}"`;
  const all = `ls | xargs -P${concurrency} -n1 sh -c '${one}' sh`;
  await runTool(["sh", "-c", all], { user: "root", cwd: directory });
}
