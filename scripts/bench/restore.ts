/**
 * A recovery through `restore-command` beside one through `cp`, from one local folder and in one run: without prefetching, with it,
 * with compression and encryption, and from a serving agent, at the agent's address and the instance's own; and what one call costs.
 * `bun scripts/bench/restore.ts [--quick] [SEGMENTS] [ROUNDS]`: 10 minutes and 10 GB; quick, 2 minutes. Needs Debian's PostgreSQL 15 and dist/holdfast.
 */
import { chmod, readdir } from "node:fs/promises";
import { join } from "node:path";
import { startAgent } from "../../test/harness/agent.ts";
import { createFolder } from "../../test/harness/folders.ts";
import { freePort } from "../../test/harness/ports.ts";
import { runTool } from "../../test/harness/processes.ts";
import { giveTo, serverUser } from "../../test/harness/users.ts";
import { waitFor } from "../../test/harness/wait.ts";
import { createRestorer, fill, loseServer, recover } from "../../test/integration/restore/support.ts";
import { print } from "./lib/load.ts";
import { benchArguments, inTurns, loadText, median, seconds } from "./lib/turns.ts";

const { quick, numbers } = benchArguments();
const [segments = quick ? 40 : 200, rounds = quick ? 1 : 3] = numbers;
const callRounds = 30;
const deadlineMs = 600_000;
const variantCount = 7;

const user = serverUser("postgres");

await using lost = await loseServer(segments, variantCount * rounds, 16);
await using restorer = await createRestorer();
await using folder = await createFolder("holdfast-bench", user);
const plain = await archive("plain", {});
const zstd = await archive("zstd", { compression: "zstd" });
const encrypted = await archive("aes", { compression: "gzip", encryption: { passphrase: "a passphrase" } });
await openFor(lost.walFolder);
// The server that it would receive from is gone, as it is when somebody recovers.
const instance = {
  directory: join(folder.path, "received"),
  slot: "s",
  postgres: "host=127.0.0.1 port=1",
  archive: { storage: { type: "local", directory: join(folder.path, "plain") } },
  serve: { enabled: true },
};
const port = await freePort();
await using agent = await startAgent(
  `plugins: { wal: { plugin: pgrwl, listen: "127.0.0.1:${port}", config: ${JSON.stringify(instance)} } }\n`,
);

const cp = `cp ${lost.walFolder}/%f %p`;
const withoutPrefetch = restorer.command(`${plain} --prefetch=0`);
const prefetching = restorer.command(plain);
const commands: Readonly<Record<string, string>> = {
  cp,
  "plain, no prefetch": withoutPrefetch,
  plain: prefetching,
  zstd: restorer.command(zstd),
  "gzip, encrypted": restorer.command(encrypted),
  "plain, by an agent": restorer.command(`--serve-addr=127.0.0.1:${agent.port}/wal`),
  "plain, by its own port": restorer.command(`--serve-addr=127.0.0.1:${port}`),
};

print(`${lost.segments} segments of 16 MiB, ${rounds} rounds in turns; ${loadText()}`);
const times = await inTurns(
  rounds,
  Object.fromEntries(Object.entries(commands).map(([name, command]) => [name, () => recoverOnce(command)])),
);
print("\nRecovery, seconds (median), and the median ratio to cp of the same round; at most 1.30 with prefetch:");
const ofCp = times.get("cp") ?? [];
for (const [name, all] of times) {
  const ratio = median(all.map((time, round) => time / (ofCp[round] ?? Number.NaN)));
  print(`  ${name.padEnd(22)} ${median(all).toFixed(1).padStart(7)}  ${ratio.toFixed(2)}`);
}

async function recoverOnce(command: string): Promise<number> {
  const backup = lost.backups.shift();
  if (backup === undefined) throw new Error("There is no base backup left");
  await using _ = backup;
  return await seconds(async () => {
    await using _server = await recover(backup, command, deadlineMs);
  });
}

/** Makes an archive of all that was lost. @returns The flags for it. */
async function archive(name: string, codec: object): Promise<string> {
  const directory = join(folder.path, name);
  const settings = { storage: { type: "local" as const, directory }, ...codec };
  await fill(settings, lost);
  await openFor(directory);
  return await restorer.configure(settings, name);
}

/** The server's user is to read it. */
async function openFor(path: string): Promise<void> {
  await runTool(["chmod", "-R", "a+rX", path], { user: "root", cwd: "/" });
  await runTool(["chmod", "a+rx", join(path, "..")], { user: "root", cwd: "/" });
}

// What one call costs, with nothing to fetch.
print("\nOne call, milliseconds (median):");
const [first = ""] = (await readdir(lost.walFolder)).sort();
const target = join(folder.path, "target");
await giveTo(user, folder.path);
await chmod(folder.path, 0o755);
const calls: Record<string, readonly string[]> = {
  cp: ["cp", join(lost.walFolder, first), target],
  "holdfast version": [restorer.executable, "version"],
  "restore-command, straight from the folder": withoutPrefetch.replace("%f", first).replace("%p", target).split(" "),
};
for (const [name, call] of Object.entries(calls)) {
  const times: number[] = [];
  for (let round = 0; round < callRounds; round++) {
    const startedAt = performance.now();
    await Bun.spawn([...call], { stdout: "ignore", stderr: "inherit" }).exited;
    times.push(performance.now() - startedAt);
  }
  print(`  ${name.padEnd(42)} ${median(times).toFixed(1).padStart(7)}`);
}

// Segments that wait already: no call has to fetch.
const names = (await readdir(lost.walFolder)).filter((name) => name.length === 24).sort();
const ahead = join(folder.path, ".holdfast-prefetch");
const waiting: number[] = [];
for (const [index, name] of names.slice(0, callRounds).entries()) {
  const call = prefetching.replace("%f", name).replace("%p", target).split(" ");
  const startedAt = performance.now();
  await Bun.spawn(call, { stdout: "ignore", stderr: "inherit" }).exited;
  if (index > 0) waiting.push(performance.now() - startedAt);
  const next = names[index + 1] ?? "";
  await waitFor("the next one", async () =>
    (await readdir(ahead, { recursive: true })).some((path) => path.endsWith(next)),
  );
}
print(`  ${"restore-command, prefetched".padEnd(42)} ${median(waiting).toFixed(1).padStart(7)}`);
