/** Whether received WAL is what it must be, byte for byte. Each function lists what differs: an empty list is good. */
import { createReadStream } from "node:fs";
import { open, readdir, stat } from "node:fs/promises";
import { join } from "node:path";

/** SHA-256 of ended segments that were read before: they do not change. By path, inode, size and time. */
export type KnownDigests = Map<string, string>;

/** Files of both folders, by name and SHA-256. Other entries than files count by their names. */
export async function folderDifferences(
  one: string,
  other: string,
  known: KnownDigests = new Map(),
): Promise<string[]> {
  const [first, second] = await Promise.all([digests(one, known), digests(other, known)]);
  const names = [...new Set([...first.keys(), ...second.keys()])].sort();
  return names.flatMap((name) => {
    const [here, there] = [first.get(name), second.get(name)];
    if (here === there) return [];
    if (here === undefined) return [`${name}: only in ${other}`];
    if (there === undefined) return [`${name}: only in ${one}`];
    return [`${name}: ${here} in ${one}, ${there} in ${other}`];
  });
}

/** Size and SHA-256 of each file. */
async function digests(folder: string, known: KnownDigests): Promise<Map<string, string>> {
  const found = new Map<string, string>();
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    found.set(entry.name, entry.isFile() ? `${(await stat(path)).size} bytes ${await sha256(path, known)}` : "no file");
  }
  return found;
}

async function sha256(path: string, known: KnownDigests): Promise<string> {
  const { ino, size, mtimeMs } = await stat(path);
  const key = `${path} ${ino} ${size} ${mtimeMs}`;
  const before = known.get(key);
  if (before !== undefined) return before;
  const hasher = new Bun.CryptoHasher("sha256");
  for await (const bytes of createReadStream(path, { highWaterMark: 2 ** 20 })) hasher.update(bytes);
  const digest = hasher.digest("hex");
  if (/\/[0-9A-F]{24}$/.test(path)) known.set(key, digest);
  return digest;
}

/** Whole segments and history files of `folder` against those of the same names that the server still has in its `pg_wal`. */
export async function serverDifferences(
  folder: string,
  dataFolder: string,
  known: KnownDigests = new Map(),
): Promise<{ compared: number; differences: string[] }> {
  const own = new Set(await readdir(join(dataFolder, "pg_wal")));
  const names = (await readdir(folder)).filter(
    (name) => /^([0-9A-F]{24}|[0-9A-F]{8}\.history)$/.test(name) && own.has(name),
  );
  const differences: string[] = [];
  for (const name of names.sort()) {
    const [here, there] = await Promise.all([
      sha256(join(folder, name), known),
      sha256(join(dataFolder, "pg_wal", name), known),
    ]);
    if (here !== there) differences.push(`${name}: ${here} received, ${there} at the server`);
  }
  return { compared: names.length, differences };
}

/**
 * A `.partial` against the segment that it will become: equal up to `receivedBytes`, of full size, and zero from its last
 * received byte on.
 * @param receivedBytes How much of it must be there; there may be more.
 */
export async function partialDifferences(partial: string, segment: string, receivedBytes: number): Promise<string[]> {
  // Not at once: while WAL comes, what is read of the server later has everything that was received before.
  const here = await readWhole(partial);
  const there = await readWhole(segment);
  if (here.length !== there.length) return [`${partial}: ${here.length} bytes, expected ${there.length}`];
  const end = dataEnd(here);
  if (end < dataEnd(there.subarray(0, receivedBytes)))
    return [`${partial}: data up to ${end}, expected ${receivedBytes}`];
  const known = Math.max(end, receivedBytes);
  const different = firstDifference(here.subarray(0, known), there.subarray(0, known));
  return different === undefined
    ? []
    : [
        `${partial}: differs from ${segment} at byte ${different}, of ${end} here and ${receivedBytes} known to be received`,
      ];
}

/** The offset after the last byte that is not zero. */
export function dataEnd(bytes: Buffer): number {
  let end = bytes.length;
  const zeros = Buffer.alloc(8192);
  while (
    end > 0 &&
    bytes.subarray(Math.max(0, end - zeros.length), end).equals(zeros.subarray(0, Math.min(end, zeros.length)))
  ) {
    end = Math.max(0, end - zeros.length);
  }
  while (end > 0 && bytes[end - 1] === 0) end--;
  return end;
}

function firstDifference(one: Buffer, other: Buffer): number | undefined {
  if (one.equals(other)) return undefined;
  return one.findIndex((byte, at) => byte !== other[at]);
}

async function readWhole(path: string): Promise<Buffer> {
  const file = await open(path);
  try {
    return await file.readFile();
  } finally {
    await file.close();
  }
}
