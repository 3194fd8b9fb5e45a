/** Brings a snapshot to a target, each file of it once. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { BackupManifest } from "../common/archive/backup-manifest.ts";
import { parseMeta } from "../common/tsdb/meta.ts";
import { isUlid } from "../common/tsdb/ulid.ts";
import { fileDigest } from "./manifest-route.ts";
import type { Server } from "./server.ts";
import { EntryError, listSnapshot, openContent, type SnapshotEntry } from "./snapshot-entries.ts";
import type { Target } from "./target.ts";

export interface BackupResult {
  readonly files: number;
  /** Files that the target did not have, and their bytes. */
  readonly newFiles: number;
  readonly newBytes: number;
}

const chunkBytes = 256 * 1024;

/**
 * Brings a snapshot to the target. The manifest goes last: until then there is no backup.
 * @throws {Error} A file is not as it was listed, or the target does not take it; what was stored is used the next time.
 */
export async function backUp(
  server: Server,
  target: Target,
  snapshot: { readonly name: string; readonly verified: boolean },
  signal: AbortSignal,
): Promise<BackupResult> {
  const { name, verified } = snapshot;
  const folder = server.store.folder;
  using _ = server.holds.hold(name);
  const { entries, problems } = await listSnapshot(folder, name);
  if (problems.length > 0) throw new EntryError(problems.join("; "));
  await target.claim(signal);
  const files: BackupManifest["files"] = [];
  const blocks: BackupManifest["blocks"] = [];
  const known = new Set<string>();
  let newFiles = 0;
  let newBytes = 0;
  for (const entry of entries) {
    signal.throwIfAborted();
    const path = entry.path.slice(name.length + 1);
    const { kind, sizeBytes } = entry;
    if (kind === "folder") {
      if (isUlid(path)) blocks.push(await blockOf(join(folder, name), path));
      continue;
    }
    const digest = await fileDigest(entry, signal);
    files.push({ path, size_bytes: sizeBytes, sha256_hex: digest });
    // Blocks without deletions have equal tombstones.
    if (known.has(digest)) continue;
    known.add(digest);
    if (await target.has(digest, sizeBytes, signal)) continue;
    await target.putFile(digest, contentOf(entry, digest, signal), sizeBytes, signal);
    newFiles++;
    newBytes += sizeBytes;
    server.deps.series.count("prombackup_server_upload_bytes_total", { target: target.name }, sizeBytes);
  }
  const completed = new Date(server.deps.now()).toISOString();
  await target.complete({ version: 1, name, owner: target.owner, completed, verified, blocks, files }, signal);
  return { files: files.length, newFiles, newBytes };
}

async function blockOf(folder: string, ulid: string): Promise<BackupManifest["blocks"][number]> {
  const meta = parseMeta(await readFile(join(folder, ulid, "meta.json"), "utf8"));
  return { ulid, min_time: meta.minTime, max_time: meta.maxTime, level: meta.compaction.level };
}

/** The bytes of a file, which must be those of the digest. @throws {EntryError} */
async function* contentOf(entry: SnapshotEntry, digest: string, signal: AbortSignal): AsyncGenerator<Uint8Array> {
  await using content = await openContent(entry);
  const hash = new Bun.CryptoHasher("sha256");
  for (let at = 0; at < entry.sizeBytes; ) {
    signal.throwIfAborted();
    // A storage may keep a chunk while it asks for the next.
    const chunk = Buffer.allocUnsafeSlow(Math.min(chunkBytes, entry.sizeBytes - at));
    await content.fill(chunk, at);
    hash.update(chunk);
    at += chunk.length;
    yield chunk;
  }
  await content.settle();
  if (hash.digest("hex") !== digest) throw new EntryError(`${entry.path}: its bytes have changed since they were read`);
}
