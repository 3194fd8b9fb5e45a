/** Takes a backup out of the place that a schedule keeps it in: `backups/NAME.json` beside `files/`. */
import { mkdir, open } from "node:fs/promises";
import { dirname, join } from "node:path";
import {
  type BackupManifest,
  fileName,
  manifestName,
  parseManifest,
} from "../../../plugins/common/archive/backup-manifest.ts";
import { ArchiveError } from "../../../plugins/common/archive/tar-read.ts";
import { writeAll } from "../../../plugins/common/archive/write-all.ts";
import { collect } from "../../../plugins/common/storage/content.ts";
import type { Storage } from "../../../plugins/common/storage/storage.ts";

const mostManifestBytes = 64 << 20;

/** All backups, the newest first. @throws {Error} The storage cannot be read, or a manifest in it. */
export async function listBackups(storage: Storage): Promise<BackupManifest[]> {
  const backups: BackupManifest[] = [];
  for await (const { name } of storage.list("backups")) {
    if (name.endsWith(".json")) backups.push(await readManifest(storage, name));
  }
  return backups.sort((one, other) => Date.parse(other.completed) - Date.parse(one.completed));
}

/** @param name A snapshot's, or `latest`. @throws {Error} There is none. */
export async function findBackup(storage: Storage, name: string): Promise<BackupManifest> {
  if (name !== "latest") return await readManifest(storage, manifestName(name));
  const [newest] = await listBackups(storage);
  if (newest === undefined) throw new Error(`There is no backup in ${storage.description}`);
  return newest;
}

/** @throws {ArchiveError} It is no manifest. @throws {Error} There is none, or it cannot be read. */
export async function readManifest(storage: Storage, name: string): Promise<BackupManifest> {
  const { stream } = await storage.get(name);
  const text = Buffer.from(await collect(stream, mostManifestBytes)).toString("utf8");
  try {
    return parseManifest(text);
  } catch (cause) {
    const found = cause instanceof Error ? cause.message : cause;
    throw new ArchiveError(`Cannot read ${name} in ${storage.description}: ${found}`, { cause });
  }
}

/** @throws {ArchiveError} A file is not what its digest says. @throws {Error} A file is missing, or cannot be read. */
export async function copyBackup(
  storage: Storage,
  manifest: BackupManifest,
  target: string,
  wants: (ulid: string) => boolean,
  wrote: (bytes: number) => void,
): Promise<void> {
  for (const { path, size_bytes, sha256_hex } of manifest.files) {
    if (!wants(path.split("/")[0] ?? "")) continue;
    const destination = join(target, path);
    await mkdir(dirname(destination), { recursive: true, mode: 0o755 });
    await using file = await open(destination, "wx", 0o644);
    const { stream, sizeBytes } = await storage.get(fileName(sha256_hex));
    const hash = new Bun.CryptoHasher("sha256");
    let bytes = 0;
    // Not more than announced: what is damaged must not fill the disk.
    if (sizeBytes !== size_bytes) {
      await stream.cancel();
      throw new ArchiveError(`${path} is damaged: it has ${sizeBytes} bytes, expected ${size_bytes}`);
    }
    for await (const chunk of stream) {
      hash.update(chunk);
      bytes += chunk.length;
      await writeAll(file, chunk);
      wrote(chunk.length);
    }
    const digest = hash.digest("hex");
    if (bytes !== size_bytes || digest !== sha256_hex) {
      throw new ArchiveError(`${path} is damaged: ${bytes} bytes with the digest ${digest}, expected ${sha256_hex}`);
    }
    await file.sync();
  }
}

/** A file of a backup that cannot be restored. */
export interface DamagedFile {
  readonly path: string;
  /** Where it is stored: without it the next backup stores the file anew, if the snapshot still has it. */
  readonly stored: string;
  readonly found: string;
}

/** Reads every file of a backup, each content once. @throws {Error} The storage cannot be reached. */
export async function damagedFiles(storage: Storage, { files }: BackupManifest): Promise<DamagedFile[]> {
  const damaged: DamagedFile[] = [];
  const known = new Map<string, string | undefined>();
  for (const { path, size_bytes, sha256_hex } of files) {
    const stored = fileName(sha256_hex);
    if (!known.has(stored)) known.set(stored, await damageOf(storage, stored, size_bytes, sha256_hex));
    const found = known.get(stored);
    if (found !== undefined) damaged.push({ path, stored, found });
  }
  return damaged;
}

async function damageOf(storage: Storage, stored: string, size: number, digest: string): Promise<string | undefined> {
  if (!(await storage.stat(stored))) return "it is missing";
  const { stream } = await storage.get(stored);
  const hash = new Bun.CryptoHasher("sha256");
  let bytes = 0;
  for await (const chunk of stream) {
    hash.update(chunk);
    bytes += chunk.length;
  }
  if (bytes !== size) return `it has ${bytes} bytes, expected ${size}`;
  const found = hash.digest("hex");
  return found === digest ? undefined : `its digest is ${found}`;
}
