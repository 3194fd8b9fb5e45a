/** The prefetcher of `restore-command`: what it fetches, when it stops, and that nobody depends on it. */
import { expect, test } from "bun:test";
import { existsSync, readdirSync } from "node:fs";
import { chown, mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { prefetch } from "../../../plugins/common/wal-archive/prefetch.ts";
import {
  isPrefetching,
  notePosition,
  prefetchFolder,
  takePrefetched,
} from "../../../plugins/common/wal-archive/prefetch-folder.ts";
import type { FetchOptions, Found, WalSource } from "../../../plugins/common/wal-archive/wal-source.ts";
import { agentExecutable, runOnce } from "../../harness/agent.ts";
import { describeWith } from "../../harness/describe-with.ts";
import { createFolder } from "../../harness/folders.ts";
import { waitFor } from "../../harness/wait.ts";
import { walSegment } from "../../harness/wal-segment.ts";
import { openArchive } from "./support.ts";

const mib = 2 ** 20;
const segment = (number: number) => `0000000100000000${number.toString(16).toUpperCase().padStart(8, "0")}`;
const segmentsIn = (folder: string) =>
  existsSync(folder)
    ? readdirSync(folder)
        .filter((name) => /^[0-9A-F]{24}$/.test(name))
        .sort()
    : [];

/** An archive in memory of segments 1 to `last`. */
class Source implements WalSource {
  readonly description = "memory";
  readonly asked: string[] = [];
  last: number;
  failing = false;

  constructor(last: number) {
    this.last = last;
  }
  async fetch(name: string, path: string, { wholeOnly }: FetchOptions = {}): Promise<Found | undefined> {
    expect(wholeOnly).toBe(true);
    this.asked.push(name);
    if (this.failing) throw new Error("no");
    const number = Number.parseInt(name.slice(16), 16);
    if (number > this.last) return undefined;
    await writeFile(path, walSegment({ number }));
    return "whole";
  }
  async [Symbol.asyncDispose](): Promise<void> {}
}

async function start(source: WalSource, { count = 4, idleMs = 60_000, files = [] as string[] } = {}) {
  const owner = await createFolder("holdfast-prefetch");
  const destination = join(owner.path, "RECOVERYXLOG");
  const folder = prefetchFolder(destination, "source");
  await mkdir(folder, { recursive: true });
  for (const name of files) await writeFile(join(folder, name), "x");
  const stopping = new AbortController();
  const running = prefetch({ source, folder, count, idleMs, signal: stopping.signal });
  return {
    folder,
    destination,
    running,
    at: (number: number) => notePosition(folder, { name: segment(number), segmentSizeBytes: mib }),
    until: (...numbers: number[]) =>
      waitFor(`segments ${numbers}`, () => segmentsIn(folder).join() === numbers.map(segment).join()),
    async [Symbol.asyncDispose]() {
      stopping.abort();
      await running;
      await owner[Symbol.asyncDispose]();
    },
  };
}

test("it keeps so many segments ahead of the recovery, and no others", async () => {
  await using run = await start(new Source(100));
  run.at(1);
  await run.until(2, 3, 4, 5);
  expect(takePrefetched(run.folder, segment(2), run.destination)).toBe(mib);
  expect(await readFile(run.destination)).toEqual(walSegment({ number: 2 }));
  run.at(2);
  await run.until(3, 4, 5, 6);
  run.at(50);
  await run.until(51, 52, 53, 54);
});

test("at the end of the archive it asks once, and again when the recovery has come further", async () => {
  const source = new Source(3);
  await using run = await start(source, { count: 2 });
  run.at(1);
  await run.until(2, 3);
  run.at(3);
  await waitFor("the question", () => source.asked.includes(segment(4)));
  source.last = 5;
  run.at(4);
  await run.until(5);
});

test("of two that want one segment, one gets it", async () => {
  await using run = await start(new Source(2));
  run.at(1);
  await run.until(2);
  const taken = [1, 2].map((other) => takePrefetched(run.folder, segment(2), `${run.destination}${other}`));
  expect(taken).toEqual([mib, undefined]);
});

test("what is not the segment that its name says is not taken", async () => {
  await using run = await start(new Source(1));
  await writeFile(join(run.folder, segment(7)), walSegment({ number: 8 }));
  await writeFile(join(run.folder, segment(9)), walSegment({ number: 9 }).subarray(0, 1000));
  await writeFile(join(run.folder, segment(10)), walSegment({ number: 10, systemIdentifier: 5n }));
  for (const number of [7, 9]) expect(takePrefetched(run.folder, segment(number), run.destination)).toBeUndefined();
  expect(takePrefetched(run.folder, segment(10), run.destination, "6")).toBeUndefined();
});

test("failures are repeated, and heard by nobody", async () => {
  const source = new Source(100);
  source.failing = true;
  await using run = await start(source, { count: 1 });
  run.at(1);
  await waitFor("attempts", () => source.asked.length > 1);
  source.failing = false;
  await run.until(2);
});

test("it ends, and leaves nothing, when nobody has asked for a while", async () => {
  await using run = await start(new Source(100), { idleMs: 300 });
  run.at(1);
  await run.running;
  expect(existsSync(join(run.folder, ".."))).toBe(false);
});

test("it ends when the folder is gone", async () => {
  await using run = await start(new Source(100));
  run.at(1);
  await run.until(2, 3, 4, 5);
  // It may be leaving at the same moment.
  await rm(join(run.folder, ".."), { recursive: true, force: true });
  await run.running;
});

test("what one that was killed has left behind is removed, but for whole segments", async () => {
  await using owner = await createFolder("holdfast-prefetch");
  const folder = prefetchFolder(join(owner.path, "RECOVERYXLOG"), "source");
  await mkdir(folder, { recursive: true });
  const left = [`${segment(3)}.part`, `.${segment(3)}.part.0123456789abcdef.holdfast-tmp`, "position.123"];
  for (const name of left) await writeFile(join(folder, name), "x");
  await writeFile(join(folder, segment(2)), walSegment({ number: 2 }));
  notePosition(folder, { name: segment(1), segmentSizeBytes: mib });
  const stopping = new AbortController();
  const running = prefetch({ source: new Source(2), folder, count: 4, idleMs: 60_000, signal: stopping.signal });
  await waitFor(
    "the rest to be gone",
    () => readdirSync(folder).sort().join() === [segment(2), "position", "prefetcher"].join(),
  );
  stopping.abort();
  await running;
});

test("a folder that another user has prepared is not looked into", async () => {
  await using owner = await createFolder("holdfast-prefetch");
  const destination = join(owner.path, "RECOVERYXLOG");
  const folder = prefetchFolder(destination, "source");
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, segment(2)), walSegment({ number: 2 }));
  if (process.getuid?.() === 0) {
    await chown(folder, 65534, 65534);
    expect(takePrefetched(folder, segment(2), destination)).toBeUndefined();
    await chown(folder, 0, 0);
  }
  expect(takePrefetched(folder, segment(2), destination)).toBe(mib);
});

test("a second one for the same folder ends at once", async () => {
  await using run = await start(new Source(100));
  await waitFor("the first one", () => isPrefetching(run.folder));
  const child = Bun.spawn([process.execPath, "-e", secondPrefetcher, run.folder]);
  expect(await child.exited).toBe(0);
});

const secondPrefetcher = `
  const { prefetch } = await import(${JSON.stringify(new URL("../../../plugins/common/wal-archive/prefetch.ts", import.meta.url).pathname)});
  if (process.argv.at(-1)[0] !== "/") throw new Error("Expected a folder");
  await prefetch({ source: {}, folder: process.argv.at(-1), count: 1, idleMs: 60000, signal: new AbortController().signal });
`;

describeWith(["dist/holdfast"], "restore-command", () => {
  test("starts a prefetcher that outlives it; later segments come from there, and its end changes nothing", async () => {
    await using folder = await createFolder("holdfast-prefetch");
    const storage = { type: "local", directory: join(folder.path, "archive") } as const;
    await using archive = await openArchive({ storage });
    for (let number = 1; number <= 12; number++) {
      const file = join(folder.path, "segment");
      await writeFile(file, walSegment({ number }));
      await archive.put(segment(number), file);
    }
    const config = join(folder.path, "holdfast.yml");
    const instance = { directory: join(folder.path, "none"), slot: "s", archive: { storage } };
    await writeFile(config, `plugins: { wal: { plugin: pgrwl, config: ${JSON.stringify(instance)} } }\n`);
    const data = join(folder.path, "data");
    await mkdir(join(data, "pg_wal"), { recursive: true });
    const get = (number: number) =>
      runOnce(["restore-command", `--config.file=${config}`, segment(number), "pg_wal/X"], { cwd: data });
    expect(await get(1)).toEqual({ status: 0, stdout: "", stderr: "" });
    const inner = join(data, "pg_wal", ".holdfast-prefetch");
    const [key = ""] = readdirSync(inner);
    await waitFor("segments ahead", () => segmentsIn(join(inner, key)).length === 8);
    // Nothing of the archive is needed for what is there already.
    await rm(join(folder.path, "archive", "wal-archive", segment(2)));
    expect((await get(2)).status).toBe(0);
    expect(await readFile(join(data, "pg_wal", "X"))).toEqual(walSegment({ number: 2 }));
    const [pid] = (await readFile(join(inner, key, "prefetcher"), "utf8")).split(" ");
    expect(await readFile(`/proc/${pid}/cmdline`, "utf8")).toContain(agentExecutable);
    process.kill(Number(pid), "SIGKILL");
    for (const number of [3, 9, 12]) expect((await get(number)).status).toBe(0);
    expect((await get(13)).status).toBe(1);
    // Another prefetcher may write meanwhile.
    await waitFor("the folder to be gone", () => rm(inner, { recursive: true, force: true }).then(() => true));
  });
});
