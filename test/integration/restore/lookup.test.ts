/** When a file of WAL is absent, and when it only seems so: a recovery ends where it is absent. */
import { expect, test } from "bun:test";
import { mkdir, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { WalLookup } from "../../../plugins/common/wal-archive/lookup.ts";
import { WalSourceError } from "../../../plugins/common/wal-archive/wal-source.ts";
import { createFolder } from "../../harness/folders.ts";
import { walSegment } from "../../harness/wal-segment.ts";
import { openArchive } from "./support.ts";

const segment = (number: number) => `0000000100000000${number.toString(16).toUpperCase().padStart(8, "0")}`;
const failure = async (work: Promise<unknown>) => {
  const error = await work.then(
    (value) => value,
    (reason) => reason,
  );
  return error instanceof WalSourceError ? error.kind : error;
};

async function folders() {
  await using cleanup = new AsyncDisposableStack();
  const folder = cleanup.use(await createFolder("holdfast-lookup"));
  const directory = join(folder.path, "wal");
  const root = join(folder.path, "archive");
  for (const path of [directory, root]) await mkdir(path);
  const archive = cleanup.use(await openArchive({ storage: { type: "local", directory: root } }));
  const owned = cleanup.move();
  return {
    directory,
    root,
    archive,
    target: join(folder.path, "target"),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

const options = { description: "here", servesPartial: () => true };

test("a receiver's own directory that is gone is an outage: WAL that is archived nowhere was in it", async () => {
  await using place = await folders();
  const { directory, archive, target } = place;
  await writeFile(join(directory, segment(1)), walSegment({ number: 1 }));
  await archive.put(segment(1), join(directory, segment(1)));
  const lookup = new WalLookup({ ...options, directory, needsDirectory: true, archive: () => archive });
  expect(await lookup.fetch(segment(2), target)).toBeUndefined();
  await rm(directory, { recursive: true });
  expect(await failure(lookup.fetch(segment(2), target))).toBe("outage");
  expect(await failure(lookup.read("00000002.history"))).toBe("outage");
  expect(await lookup.fetch(segment(1), target)).toBe("whole");
});

test("an archive that was emptied, or whose disk is away, has lost what was stored there", async () => {
  await using place = await folders();
  const { directory, archive, root, target } = place;
  let stored = false;
  const lookup = new WalLookup({ ...options, directory, archive: () => archive, expectsWal: () => stored });
  // Nothing was ever stored: all that there is lies in the directory.
  expect(await lookup.fetch(segment(2), target)).toBeUndefined();
  await writeFile(join(directory, segment(1)), walSegment({ number: 1 }));
  await archive.put(segment(1), join(directory, segment(1)));
  stored = true;
  expect(await lookup.fetch(segment(2), target)).toBeUndefined();
  await rename(root, `${root}.away`);
  await mkdir(root);
  expect(await failure(lookup.fetch(segment(2), target))).toBe("misconfigured");
});

test("who only serves takes WAL from the directory or the archive, and wants some in one of them", async () => {
  await using place = await folders();
  const { directory, archive, target } = place;
  const lookup = new WalLookup({ ...options, directory, archive: () => archive, expectsWal: () => "anywhere" });
  expect(await failure(lookup.fetch(segment(2), target))).toBe("misconfigured");
  await writeFile(join(directory, segment(1)), walSegment({ number: 1 }));
  expect(await lookup.fetch(segment(2), target)).toBeUndefined();
});

test("without an archive the directory is all there is, and must be there and hold WAL", async () => {
  await using place = await folders();
  const { directory, target } = place;
  const lookup = new WalLookup({ ...options, directory, expectsWal: () => true });
  expect(await failure(lookup.fetch(segment(1), target))).toBe("misconfigured");
  await writeFile(join(directory, segment(1)), walSegment({ number: 1 }));
  expect(await lookup.fetch(segment(1), target)).toBe("whole");
  expect(await lookup.fetch(segment(2), target)).toBeUndefined();
  await rm(directory, { recursive: true });
  expect(await failure(lookup.fetch(segment(2), target))).toBe("outage");
});

test.each([
  ["nothing", new Uint8Array(0)],
  ["a part of its zeros", new Uint8Array(8192)],
])(
  "a receiver that crashed as it began a segment, with %s of it, does not hold up the recovery",
  async (_, content) => {
    await using place = await folders();
    const { directory, target } = place;
    await writeFile(join(directory, segment(1)), walSegment({ number: 1 }));
    await writeFile(join(directory, `${segment(2)}.partial`), content);
    const lookup = new WalLookup({ ...options, directory, expectsWal: () => true });
    expect(await lookup.fetch(segment(2), target)).toBeUndefined();
    expect(await lookup.fetch(`${segment(2)}.partial`, target)).toBeUndefined();
  },
);

test("a partial segment of a wrong size that has WAL is damaged all the same", async () => {
  await using place = await folders();
  const { directory, target } = place;
  await writeFile(join(directory, `${segment(2)}.partial`), walSegment({ number: 2 }).subarray(0, 8192));
  const lookup = new WalLookup({ ...options, directory, expectsWal: () => true });
  expect(await failure(lookup.fetch(segment(2), target))).toBe("damaged");
});
