import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DirectoryLock } from "../../../../../plugins/pgrwl/receiver/directory-lock.ts";
import { canMakeSmallDisk, createSmallDisk } from "../../../../harness/small-disk.ts";
import { waitFor } from "../../../../harness/wait.ts";

let directory: string;
let workers: Worker[];
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "holdfast-directory-lock-"));
  workers = [];
});
afterEach(() => {
  for (const worker of workers) worker.terminate();
  rmSync(directory, { recursive: true });
});

const lockModule = new URL("../../../../../plugins/pgrwl/receiver/directory-lock.ts", import.meta.url).pathname;

function start(): Worker {
  const worker = new Worker(new URL("lock-worker.ts", import.meta.url).href);
  workers.push(worker);
  return worker;
}

function ask(worker: Worker, message: { readonly take?: string }): Promise<string> {
  const { promise, resolve } = Promise.withResolvers<string>();
  worker.onmessage = ({ data }: MessageEvent<string>) => resolve(data);
  worker.postMessage(message);
  return promise;
}
const take = (worker: Worker) => ask(worker, { take: directory });

/** Another process that takes the lock, says how it went, and stays until its input ends. */
function startProcess(folder = directory) {
  const program = `import { DirectoryLock } from ${JSON.stringify(lockModule)};
    try { globalThis.lock = DirectoryLock.take(${JSON.stringify(folder)}); process.stdout.write("done\\n"); }
    catch (error) { process.stdout.write(error.message + "\\n"); }
    await Bun.stdin.text();`;
  return Bun.spawn([process.execPath, "-e", program], { stdin: "pipe", stdout: "pipe", stderr: "inherit" });
}
async function said(process: ReturnType<typeof startProcess>): Promise<string> {
  const { value } = await process.stdout.getReader().read();
  return new TextDecoder().decode(value).trim();
}

test("a second process is refused, told who has the folder, and leaves no file in it", async () => {
  expect(await take(start())).toBe("done");
  const other = startProcess();
  expect(await said(other)).toBe(`Cannot receive into ${directory}: process ${process.pid} already does`);
  other.kill();
  await other.exited;
  expect(readdirSync(directory)).toEqual([]);
});

test("the lock of a process ends with it, however it ends", async () => {
  const other = startProcess();
  expect(await said(other)).toBe("done");
  const worker = start();
  expect(await take(worker)).toBe(`Cannot receive into ${directory}: process ${other.pid} already does`);
  other.kill("SIGKILL");
  await other.exited;
  expect(await take(worker)).toBe("done");
});

test("a second thread of this process is refused while the first lives, and no longer than it holds the lock", async () => {
  const [first, second] = [start(), start()];
  expect(await take(first)).toBe("done");
  for (let times = 0; times < 3; times++)
    expect(await take(second)).toBe(`Cannot receive into ${directory}: process ${process.pid} already does`);
  expect(await ask(first, {})).toBe("done");
  expect(await take(second)).toBe("done");
  expect(await take(first)).toBe(`Cannot receive into ${directory}: process ${process.pid} already does`);
});

test("of threads that come at the same moment at most one gets the folder", async () => {
  const answers = await Promise.all(Array.from({ length: 6 }, () => take(start())));
  expect(answers.filter((answer) => answer === "done").length).toBeLessThanOrEqual(1);
});

test("what a thread that was ended by force leaves locked can be taken again, by one", async () => {
  const first = start();
  expect(await take(first)).toBe("done");
  first.terminate();
  const second = start();
  await waitFor("the lock to be free", async () => (await take(second)) === "done", 60_000);
  expect(await take(start())).toContain("already does");
  // The descriptor that was left behind still keeps other processes out.
  const other = startProcess();
  expect(await said(other)).toContain(`process ${process.pid} already does`);
  other.kill();
  await other.exited;
}, 120_000);

test("folders do not get in each other's way", async () => {
  const worker = start();
  expect(await take(worker)).toBe("done");
  const other = mkdtempSync(join(tmpdir(), "holdfast-directory-lock-"));
  expect(await ask(start(), { take: other })).toBe("done");
  rmSync(other, { recursive: true });
});

// The top folders of two disks have the same inode number.
test.skipIf(!canMakeSmallDisk())(
  "a lock of ours on one disk is not taken for that of another process on the next",
  async () => {
    await using ours = await createSmallDisk(2 ** 20);
    await using theirs = await createSmallDisk(2 ** 20);
    expect(statSync(ours.path).ino).toBe(statSync(theirs.path).ino);
    const other = startProcess(theirs.path);
    expect(await said(other)).toBe("done");
    const [first, second] = [start(), start()];
    expect(await ask(first, { take: ours.path })).toBe("done");
    expect(await ask(second, { take: theirs.path })).toBe(
      `Cannot receive into ${theirs.path}: process ${other.pid} already does`,
    );
    other.kill();
    await other.exited;
    expect(await ask(second, { take: theirs.path })).toBe("done");
    for (const worker of [first, second]) await ask(worker, {});
  },
  60_000,
);

test("a lock knows that its folder has been replaced", () => {
  const lock = DirectoryLock.take(directory);
  expect(lock.holds(directory)).toBe(true);
  renameSync(directory, `${directory}-before`);
  expect(lock.holds(directory)).toBe(false);
  mkdirSync(directory);
  expect(lock.holds(directory)).toBe(false);
  lock.release();
  rmSync(`${directory}-before`, { recursive: true });
});
