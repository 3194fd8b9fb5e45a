/**
 * An archive of WAL in a storage: whole, verified files under the names of PostgreSQL. What holdfast and every version of
 * pgrwl have stored is found and read, in any format, whatever the settings say of what is written now.
 */
import { createHash, randomBytes } from "node:crypto";
import { createReadStream } from "node:fs";
import { open, rename, rm } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { encode, extensionOf } from "../codec/codec.ts";
import type { CodecSettings } from "../codec/settings.ts";
import { StorageError } from "../storage/errors.ts";
import type { OperationOptions, PutResult, Storage, StoredObject } from "../storage/storage.ts";
import { type ArchivedFile, archivedFile } from "./archived-file.ts";
import { contentFlaw, Head } from "./content.ts";
import { WalArchiveError } from "./errors.ts";
import {
  archiveFolder,
  candidatesOf,
  checkWalFileName,
  type Folder,
  objectNameOf,
  type WalFileName,
} from "./object-names.ts";
import { drain, ObjectReader, type Take } from "./object-reader.ts";
import type { Fetched, PutOptions, ReadOptions, Stored } from "./transfers.ts";

export type { ArchivedFile } from "./archived-file.ts";
export type { Fetched, PutOptions, ReadOptions, Stored } from "./transfers.ts";

export interface ArchiveOptions {
  readonly storage: Storage;
  readonly codec: CodecSettings;
  /** Which layouts are read. Default: both. A local folder that WAL is received into has its files at the root. */
  readonly folders?: readonly Folder[];
  /** Whether one request that lists is cheaper than one for each possible name. Default: false. */
  readonly listsCheaply?: boolean;
}

/**
 * All methods take the files' own names and refuse others with a RangeError. They throw WalArchiveErrors, and pass on the
 * StorageErrors of an outage or a misconfiguration, a signal's reason, and errors of files of this machine.
 */
export class WalArchive implements AsyncDisposable {
  readonly storage: Storage;
  readonly #codec: CodecSettings;
  readonly #extension: string;
  /** Where its files are looked for. */
  readonly folders: readonly Folder[];
  readonly #listsCheaply: boolean;
  readonly #reader: ObjectReader;
  /** Where the last file was found: the next one is likely beside it. */
  #likely: { readonly folder: Folder; readonly extension: string };

  constructor({ storage, codec, folders = [archiveFolder, ""], listsCheaply = false }: ArchiveOptions) {
    this.storage = storage;
    this.#codec = codec;
    this.#extension = extensionOf(codec);
    this.folders = folders;
    this.#listsCheaply = listsCheaply;
    this.#reader = new ObjectReader(storage, codec.encryption_password);
    this.#likely = { folder: archiveFolder, extension: this.#extension };
  }

  /** For messages; no secrets. */
  get description(): string {
    return this.storage.description;
  }

  /**
   * Stores a file, unless it is there already; returns once the storage has confirmed what it has.
   * @throws {WalArchiveError} `conflict`: another file of this name is there, and stays. `damaged`, `password`: what is there cannot be
   *   compared. `source`: the file is not what its name says. `unverified`.
   */
  async put(name: string, file: string, options: PutOptions = {}): Promise<Stored> {
    const parsed = checkWalFileName(name);
    const sizeBytes = await this.#checkSource(parsed, file, options);
    const [there] = await this.#findBeforePut(name, options);
    if (there !== undefined) return this.#requireEqual(parsed, there.objectName, file, options);
    const objectName = objectNameOf(name, this.#extension);
    let result: PutResult;
    try {
      const isPlain = this.#extension === "";
      const content = isPlain ? { file } : encode(createReadStream(file, { highWaterMark: 2 ** 20 }), this.#codec);
      const more = { ...(isPlain ? { sizeBytes } : {}), ...withSignal(options.signal), ifAbsent: true };
      result = await this.storage.put(objectName, content, more);
    } catch (error) {
      // Another writer came first, or an answer was lost and the request repeated.
      if (!(error instanceof StorageError && error.kind === "exists")) throw error;
      return this.#requireEqual(parsed, objectName, file, options);
    }
    await this.#confirm(result, options);
    return { objectName, outcome: "stored", storedBytes: result.sizeBytes };
  }

  /** Stores the beginning of a segment in place of what was stored of it before, in one step. @throws {WalArchiveError} `unverified`. */
  async putPartial(name: string, content: AsyncIterable<Uint8Array>, options: OperationOptions = {}): Promise<Stored> {
    if (checkWalFileName(name).kind !== "partial")
      throw new RangeError(`Cannot replace ${name}: it is no partial segment`);
    const objectName = objectNameOf(name, this.#extension);
    const encoded = this.#extension === "" ? content : encode(content, this.#codec);
    const result = await this.storage.put(objectName, encoded, withSignal(options.signal));
    await this.#confirm(result, options);
    return { objectName, outcome: "stored", storedBytes: result.sizeBytes };
  }

  /** Whether an object that was stored is there still, in the same size. */
  async has({ objectName, storedBytes }: Omit<Stored, "outcome">, { signal }: OperationOptions = {}): Promise<boolean> {
    return (await this.storage.stat(objectName, withSignal(signal)))?.sizeBytes === storedBytes;
  }

  /** Every object that holds this file, the one to be read first. None: the storage was reached and has none. */
  async find(name: string, { signal }: OperationOptions = {}): Promise<ArchivedFile[]> {
    const candidates = candidatesOf(name, this.#extension, this.folders);
    const found = new Map<string, StoredObject>();
    if (this.#listsCheaply) {
      const lists = this.folders.map(async (folder) => {
        for await (const object of this.storage.list(folder, { startsWith: name, ...withSignal(signal) }))
          found.set(object.name, object);
      });
      await Promise.all(lists);
    } else {
      const stats = candidates.map(async (candidate) => {
        const object = await this.storage.stat(candidate, withSignal(signal));
        if (object !== undefined) found.set(candidate, object);
      });
      await Promise.all(stats);
    }
    return candidates.flatMap((candidate) => archivedFile(found.get(candidate)));
  }

  /**
   * Decodes a file to a path: written beside it, verified, synced, renamed, so that it is there whole and durable, or not at all.
   * @throws {WalArchiveError} `absent`, `damaged`, `password`.
   */
  async fetch(name: string, toFile: string, options: ReadOptions = {}): Promise<Fetched> {
    const parsed = checkWalFileName(name);
    const temporary = join(dirname(toFile), `.${basename(toFile)}.${randomBytes(8).toString("hex")}.holdfast-tmp`);
    try {
      const fetched = await this.#read(parsed, options, async (stream) => {
        await using file = await open(temporary, "w", 0o600);
        // Writes each chunk as a whole.
        for await (const chunk of stream) await file.writeFile(chunk);
        await file.sync();
      });
      await rename(temporary, toFile);
      await using folder = await open(dirname(toFile), "r");
      await folder.sync();
      return fetched;
    } catch (error) {
      await rm(temporary, { force: true }).catch(() => {});
      throw error;
    }
  }

  /** A whole file in memory. @throws {WalArchiveError} `absent`, `damaged`, `password`. */
  async read(name: string, options: ReadOptions = {}): Promise<Fetched & { readonly content: Uint8Array }> {
    let content = new Uint8Array();
    const fetched = await this.#read(checkWalFileName(name), options, async (stream) => {
      const chunks: Uint8Array[] = [];
      for await (const chunk of stream) chunks.push(chunk);
      content = Buffer.concat(chunks);
    });
    return { ...fetched, content };
  }

  /** Reads one object to its end and keeps nothing. @throws {WalArchiveError} `absent`, `damaged`, `password`. */
  async verify(object: Pick<ArchivedFile, "name" | "objectName">, options: ReadOptions = {}): Promise<Fetched> {
    return this.#reader.read(checkWalFileName(object.name), object.objectName, options, drain);
  }

  /** The first bytes of one object, decoded; {@link contentFlaw} wants to see as many. The rest is not looked at. @throws {WalArchiveError} */
  async head(object: Pick<ArchivedFile, "name" | "objectName">, options: ReadOptions = {}): Promise<Uint8Array> {
    return await this.#reader.head(checkWalFileName(object.name), object.objectName, options);
  }

  /** All files of WAL, those of one folder in the order of their names. @param options `startsWith`: of the files' names. */
  async *list(options: OperationOptions & { readonly startsWith?: string } = {}): AsyncGenerator<ArchivedFile> {
    const { signal, startsWith = "" } = options;
    for (const folder of this.folders) {
      // Base backups lie beside: the numbers of timelines begin with zeros, and these names do not.
      const beginning = folder === "" && startsWith === "" ? "0" : startsWith;
      for await (const object of this.storage.list(folder, { startsWith: beginning, ...withSignal(signal) }))
        yield* archivedFile(object);
    }
  }

  /** Deletes objects that {@link find} or {@link list} gave. */
  async delete(files: Iterable<Pick<ArchivedFile, "objectName">>, { signal }: OperationOptions = {}): Promise<void> {
    const names = Array.from(files, ({ objectName }) => objectName);
    await this.storage.delete(names, withSignal(signal));
  }

  /** Closes connections. What is still under way fails. */
  async close(): Promise<void> {
    await this.storage[Symbol.asyncDispose]();
  }
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #checkSource(name: WalFileName, file: string, { segmentSizeBytes }: PutOptions): Promise<number> {
    await using opened = await open(file, "r");
    const { size: sizeBytes } = await opened.stat();
    const head = new Head();
    const { bytesRead, buffer } = await opened.read(Buffer.alloc(512), 0, 512, 0);
    head.add(buffer.subarray(0, bytesRead));
    const flaw = contentFlaw(name, { sizeBytes, head: head.bytes }, segmentSizeBytes);
    if (flaw === undefined) return sizeBytes;
    throw new WalArchiveError(
      "source",
      `Cannot archive ${file}: ${flaw}; look at it, and move it away if it is no WAL`,
    );
  }

  /** A storage whose root is not there yet is made by the first object. */
  async #findBeforePut(name: string, options: OperationOptions): Promise<ArchivedFile[]> {
    try {
      return await this.find(name, options);
    } catch (error) {
      if (error instanceof StorageError && error.kind === "misconfigured") return [];
      throw error;
    }
  }

  async #confirm({ name, sizeBytes, sha256, etag }: PutResult, { signal }: OperationOptions): Promise<void> {
    const found = await this.storage.stat(name, withSignal(signal));
    const place = `${name} in ${this.description}`;
    if (found === undefined)
      throw new WalArchiveError("unverified", `Cannot rely on ${place}: it was stored, and is not there`);
    const flaw =
      found.sizeBytes !== sizeBytes
        ? `${sizeBytes} bytes were stored, it has ${found.sizeBytes}`
        : found.sha256 !== undefined && found.sha256 !== sha256
          ? "its checksum is not that of what was stored"
          : found.etag !== undefined && etag !== undefined && found.etag !== etag
            ? "it was replaced meanwhile"
            : undefined;
    if (flaw !== undefined)
      throw new WalArchiveError("unverified", `Cannot rely on ${place}: ${flaw}; is something else writing there?`);
  }

  async #requireEqual(name: WalFileName, objectName: string, file: string, options: PutOptions): Promise<Stored> {
    const { sha256, storedBytes } = await this.#readToCompare(name, objectName, file, options);
    const hash = createHash("sha256");
    for await (const chunk of createReadStream(file, { highWaterMark: 2 ** 20 })) hash.update(chunk);
    if (hash.digest("hex") === sha256) return { objectName, outcome: "present", storedBytes };
    throw new WalArchiveError(
      "conflict",
      `Cannot archive ${file}: ${objectName} in ${this.description} has other content; ` +
        "two servers write there, or one was set back in time: give each a place of its own, or move the wrong one away",
    );
  }

  /** S3 refuses so what was moved to Glacier: another file can be stored all the same. */
  async #readToCompare(name: WalFileName, objectName: string, file: string, options: PutOptions): Promise<Fetched> {
    try {
      return await this.#reader.read(name, objectName, options, drain);
    } catch (error) {
      if (!(error instanceof StorageError && error.kind === "access-denied")) throw error;
      const message = `Cannot archive ${file}: what is there already cannot be compared with it: ${error.message}`;
      throw new WalArchiveError("damaged", message, { cause: error });
    }
  }

  /** Where a file is stored twice and one is damaged, the other is taken. */
  async #read(name: WalFileName, options: ReadOptions, take: Take): Promise<Fetched> {
    const { folder, extension } = this.#likely;
    // A beginning may be there in two formats, and the one that was stored last reaches furthest.
    const isPartial = name.kind === "partial";
    const likely =
      !isPartial && this.folders.includes(folder) ? `${folder}${folder && "/"}${name.name}${extension}` : undefined;
    let failure: unknown;
    if (likely !== undefined) {
      try {
        return await this.#reader.read(name, likely, options, take);
      } catch (error) {
        if (!(error instanceof WalArchiveError)) throw error;
        if (error.kind !== "absent") failure = error;
      }
    }
    const found = await this.find(name.name, options);
    for (const candidate of isPartial ? found.toSorted(newestFirst) : found) {
      if (candidate.objectName === likely) continue;
      try {
        const fetched = await this.#reader.read(name, candidate.objectName, options, take);
        if (!isPartial) this.#likely = candidate;
        return fetched;
      } catch (error) {
        if (!(error instanceof WalArchiveError)) throw error;
        if (error.kind !== "absent") failure ??= error;
      }
    }
    if (failure !== undefined) throw failure;
    throw new WalArchiveError("absent", `There is no ${name.name} in ${this.description}`);
  }
}

const newestFirst = (one: ArchivedFile, other: ArchivedFile) => other.modified.getTime() - one.modified.getTime();
const withSignal = (signal?: AbortSignal) => (signal === undefined ? {} : { signal });
