/** `GET /api/manifest` and `GET /api/digest`: what is in a snapshot, and the digest of its tar without a download. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { type BlockMeta, parseMeta } from "../common/tsdb/meta.ts";
import { isUlid } from "../common/tsdb/ulid.ts";
import { json, textError } from "./answers.ts";
import { archiveStream, tarLayout } from "./formats.ts";
import type { Server } from "./server.ts";
import { EntryError, listSnapshot, openContent, type SnapshotEntry, stateOf } from "./snapshot-entries.ts";

/** Digests of files that have not changed since; a file's identity is its inode, size and time. */
const fileDigests = new Map<string, string>();
const mostDigests = 20_000;

/** What reads and hashes waits for nothing: others are answered after so many bytes. */
const breathBytes = 4 << 20;
const breath = () => new Promise<void>((resolve) => setImmediate(resolve));

/** SHA-256 of a file of a snapshot. @throws {EntryError} It is not as it was listed. */
export async function fileDigest(entry: SnapshotEntry, signal?: AbortSignal): Promise<string> {
  const key = `${entry.inode}:${entry.sizeBytes}:${entry.mtimeNs}`;
  const known = fileDigests.get(key);
  if (known !== undefined) return known;
  await using content = await openContent(entry);
  const hash = new Bun.CryptoHasher("sha256");
  const buffer = Buffer.allocUnsafe(Math.min(1 << 18, entry.sizeBytes));
  for (let at = 0; at < entry.sizeBytes; ) {
    signal?.throwIfAborted();
    const part = buffer.subarray(0, Math.min(buffer.length, entry.sizeBytes - at));
    await content.fill(part, at);
    hash.update(part);
    at += part.length;
    if (at % breathBytes < part.length) await breath();
  }
  await content.settle();
  const digest = hash.digest("hex");
  if (fileDigests.size >= mostDigests) fileDigests.clear();
  fileDigests.set(key, digest);
  return digest;
}

/** Blocks and files of a snapshot, each file with its digest. */
export async function manifestOf(server: Server, name: string, signal: AbortSignal): Promise<Response> {
  using _ = server.holds.hold(name);
  const listing = await listSnapshot(server.store.folder, name).catch(() => undefined);
  if (!listing) return textError(404, `snapshot not found: ${name}`);
  if (listing.problems.length > 0) return textError(500, listing.problems.join("; "));
  const blocks: BlockMeta[] = [];
  const files: { path: string; size_bytes: number; mtime: string; sha256_hex: string }[] = [];
  try {
    for (const entry of listing.entries) {
      const below = entry.path.slice(name.length + 1);
      if (isUlid(below)) {
        blocks.push(parseMeta(await readFile(join(server.store.folder, name, below, "meta.json"), "utf8")));
      }
      if (entry.kind === "folder") continue;
      const mtime = new Date(Number(entry.mtimeNs / 1_000_000n)).toISOString();
      files.push({ path: below, size_bytes: entry.sizeBytes, mtime, sha256_hex: await fileDigest(entry, signal) });
    }
  } catch (error) {
    signal.throwIfAborted();
    return textError(
      500,
      error instanceof EntryError ? error.message : `Reading ${name} failed: a meta.json cannot be read`,
    );
  }
  return json({ name, blocks, files });
}

/** Digests of whole tars, by the state of their files. */
const tarDigests = new Map<string, string>();
const mostTarDigests = 100;

/** Undefined where nobody has read the whole tar of this state yet. A disk that rots since is noticed by who compares. */
export const knownTarDigest = (state: string): string | undefined => tarDigests.get(state);

export function rememberTarDigest(state: string, sha256Hex: string): void {
  if (tarDigests.size >= mostTarDigests) tarDigests.clear();
  tarDigests.set(state, sha256Hex);
}

/** The digest of the tar of a snapshot: for a client that has it in pieces. */
export async function digestOf(server: Server, name: string, signal: AbortSignal): Promise<Response> {
  using _ = server.holds.hold(name);
  const listing = await listSnapshot(server.store.folder, name).catch(() => undefined);
  if (!listing) return textError(404, `snapshot not found: ${name}`);
  const { entries, problems } = listing;
  if (problems.length > 0) return textError(500, problems.join("; "));
  const state = stateOf(entries);
  let digest = tarDigests.get(state);
  if (digest === undefined) {
    const hash = new Bun.CryptoHasher("sha256");
    try {
      let at = 0;
      for await (const chunk of archiveStream({ name, format: "tar", entries, moment: 0 })) {
        signal.throwIfAborted();
        hash.update(chunk);
        at += chunk.length;
        if (at % breathBytes < chunk.length) await breath();
      }
    } catch (error) {
      signal.throwIfAborted();
      return textError(500, error instanceof Error ? error.message : String(error));
    }
    digest = hash.digest("hex");
    rememberTarDigest(state, digest);
  }
  return json({ name, etag: `"${state}"`, size_bytes: tarLayout(entries).sizeBytes, sha256_hex: digest });
}
