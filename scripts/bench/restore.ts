/**
 * A recovery through `restore-command` beside one through `cp`, from one local folder and in one run: without prefetching, with it,
 * with compression, and through an agent's routes; and what one call costs.
 * Run on a machine that does nothing else: `bun scripts/bench/restore.ts [segments] [rounds]`. Needs Debian's PostgreSQL 15.
 */
import { chmod, readdir } from "node:fs/promises";
import { loadavg } from "node:os";
import { join } from "node:path";
import { createFolder } from "../../test/harness/folders.ts";
import { runTool } from "../../test/harness/processes.ts";
import { giveTo, serverUser } from "../../test/harness/users.ts";
import { waitFor } from "../../test/harness/wait.ts";
import { createRestorer, fill, loseServer, recover } from "../../test/integration/restore/support.ts";

const segments = Number(process.argv[2] ?? 200);
const rounds = Number(process.argv[3] ?? 3);
const callRounds = 30;
const variants = ["cp", "plain, no prefetch", "plain", "gzip", "gzip, encrypted"] as const;
type Variant = (typeof variants)[number];

const user = serverUser("postgres");
const print = (text: string) => process.stdout.write(`${text}\n`);
const median = (values: readonly number[]) =>
  values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;

await using lost = await loseServer(segments, variants.length * rounds, 16);
await using restorer = await createRestorer();
await using folder = await createFolder("holdfast-bench", user);
print(`${lost.segments} segments of 16 MiB, ${rounds} rounds; load ${loadavg()[0]?.toFixed(1)}`);

const command: Record<Variant, string> = {
  cp: `cp ${lost.walFolder}/%f %p`,
  "plain, no prefetch": restorer.command(`${await archive("plain", {})} --prefetch=0`),
  plain: restorer.command(await archive("plain", {})),
  gzip: restorer.command(await archive("gzip", { compression: "gzip" })),
  "gzip, encrypted": restorer.command(
    await archive("aes", { compression: "gzip", encryption: { passphrase: "a passphrase" } }),
  ),
};
await openFor(lost.walFolder);

const seconds = new Map<Variant, number[]>(variants.map((variant) => [variant, []]));
for (let round = 0; round < rounds; round++) {
  for (const variant of variants) {
    const backup = lost.backups.shift();
    if (backup === undefined) break;
    const startedAt = performance.now();
    await using _ = await recover(backup, command[variant]);
    seconds.get(variant)?.push((performance.now() - startedAt) / 1000);
  }
}
const base = median(seconds.get("cp") ?? []);
print("\nRecovery, seconds (median), and the ratio to cp:");
for (const [variant, all] of seconds) {
  const time = median(all);
  print(`  ${variant.padEnd(20)} ${time.toFixed(1).padStart(7)}  ${(time / base).toFixed(2)}`);
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
  "restore-command, straight from the folder": command["plain, no prefetch"]
    .replace("%f", first)
    .replace("%p", target)
    .split(" "),
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
  const call = command.plain.replace("%f", name).replace("%p", target).split(" ");
  const startedAt = performance.now();
  await Bun.spawn(call, { stdout: "ignore", stderr: "inherit" }).exited;
  if (index > 0) waiting.push(performance.now() - startedAt);
  const next = names[index + 1] ?? "";
  await waitFor("the next one", async () =>
    (await readdir(ahead, { recursive: true })).some((path) => path.endsWith(next)),
  );
}
print(`  ${"restore-command, prefetched".padEnd(42)} ${median(waiting).toFixed(1).padStart(7)}`);
