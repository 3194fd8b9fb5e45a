/**
 * Downloads of the prombackup plugin against the tools that it would be replaced by: tar through a socket, nginx with
 * sendfile, and the compressors. Needs tar, curl, gzip and zstd; nginx and nc are measured where they are installed.
 */
import { readFileSync } from "node:fs";
import { cp, mkdir, readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { startAgent } from "../../test/harness/agent.ts";
import { makeBlocks, wholeHoursAgo } from "../../test/harness/demo-blocks.ts";
import { createFolder } from "../../test/harness/folders.ts";
import { freePort } from "../../test/harness/ports.ts";
import { startPrometheus } from "../../test/harness/prometheus.ts";
import { waitFor } from "../../test/harness/wait.ts";
import { print } from "./lib/load.ts";

const name = "20261121T070602Z-2039575512e21d2c";
const copies = Number(process.env.COPIES ?? 54);
const rounds = 3;
/** Arguments: parts to run, `tar`, `compression`, `memory`, `incremental`; all where none is named. */
const wanted = (part: string) => process.argv.length < 3 || process.argv.includes(part);
const rssMb = (pid: number) => Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]) / 1024;

await using folder = await createFolder("holdfast-bench");
const snapshots = join(folder.path, "snapshots");
const bytes = await makeSnapshot();
print(`A snapshot of ${(bytes / 1e9).toFixed(2)} GB, best of ${rounds}`);

const port = await freePort();
await using agent = await startAgent(`plugins:
  prombackup:
    listen: 127.0.0.1:${port}
    config: { snapshot_dir: ${snapshots}, prometheus: { url: "http://127.0.0.1:1" } }
`);
const own = `http://127.0.0.1:${port}`;
await waitFor("the instance", async () => (await fetch(`${own}/api/snapshots`)).ok);
const url = (format: string) => `${own}/api/download?name=${name}&format=${format}`;
const curl = (target: string) => ["sh", "-c", `exec curl -sf -o /dev/null '${target}'`] as const;
const idleMb = rssMb(agent.pid);

if (wanted("tar")) {
  await best("tar, first: it is hashed", curl(url("tar")), 1);
  const tar = await best("tar, digest known", curl(url("tar")));
  await ratio("nginx with sendfile", await nginx(), tar, "at least 0.5");
  await ratio("tar through a pipe and nc", await netcat(), tar, "at least 1.0");
  await ratio(
    "tar c | cat",
    await best("tar c | cat", ["sh", "-c", `tar -C ${snapshots} -cf - ${name} | cat > /dev/null`]),
    tar,
  );
}
for (const [format, tool] of [
  ["tgz", "gzip"],
  ["tzst", "zstd -q"],
] as const) {
  if (!wanted("compression")) continue;
  const ours = await best(`${format}, holdfast`, curl(url(format)), 1);
  const theirs = await best(
    `tar | ${tool}`,
    ["sh", "-c", `tar -C ${snapshots} -cf - ${name} | ${tool} > /dev/null`],
    1,
  );
  await ratio(`tar | ${tool}`, theirs, ours);
}
if (wanted("memory")) await memory();
if (wanted("incremental")) await incremental();

/** Blocks of forty megabytes, copied under other names until there are two gigabytes. */
async function makeSnapshot(): Promise<number> {
  const blocks = join(folder.path, "blocks");
  await mkdir(blocks);
  await makeBlocks(blocks, { from: wholeHoursAgo(40), hours: 8, series: 2600 });
  let sum = 0;
  for (let copy = 0; copy < copies; copy++) {
    for (const [index, block] of (await readdir(blocks)).entries()) {
      const other = `01M7YES8CFHH15SSVT${String(copy * 100 + index).padStart(8, "0")}`;
      await cp(join(blocks, block), join(snapshots, name, other), { recursive: true });
    }
  }
  for (const path of await readdir(snapshots, { recursive: true, withFileTypes: true })) {
    if (path.isFile()) sum += Bun.file(join(path.parentPath, path.name)).size;
  }
  return sum;
}

/** The fewest seconds of some rounds. */
async function best(what: string, command: readonly string[], times = rounds): Promise<number> {
  let least = Number.POSITIVE_INFINITY;
  for (let round = 0; round < times; round++) {
    const startedAt = performance.now();
    const child = Bun.spawn([...command], { stdin: "ignore", stdout: "ignore", stderr: "inherit" });
    if ((await child.exited) !== 0) throw new Error(`${command.join(" ")} failed`);
    least = Math.min(least, (performance.now() - startedAt) / 1000);
  }
  print(`${what.padEnd(28)} ${least.toFixed(2)} s  ${(bytes / 1e6 / least).toFixed(0)} MB/s`);
  return least;
}

async function ratio(what: string, theirs: number | undefined, ours: number, target = ""): Promise<void> {
  if (theirs === undefined) print(`${what}: not installed, skipped`);
  else print(`  rate / rate of ${what}: ${(theirs / ours).toFixed(2)}${target && ` (target: ${target})`}`);
}

async function nginx(): Promise<number | undefined> {
  if (!Bun.which("nginx")) return undefined;
  const root = join(folder.path, "www");
  await mkdir(root);
  await Bun.spawn(["sh", "-c", `tar -C ${snapshots} -cf ${root}/a.tar ${name}`]).exited;
  const nginxPort = await freePort();
  const config = join(folder.path, "nginx.conf");
  await writeFile(
    config,
    `daemon off; user root; pid ${folder.path}/nginx.pid; error_log stderr; events {} http { access_log off; sendfile on; tcp_nopush on;
server { listen 127.0.0.1:${nginxPort}; root ${root}; } }`,
  );
  const server = Bun.spawn(["nginx", "-c", config], { stdout: "ignore", stderr: "ignore" });
  await waitFor("nginx", async () => (await fetch(`http://127.0.0.1:${nginxPort}/a.tar`, { method: "HEAD" })).ok);
  const seconds = await best("nginx, sendfile", curl(`http://127.0.0.1:${nginxPort}/a.tar`));
  server.kill();
  await server.exited;
  return seconds;
}

async function netcat(): Promise<number | undefined> {
  if (!Bun.which("nc")) return undefined;
  const at = await freePort();
  const script = `nc -l 127.0.0.1 ${at} > /dev/null & sleep 0.1; tar -C ${snapshots} -cf - ${name} | nc -N 127.0.0.1 ${at}; wait`;
  return await best("tar | nc", ["sh", "-c", script]);
}

/** Twenty at once, whose clients take all they can. */
async function memory(): Promise<void> {
  const formats = ["tar", "tgz", "tzst", "tar"];
  const clients = Array.from({ length: 20 }, (_, n) =>
    Bun.spawn([...curl(url(formats[n % 4] ?? "tar"))], { stdin: "ignore", stdout: "ignore" }),
  );
  let mostMb = 0;
  const sampling = setInterval(() => {
    mostMb = Math.max(mostMb, rssMb(agent.pid));
  }, 100);
  await Bun.sleep(20_000);
  clearInterval(sampling);
  for (const client of clients) client.kill();
  await Promise.all(clients.map((client) => client.exited));
  print(
    `Twenty downloads at once: ${mostMb.toFixed(0)} MB, ${(mostMb - idleMb).toFixed(0)} MB above idle (target: under 40)`,
  );
}

/** What a second backup moves when one block is new. */
async function incremental(): Promise<void> {
  const data = join(folder.path, "data");
  const target = join(folder.path, "target");
  await mkdir(data);
  await makeBlocks(data, { from: wholeHoursAgo(40), hours: 8, series: 2600 });
  const backUp = async () => {
    // Anew each time: it looks for new blocks once a minute.
    await using prometheus = await startPrometheus({
      targets: [],
      flags: ["--web.enable-admin-api"],
      dataFolder: data,
    });
    await using one = await startAgent(`plugins:
  prombackup:
    config:
      snapshot_dir: ${data}/snapshots
      state_dir: ${folder.path}/state-${Bun.randomUUIDv7()}
      prometheus: { url: ${prometheus.url} }
      backup: { every: 24h, targets: { disk: { storage: { type: local, directory: ${target} } } } }
`);
    const line = await waitFor(
      "the backup",
      () => one.stderr.find((text) => text.includes("Backup complete")),
      120_000,
    );
    return {
      bytes: Number(/new_bytes=(\d+)/.exec(line)?.[1]),
      seconds: Number(/duration_seconds=([\d.]+)/.exec(line)?.[1]),
    };
  };
  const first = await backUp();
  await makeBlocks(data, { from: wholeHoursAgo(14), hours: 2, series: 2600 });
  const second = await backUp();
  const mb = (value: number) => (value / 1e6).toFixed(1);
  print(
    `Backup: first ${mb(first.bytes)} MB in ${first.seconds.toFixed(1)} s, second ${mb(second.bytes)} MB in ${second.seconds.toFixed(1)} s`,
  );
}
