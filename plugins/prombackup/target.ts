/** One place where backups are kept: `backups/NAME.json`, whose files are `files/xx/DIGEST`, each there once. */
import type { Log } from "holdfast";
import { type BackupManifest, fileName, manifestName, parseManifest } from "../common/archive/backup-manifest.ts";
import { collect } from "../common/storage/content.ts";
import type { Content, Storage, StoredObject } from "../common/storage/storage.ts";
import { snapshotTime } from "../common/tsdb/snapshot-name.ts";
import { type Keep, keptBy } from "./retention.ts";
import type { TargetSettings } from "./settings.ts";
import { messageOf } from "./state.ts";

export interface TargetContent {
  readonly backups: readonly BackupManifest[];
  /** Of the files that the backups name, each counted once. */
  readonly sizeBytes: number;
}

export interface TargetOptions {
  /** As the configuration calls it, and the label of metrics. */
  readonly name: string;
  /** Whose backups these are: others in the same place are left alone. */
  readonly owner: string;
  readonly settings: TargetSettings;
  readonly log: Log;
  now(): number;
}

/** A manifest of many thousand blocks has fewer. */
const mostManifestBytes = 64 << 20;

/**
 * What no manifest names stays for so long: it may belong to a backup that is being written, by an agent that should not
 * write here, but does.
 */
const graceMs = 24 * 3_600_000;
/** Who has not begun a backup for so long does not write one now. */
const ownerMs = 7 * 24 * 3_600_000;

export class Target implements AsyncDisposable {
  readonly name: string;
  readonly owner: string;
  readonly settings: TargetSettings;
  readonly #log: Log;
  readonly #now: () => number;
  #storage: Promise<Storage> | undefined;
  /** Manifests that were read, by name, size and time. */
  #manifests = new Map<string, BackupManifest>();
  /** Names of backups that were there, and that nobody here has removed. */
  readonly #seen = new Set<string>();
  /** As it was when last looked at; undefined where it could not be looked at. */
  known: TargetContent | undefined;
  /** Whether the last look at it failed. */
  isUnreadable = false;

  constructor({ name, owner, settings, log, now }: TargetOptions) {
    this.name = name;
    this.owner = owner;
    this.settings = settings;
    this.#log = log;
    this.#now = now;
  }

  /** Tries out what will be needed; makes the folder. @throws {StorageError} What does not work, and what would help. */
  async check(signal: AbortSignal): Promise<void> {
    const warnings = await (await this.#open()).check({ signal });
    for (const warning of warnings) this.#log.warn("The target deserves attention", { target: this.name, warning });
  }

  /** Says that this owner is about to write here: from now on nobody else removes files that no manifest names. */
  async claim(signal: AbortSignal): Promise<void> {
    const bytes = Buffer.from(`${JSON.stringify({ owner: this.owner, at: new Date(this.#now()).toISOString() })}\n`);
    await (await this.#open()).put(markerName(this.owner), bytes, { sizeBytes: bytes.length, signal });
  }

  /** Whether a file is there. One of another size is damaged: what is stored under a digest has been whole once. */
  async has(sha256Hex: string, sizeBytes: number, signal: AbortSignal): Promise<boolean> {
    const found = await (await this.#open()).stat(fileName(sha256Hex), { signal });
    return found?.sizeBytes === sizeBytes;
  }

  async putFile(sha256Hex: string, content: Content, sizeBytes: number, signal: AbortSignal): Promise<void> {
    await (await this.#open()).put(fileName(sha256Hex), content, { sizeBytes, signal });
  }

  /** Makes a backup of the files that were put: until then there is none. */
  async complete(manifest: BackupManifest, signal: AbortSignal): Promise<void> {
    const bytes = Buffer.from(`${JSON.stringify(manifest, null, 1)}\n`);
    await (await this.#open()).put(manifestName(manifest.name), bytes, { sizeBytes: bytes.length, signal });
    this.#seen.add(manifest.name);
  }

  /** Looks at what there is. Never throws: what cannot be looked at is unknown, and logged. */
  async refresh(signal: AbortSignal): Promise<void> {
    try {
      this.known = await this.#content(signal);
      this.isUnreadable = false;
    } catch (error) {
      this.known = undefined;
      this.isUnreadable = !signal.aborted;
      if (!signal.aborted) this.#log.warn("Cannot read the target", { target: this.name, error: messageOf(error) });
    }
  }

  /**
   * Removes the backups that no rule keeps, but never the newest, nor the newest verified, nor those of another owner; then the
   * files that no manifest names, unless somebody else writes here.
   * @param keep Undefined: all backups.
   * @returns How many backups. @throws {Error} A manifest cannot be read, or is not listed: then no file is removed, for its own are
   *   not known.
   */
  async forget(keep: Keep | undefined, signal: AbortSignal): Promise<number> {
    const storage = await this.#open();
    const gone =
      keep === undefined ? [] : this.#notKept((await this.#content(signal)).backups.filter(this.#isOwn), keep);
    await storage.delete(gone.map(manifestName), { signal });
    for (const name of gone) this.#seen.delete(name);
    await this.#sweep(storage, signal);
    return gone.length;
  }

  /** As far as is known: another owner's are of another Prometheus. */
  ownBackups(): readonly BackupManifest[] {
    return (this.known?.backups ?? []).filter(this.#isOwn);
  }

  /** Of when the newest verified backup of this owner is, Unix milliseconds, as far as is known. */
  newestVerifiedMs(): number | undefined {
    const times = this.ownBackups().flatMap(({ name, verified }) => (verified ? (snapshotTime(name) ?? []) : []));
    return times.length === 0 ? undefined : Math.max(...times);
  }

  /** Those of earlier versions have no owner. */
  readonly #isOwn = ({ owner }: BackupManifest): boolean => owner === undefined || owner === this.owner;

  #notKept(backups: readonly BackupManifest[], keep: Keep): string[] {
    // Not the moments of the snapshots' names: two may be of one second.
    const dated = backups.map((backup) => ({ ...backup, timeMs: Date.parse(backup.completed) }));
    const now = this.#now();
    // Of a clock that was set back since: they stay, and must not take the places of those that are made now.
    const known = dated.filter(({ timeMs }) => timeMs <= now);
    const newestFirst = [...known].sort((one, other) => other.timeMs - one.timeMs);
    const kept = keptBy(known, keep, now);
    for (const one of [newestFirst[0], newestFirst.find(({ verified }) => verified)]) if (one) kept.add(one.name);
    return known.map(({ name }) => name).filter((name) => !kept.has(name));
  }

  /** Removes what crashes and forgotten backups left behind. */
  async #sweep(storage: Storage, signal: AbortSignal): Promise<void> {
    const others = await this.#others(storage, signal);
    if (others.length > 0) {
      this.#log.warn("Another instance keeps backups in the same target: files that no backup names are not removed", {
        target: this.name,
        owner: this.owner,
        others: others.join(", "),
      });
      return;
    }
    const before = new Date(this.#now() - graceMs);
    // Looked at again: a manifest that came meanwhile counts.
    const { backups } = await this.#content(signal);
    await this.#requireListed(storage, backups, signal);
    const named = new Set(backups.flatMap(({ files }) => files.map((file) => fileName(file.sha256_hex))));
    await storage.delete(unnamed(storage.list("files", { signal }), named, before), { signal });
    await storage.removeUnfinished(before, { signal });
  }

  /** Some storages list late, or half: files of a backup that is not listed would be removed. @throws {Error} */
  async #requireListed(storage: Storage, backups: readonly BackupManifest[], signal: AbortSignal): Promise<void> {
    const listed = new Set(backups.map(({ name }) => name));
    for (const name of this.#seen.difference(listed)) {
      if (await storage.stat(manifestName(name), { signal }))
        throw new Error(`Cannot rely on ${storage.description}: its list lacks ${name}, which is there`);
      this.#seen.delete(name);
    }
  }

  /** Markers of others that are not old. */
  async #others(storage: Storage, signal: AbortSignal): Promise<string[]> {
    const others: string[] = [];
    for await (const { name, modified } of storage.list("owners", { signal })) {
      if (name !== markerName(this.owner) && this.#now() - modified.getTime() < ownerMs) others.push(name);
    }
    return others;
  }

  /** @throws {Error} The target cannot be read, or a manifest in it. */
  async #content(signal: AbortSignal): Promise<TargetContent> {
    const storage = await this.#open();
    const manifests = new Map<string, BackupManifest>();
    for await (const object of storage.list("backups", { signal })) {
      if (!object.name.endsWith(".json")) continue;
      const key = `${object.name} ${object.sizeBytes} ${object.modified.getTime()}`;
      manifests.set(key, this.#manifests.get(key) ?? (await readManifest(storage, object.name, signal)));
    }
    this.#manifests = manifests;
    const backups = [...manifests.values()];
    for (const { name } of backups) this.#seen.add(name);
    const sizes = new Map(backups.flatMap(({ files }) => files.map((file) => [file.sha256_hex, file.size_bytes])));
    return { backups, sizeBytes: [...sizes.values()].reduce((sum, size) => sum + size, 0) };
  }

  /** When it is first needed: a target that cannot be opened must not keep snapshots from being downloaded. */
  async #open(): Promise<Storage> {
    // Loaded with the first backup: most instances need neither S3 nor SSH.
    this.#storage ??= import("../common/storage/open.ts").then(({ openStorage }) =>
      openStorage(this.settings.storage, { environment: process.env }),
    );
    try {
      return await this.#storage;
    } catch (error) {
      this.#storage = undefined;
      throw error;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const storage = await this.#storage?.catch(() => undefined);
    await storage?.[Symbol.asyncDispose]();
  }
}

/** Owners are texts of any kind; names of objects are not. */
const markerName = (owner: string) =>
  `owners/${owner.replace(/[^A-Za-z0-9_-]+/g, "-").slice(0, 80)}-${sha256(owner)}.json`;
const sha256 = (text: string) => new Bun.CryptoHasher("sha256").update(text).digest("hex").slice(0, 8);

async function* unnamed(
  objects: AsyncIterable<StoredObject>,
  named: ReadonlySet<string>,
  before: Date,
): AsyncGenerator<string> {
  for await (const { name, modified } of objects) if (!named.has(name) && modified < before) yield name;
}

async function readManifest(storage: Storage, name: string, signal: AbortSignal): Promise<BackupManifest> {
  const { stream } = await storage.get(name, { signal });
  const text = Buffer.from(await collect(stream, mostManifestBytes)).toString("utf8");
  try {
    const manifest = parseManifest(text);
    // What is removed is found by this name.
    if (manifestName(manifest.name) !== name) throw new Error(`it is that of ${JSON.stringify(manifest.name)}`);
    return manifest;
  } catch (cause) {
    throw new Error(`Cannot read ${name} in ${storage.description}: ${messageOf(cause)}`, { cause });
  }
}
