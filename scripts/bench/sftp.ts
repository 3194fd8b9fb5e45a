/**
 * What one file over SFTP costs: our put and get against OpenSSH's `sftp`, in turns, on the same server of this machine.
 * Prints the medians and ratios. `scripts/bench/sftp.ts [MiB] [ROUNDS]`
 */
import { randomBytes } from "node:crypto";
import { open as openFile, rm } from "node:fs/promises";
import { openStorage } from "../../plugins/common/storage/open.ts";
import { storageSettings } from "../../plugins/common/storage/settings.ts";
import { createFolder } from "../../test/harness/folders.ts";
import { type SshServer, startSshServer } from "../../test/harness/ssh.ts";
import { print } from "./lib/load.ts";

const [mebibytes = 256, rounds = 5] = process.argv.slice(2).map(Number);

await using folder = await createFolder("holdfast-bench");
await using server = await startSshServer();
const file = `${folder.path}/file`;
await writeRandom(file, mebibytes);
await using storage = await openStorage(
  storageSettings.parse({
    type: "sftp",
    host: server.host,
    port: server.port,
    user: server.user,
    directory: server.folder,
    private_key_file: server.privateKeyFile,
    known_hosts_file: server.knownHostsFile,
  }),
  { environment: {} },
);
await storage.check();

const times: Record<"ourPut" | "theirPut" | "ourGet" | "theirGet", number[]> = {
  ourPut: [],
  theirPut: [],
  ourGet: [],
  theirGet: [],
};
for (let round = 0; round < rounds; round++) {
  times.ourPut.push(await seconds(() => storage.put("ours", { file })));
  times.theirPut.push(await seconds(() => sftp(server, `put -f ${file} ${server.folder}/theirs`)));
  times.ourGet.push(await seconds(() => download(`${folder.path}/ours`)));
  times.theirGet.push(await seconds(() => sftp(server, `get -f ${server.folder}/theirs ${folder.path}/theirs`)));
  await Promise.all(["ours", "theirs"].map((name) => rm(`${folder.path}/${name}`)));
}
print(`${mebibytes} MiB over SFTP on one machine, ${rounds} rounds in turns, medians; every file is synced`);
for (const [what, ours, theirs] of [
  ["put", times.ourPut, times.theirPut],
  ["get", times.ourGet, times.theirGet],
] as const) {
  const [one, other] = [mebibytes / median(ours), mebibytes / median(theirs)];
  print(
    `  ${what}: holdfast ${one.toFixed(0)} MiB/s, OpenSSH sftp ${other.toFixed(0)} MiB/s, ratio ${(one / other).toFixed(2)} (target: at least 1)`,
  );
}

/** To a file that is synced, as `get -f` does. */
async function download(path: string): Promise<void> {
  await using to = await openFile(path, "w");
  const { stream } = await storage.get("ours");
  for await (const chunk of stream) await to.write(chunk);
  await to.sync();
}

async function sftp({ host, port, user, privateKeyFile, knownHostsFile }: SshServer, command: string): Promise<void> {
  const options = ["-b", "-", "-P", String(port), "-i", privateKeyFile, "-o", `UserKnownHostsFile=${knownHostsFile}`];
  const child = Bun.spawn(["sftp", "-q", ...options, `${user}@${host}`], {
    stdin: new Blob([`${command}\n`]),
    stdout: "ignore",
    stderr: "pipe",
  });
  const errors = await new Response(child.stderr).text();
  if ((await child.exited) !== 0) throw new Error(`sftp ${command}: ${errors}`);
}

/** What no connection can compress. */
async function writeRandom(path: string, size: number): Promise<void> {
  await using to = await openFile(path, "w");
  for (let n = 0; n < size; n++) await to.write(randomBytes(1 << 20));
}

async function seconds(work: () => Promise<unknown>): Promise<number> {
  const begin = performance.now();
  await work();
  return (performance.now() - begin) / 1000;
}

function median(values: readonly number[]): number {
  return [...values].sort((one, other) => one - other)[Math.floor(values.length / 2)] ?? Number.NaN;
}
