/**
 * What one file over SFTP costs: our put and get against OpenSSH's `sftp`, in turns, on the same server of this machine.
 * Prints the medians and ratios. `bun scripts/bench/sftp.ts [--quick] [MiB] [ROUNDS]`, less than a minute. Needs OpenSSH's server and client.
 */
import { randomBytes } from "node:crypto";
import { open as openFile, rm } from "node:fs/promises";
import { openStorage } from "../../plugins/common/storage/open.ts";
import { storageSettings } from "../../plugins/common/storage/settings.ts";
import { createFolder } from "../../test/harness/folders.ts";
import { type SshServer, startSshServer } from "../../test/harness/ssh.ts";
import { print } from "./lib/load.ts";
import { benchArguments, inTurns, loadText, median, seconds } from "./lib/turns.ts";

const { quick, numbers } = benchArguments();
const [mebibytes = quick ? 64 : 256, rounds = quick ? 3 : 5] = numbers;

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

const times = await inTurns(rounds, {
  ourPut: () => seconds(() => storage.put("ours", { file })),
  theirPut: () => seconds(() => sftp(server, `put -f ${file} ${server.folder}/theirs`)),
  ourGet: () => fresh("ours", (path) => download(path)),
  theirGet: () => fresh("theirs", (path) => sftp(server, `get -f ${server.folder}/theirs ${path}`)),
});
print(
  `${mebibytes} MiB over SFTP on one machine, ${rounds} rounds in turns, medians; every file is synced; ${loadText()}`,
);
for (const what of ["Put", "Get"]) {
  const [one, other] = ["our", "their"].map((who) => mebibytes / median(times.get(`${who}${what}`) ?? []));
  print(
    `  ${what.toLowerCase()}: holdfast ${one?.toFixed(0)} MiB/s, OpenSSH sftp ${other?.toFixed(0)} MiB/s, ratio ${((one ?? 0) / (other ?? 0)).toFixed(2)} (target: at least 1)`,
  );
}

/** Seconds that it takes to write a file that was not there. */
async function fresh(name: string, work: (path: string) => Promise<void>): Promise<number> {
  const path = `${folder.path}/${name}`;
  await rm(path, { force: true });
  return await seconds(() => work(path));
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
