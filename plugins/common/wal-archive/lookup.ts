/**
 * Finds a WAL file in the receiver's folder and in an archive. A segment that is whole anywhere goes before what there is of its
 * beginning, and nothing is absent as long as one place could not be asked.
 */
import { createHash } from "node:crypto";
import { constants } from "node:fs";
import { copyFile, readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { isSegmentName } from "../postgres/wal-segments.ts";
import { codeOf, messageOf } from "../storage/errors.ts";
import type { WalArchive } from "./archive.ts";
import { WalArchiveError } from "./errors.ts";
import { foreignSystem } from "./foreign.ts";
import { parseWalFileName } from "./object-names.ts";
import { checkSegmentFile, isUnbegun, SegmentError } from "./segment-file.ts";
import { type FetchOptions, type Found, type WalSource, WalSourceError } from "./wal-source.ts";

export interface LookupOptions {
  /** The receiver's folder on this machine. */
  readonly directory?: string | undefined;
  /** Whether that folder must be there, as on the receiver's own machine. Without an archive it must in any case. */
  readonly needsDirectory?: boolean;
  /** @throws What the archive that is configured cannot be opened for: then nothing is known to be absent. */
  readonly archive?: (() => WalArchive) | undefined;
  /** Of both, for messages. */
  readonly description: string;
  /** Whether the `.partial` of a segment may stand for it, where the segment is nowhere whole. */
  servesPartial(): boolean;
  /**
   * Whether a place without any WAL is an error: somebody who restores from it has named the wrong one, or its disk is not
   * mounted, and they would else be told that there is no more. `anywhere`: an archive may be empty where the directory is not.
   */
  expectsWal?(): boolean | "anywhere";
  /** Whose WAL it must be, where that is known: an archive with another cluster's only is an error as well. */
  readonly systemIdentifier?: string | undefined;
}

export interface FoundContent {
  readonly found: Found;
  readonly content: Uint8Array;
  /** Hexadecimal. */
  readonly sha256: string;
}

/** What is done with the place that has the file. `local`: undefined when it has gone meanwhile. */
interface Take<Value> {
  local(path: string): Promise<Value | undefined>;
  archived(archive: WalArchive, name: string): Promise<Value>;
}

interface Place<Value> {
  readonly found: Found;
  readonly value: Value;
}

/** Where a file of this machine is the one that was asked for. */
export interface LocalFile {
  readonly path: string;
  readonly found: Found;
}

export class WalLookup implements WalSource {
  readonly description: string;
  readonly #options: LookupOptions;

  constructor(options: LookupOptions) {
    this.#options = options;
    this.description = options.description;
  }

  async fetch(name: string, path: string, options: FetchOptions = {}): Promise<Found | undefined> {
    const limits = withSignal(options.signal);
    const place = await this.#look(name, options, {
      local: (file) => ifThere(file, () => copyFile(file, path, constants.COPYFILE_FICLONE).then(() => true)),
      archived: (archive, file) => archive.fetch(file, path, limits).then(() => true),
    });
    return place?.found;
  }

  /** The same in memory, with its checksum. @param options `mostBytes`: what decodes to more is damaged. */
  async read(
    name: string,
    options: FetchOptions & { readonly mostBytes?: number } = {},
  ): Promise<FoundContent | undefined> {
    const limits = { ...withSignal(options.signal), mostBytes: options.mostBytes };
    const place = await this.#look(name, options, {
      local: (file) => ifThere(file, async () => withChecksum(await readFile(file))),
      archived: (archive, file) => archive.read(file, limits),
    });
    return place && { found: place.found, content: place.value.content, sha256: place.value.sha256 };
  }

  async #look<Value>(name: string, options: FetchOptions, take: Take<Value>): Promise<Place<Value> | undefined> {
    const { signal, wholeOnly = false } = options;
    // What is not sound here may be sound in the archive; what is in neither is not absent all the same.
    let flaw: { readonly error: unknown } | undefined;
    const local = await this.#local(name, take).catch((error: unknown) => {
      flaw = { error };
      return undefined;
    });
    if (local) return local;
    const archived = await this.#archived(name, take);
    if (archived) return archived;
    if (flaw) throw flaw.error;
    // It may have been completed, and so renamed, since it was looked for.
    const completed = await this.#local(name, take);
    if (completed) return completed;
    if (isSegmentName(name) && !wholeOnly && this.#options.servesPartial()) {
      const partial = `${name}.partial`;
      const begun = (await this.#local(partial, take)) ?? (await this.#archived(partial, take));
      // And once more: what was a .partial a moment ago may be whole.
      const place = begun ?? (await this.#local(name, take));
      if (place) return place;
    }
    await this.#requireWal(signal);
    await this.#requireSystem(signal);
    return undefined;
  }

  async #local<Value>(name: string, take: Take<Value>): Promise<Place<Value> | undefined> {
    const file = await this.localFile(name);
    const value = file && (await take.local(file.path));
    return file && value !== undefined ? { found: file.found, value } : undefined;
  }

  /** Undefined only where the storage was reached and truly has no such file, or there is no archive. */
  async #archived<Value>(name: string, take: Take<Value>): Promise<Place<Value> | undefined> {
    const archive = this.#options.archive?.();
    if (archive === undefined) return undefined;
    try {
      return { found: name.endsWith(".partial") ? "partial" : "whole", value: await take.archived(archive, name) };
    } catch (error) {
      if (error instanceof WalArchiveError && error.kind === "absent") return undefined;
      throw error;
    }
  }

  /** @throws {WalSourceError} misconfigured: there should be WAL, and is none at all. */
  async #requireWal(signal: AbortSignal | undefined): Promise<void> {
    const { directory = "" } = this.#options;
    const expected = this.#options.expectsWal?.() ?? false;
    if (expected === false) return;
    const archive = this.#options.archive?.();
    if (archive !== undefined) for await (const _ of archive.list(withSignal(signal))) return;
    const isLookedInto = archive === undefined || expected === "anywhere";
    if (isLookedInto && (await readdir(directory)).some((name) => parseWalFileName(name))) return;
    throw new WalSourceError(
      "misconfigured",
      `Cannot restore from ${archive?.description ?? directory}: it holds no WAL at all; is it the right place, with the right prefix, and its disk mounted?`,
    );
  }

  /** @throws {WalSourceError} misconfigured: it is another cluster's archive. */
  async #requireSystem(signal: AbortSignal | undefined): Promise<void> {
    const { systemIdentifier } = this.#options;
    const archive = this.#options.archive?.();
    if (systemIdentifier === undefined || archive === undefined) return;
    const found = await foreignSystem(archive, systemIdentifier, withSignal(signal));
    if (found === undefined) return;
    throw new WalSourceError(
      "misconfigured",
      `Cannot restore from ${archive.description}: it has WAL of the cluster with the system identifier ${found}, not of ${systemIdentifier}, which is recovered; is it the right place, with the right prefix?`,
    );
  }

  /** @throws {WalSourceError} outage: the receiver's folder is not where it must be. */
  async #requireDirectory(directory: string): Promise<void> {
    const { needsDirectory, archive } = this.#options;
    if (!needsDirectory && archive !== undefined) return;
    const about = await stat(directory).catch(() => undefined);
    if (about?.isDirectory()) return;
    throw new WalSourceError(
      "outage",
      `Cannot look into ${directory}: there is no such folder; mount its disk, or check directory`,
    );
  }

  /**
   * The file of exactly this name in the receiver's folder, where it is fit to be used. A segment must be sound; a `.partial`
   * must have begun.
   * @throws {WalSourceError} The folder cannot be read.
   */
  async localFile(name: string): Promise<LocalFile | undefined> {
    const { directory } = this.#options;
    if (directory === undefined) return undefined;
    const path = join(directory, name);
    try {
      if (!(await stat(path)).isFile()) return undefined;
      if (name.endsWith(".history") || name.endsWith(".backup")) {
        return (await readFile(path)).length > 0 ? { path, found: "whole" } : undefined;
      }
      const isPartial = name.endsWith(".partial");
      if (isPartial && isUnbegun(path)) return undefined;
      checkSegmentFile(path, name);
      return { path, found: isPartial ? "partial" : "whole" };
    } catch (cause) {
      if (codeOf(cause) === "ENOENT" || codeOf(cause) === "ENOTDIR") {
        await this.#requireDirectory(directory);
        return undefined;
      }
      throw new WalSourceError(
        cause instanceof SegmentError ? "damaged" : "outage",
        `Cannot use ${path}: ${messageOf(cause)}`,
        { cause },
      );
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#options.archive?.()[Symbol.asyncDispose]();
  }
}

const withSignal = (signal: AbortSignal | undefined) => (signal === undefined ? {} : { signal });

const withChecksum = (content: Uint8Array) => ({
  content,
  sha256: createHash("sha256").update(content).digest("hex"),
});

/** Undefined: the file was removed, or renamed, meanwhile. */
async function ifThere<Value>(path: string, work: () => Promise<Value>): Promise<Value | undefined> {
  try {
    return await work();
  } catch (error) {
    const isGone = codeOf(error) === "ENOENT" && !(await stat(path).catch(() => undefined));
    if (isGone) return undefined;
    throw error;
  }
}
