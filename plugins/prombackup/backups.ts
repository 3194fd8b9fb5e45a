/** Brings snapshots to a target, each file of them once, and forgets the backups that no rule keeps. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { type BackupManifest, fileName, manifestName, parseManifest } from "../common/archive/backup-manifest.ts";
import { parseMeta } from "../common/tsdb/meta.ts";
import { isUlid } from "../common/tsdb/ulid.ts";
import { fileDigest } from "./manifest-route.ts";
import { type Keep, keptBy } from "./retention.ts";
import type { Server } from "./server.ts";
import { EntryError, listSnapshot, openContent, type SnapshotEntry } from "./snapshot-entries.ts";
import type { Target } from "./target.ts";

export interface BackupResult {
  readonly snapshot: string;
  readonly files: number;
  /** Files that the target did not have, and their bytes. */
  readonly newFiles: number;
  readonly newBytes: number;
}

export interface TargetContent {
  readonly backups: readonly BackupManifest[];
  /** Of the files that the backups name, each counted once. */
  readonly sizeBytes: number;
}

const chunkBytes = 256 * 1024;

export class Backups {
  readonly #server: Server;
  readonly #target: Target;

  constructor(server: Server, target: Target) {
    this.#server = server;
    this.#target = target;
  }

  get kind(): string {
    return this.#target.kind;
  }

  /**
   * Brings a snapshot to the target. The manifest goes last: until then there is no backup.
   * @throws {Error} A file is not as it was listed, or the target does not take it; what was stored is used the next time.
   */
  async store(name: string, verified: boolean, signal: AbortSignal): Promise<BackupResult> {
    using _ = this.#server.holds.hold(name);
    const { entries, problems } = await listSnapshot(this.#server.store.folder, name);
    if (problems.length > 0) throw new EntryError(problems.join("; "));
    const files: BackupManifest["files"] = [];
    const blocks: BackupManifest["blocks"] = [];
    let newFiles = 0;
    let newBytes = 0;
    for (const entry of entries) {
      signal.throwIfAborted();
      const path = entry.path.slice(name.length + 1);
      if (entry.kind === "folder") {
        if (isUlid(path)) blocks.push(await this.#blockOf(name, path));
        continue;
      }
      const sha256_hex = await fileDigest(entry, signal);
      files.push({ path, size_bytes: entry.sizeBytes, sha256_hex });
      const there = await this.#target.stat(fileName(sha256_hex));
      // Another size would be damage: what is stored under a digest has been whole once.
      if (there?.sizeBytes === entry.sizeBytes) continue;
      await this.#target.put(fileName(sha256_hex), contentOf(entry, sha256_hex, signal));
      newFiles++;
      newBytes += entry.sizeBytes;
      this.#server.deps.series.count("prombackup_server_upload_bytes_total", { target: this.kind }, entry.sizeBytes);
    }
    const completed = new Date(this.#server.deps.now()).toISOString();
    const manifest: BackupManifest = { version: 1, name, completed, verified, blocks, files };
    await this.#target.put(manifestName(name), textOf(`${JSON.stringify(manifest, null, 1)}\n`));
    return { snapshot: name, files: files.length, newFiles, newBytes };
  }

  /** @throws {Error} The target cannot be read, or a manifest in it. */
  async content(): Promise<TargetContent> {
    const backups: BackupManifest[] = [];
    for (const { name } of await this.#target.list("backups")) {
      if (name.endsWith(".json")) backups.push(parseManifest(await gather(this.#target.get(name))));
    }
    const sizes = new Map(backups.flatMap(({ files }) => files.map((file) => [file.sha256_hex, file.size_bytes])));
    return { backups, sizeBytes: [...sizes.values()].reduce((sum, size) => sum + size, 0) };
  }

  /**
   * Removes the backups that no rule keeps, but never the newest, nor the newest verified; then the files that no manifest names.
   * @returns How many backups. @throws {Error} A manifest cannot be read: then nothing is removed, for its files are not known.
   */
  async forget(keep: Keep): Promise<number> {
    const { backups } = await this.content();
    // Not the moments of the snapshots' names: two may be of one second.
    const dated = backups.map((backup) => ({ ...backup, timeMs: Date.parse(backup.completed) }));
    const newestFirst = [...dated].sort((one, other) => other.timeMs - one.timeMs);
    const kept = keptBy(dated, keep, this.#server.deps.now());
    for (const one of [newestFirst[0], newestFirst.find(({ verified }) => verified)]) if (one) kept.add(one.name);
    const gone = dated.filter(({ name }) => !kept.has(name));
    for (const { name } of gone) await this.#target.delete(manifestName(name));
    const named = new Set(
      dated.filter(({ name }) => kept.has(name)).flatMap(({ files }) => files.map((file) => fileName(file.sha256_hex))),
    );
    for (const { name } of await this.#target.list("files")) if (!named.has(name)) await this.#target.delete(name);
    return gone.length;
  }

  async #blockOf(name: string, ulid: string): Promise<BackupManifest["blocks"][number]> {
    const meta = parseMeta(await readFile(join(this.#server.store.folder, name, ulid, "meta.json"), "utf8"));
    return { ulid, min_time: meta.minTime, max_time: meta.maxTime, level: meta.compaction.level };
  }
}

/** The bytes of a file, which must be those of the digest. @throws {EntryError} */
async function* contentOf(entry: SnapshotEntry, digest: string, signal: AbortSignal): AsyncGenerator<Uint8Array> {
  await using content = await openContent(entry);
  const hash = new Bun.CryptoHasher("sha256");
  for (let at = 0; at < entry.sizeBytes; ) {
    signal.throwIfAborted();
    const chunk = Buffer.allocUnsafeSlow(Math.min(chunkBytes, entry.sizeBytes - at));
    await content.fill(chunk, at);
    hash.update(chunk);
    at += chunk.length;
    yield chunk;
  }
  await content.settle();
  if (hash.digest("hex") !== digest) throw new EntryError(`${entry.path}: its bytes have changed since they were read`);
}

async function* textOf(text: string): AsyncGenerator<Uint8Array> {
  yield Buffer.from(text);
}

async function gather(chunks: AsyncIterable<Uint8Array>): Promise<string> {
  const parts: Uint8Array[] = [];
  for await (const chunk of chunks) parts.push(chunk);
  return Buffer.concat(parts).toString("utf8");
}
