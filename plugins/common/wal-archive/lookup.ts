/**
 * Finds a WAL file in the receiver's folder and in an archive. A segment that is whole anywhere goes before what there is of its
 * beginning, and nothing is absent as long as one place could not be asked.
 */
import { constants } from "node:fs";
import { copyFile, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { isSegmentName } from "../postgres/wal-segments.ts";
import { codeOf, messageOf } from "../storage/errors.ts";
import type { WalArchive } from "./archive.ts";
import { WalArchiveError } from "./errors.ts";
import { checkSegmentFile } from "./segment-file.ts";
import { type FetchOptions, type Found, type WalSource, WalSourceError } from "./wal-source.ts";

export interface LookupOptions {
  /** The receiver's folder on this machine; it may be missing on another one. */
  readonly directory?: string | undefined;
  readonly archive?: WalArchive | undefined;
  /** Whether the `.partial` of a segment may stand for it, where the segment is nowhere whole. */
  servesPartial(): boolean;
  /**
   * Whether an archive without any WAL is an error: somebody who restores from it has named the wrong place, and would
   * else be told that there is no more.
   */
  readonly expectsWal?: boolean;
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
    const places = [options.directory, options.archive?.description].filter((place) => place !== undefined);
    this.description = places.join(" and ");
  }

  async fetch(
    name: string,
    path: string,
    { signal, wholeOnly = false }: FetchOptions = {},
  ): Promise<Found | undefined> {
    const local = await this.localFile(name);
    if (local !== undefined && (await copied(local.path, path))) return local.found;
    if (await this.#isArchived(name, path, signal)) return name.endsWith(".partial") ? "partial" : "whole";
    // It may have been completed, and so renamed, since it was looked for.
    const completed = await this.localFile(name);
    if (completed !== undefined && (await copied(completed.path, path))) return completed.found;
    const isPartialFine = isSegmentName(name) && !wholeOnly && this.#options.servesPartial();
    if (!isPartialFine) return this.#absent(signal);
    const partial = await this.localFile(`${name}.partial`);
    if (partial !== undefined && (await copied(partial.path, path))) return "partial";
    if (await this.#isArchived(`${name}.partial`, path, signal)) return "partial";
    // The same once more: what was a .partial at first may be whole now.
    const last = await this.localFile(name);
    if (last !== undefined && (await copied(last.path, path))) return last.found;
    return this.#absent(signal);
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
      const { isEmpty } = checkSegmentFile(path, name);
      if (name.endsWith(".partial")) return isEmpty ? undefined : { path, found: "partial" };
      return { path, found: "whole" };
    } catch (cause) {
      // What is not sound here may be sound in the archive; what is in neither is damaged, and not absent.
      if (codeOf(cause) === "ENOENT" || codeOf(cause) === "ENOTDIR") return undefined;
      throw new WalSourceError("damaged", `Cannot use ${path}: ${messageOf(cause)}`, { cause });
    }
  }

  /** @returns False only where the storage was reached and truly has no such file, or there is no archive. */
  async #isArchived(name: string, path: string, signal: AbortSignal | undefined): Promise<boolean> {
    try {
      await this.#options.archive?.fetch(name, path, signal === undefined ? {} : { signal });
      return this.#options.archive !== undefined;
    } catch (error) {
      if (error instanceof WalArchiveError && error.kind === "absent") return false;
      throw error;
    }
  }

  /** @throws {WalSourceError} misconfigured: there is no WAL at all. */
  async #absent(signal: AbortSignal | undefined): Promise<undefined> {
    const { archive, expectsWal = false } = this.#options;
    if (!expectsWal || archive === undefined) return undefined;
    for await (const _ of archive.list(signal === undefined ? {} : { signal })) return undefined;
    throw new WalSourceError(
      "misconfigured",
      `Cannot restore from ${archive.description}: it holds no WAL at all; is it the right place, with the right prefix?`,
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#options.archive?.[Symbol.asyncDispose]();
  }
}

/** @returns False: it was removed meanwhile. */
async function copied(from: string, to: string): Promise<boolean> {
  try {
    await copyFile(from, to, constants.COPYFILE_FICLONE);
    return true;
  } catch (error) {
    const isGone = codeOf(error) === "ENOENT" && !(await stat(from).catch(() => undefined));
    if (isGone) return false;
    throw error;
  }
}
