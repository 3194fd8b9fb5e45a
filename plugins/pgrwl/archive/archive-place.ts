/**
 * Whether the archive is a place of its own, and still the place that it was. A receive directory that is also the archive's folder
 * would have its only copies deleted as archived; a disk that is not mounted would get WAL into the folder below it.
 */
import { randomBytes } from "node:crypto";
import { rm, writeFile } from "node:fs/promises";
import { codeOf, StorageError } from "../../common/storage/errors.ts";
import type { WalArchive } from "../../common/wal-archive/archive.ts";
import { type LocalFiles, recordName } from "./local-files.ts";

export interface ArchivePlaceOptions {
  readonly archive: WalArchive;
  readonly files: LocalFiles;
  /** Whether what it is on may be mounted or not: a folder, here or on an SFTP server. */
  readonly isMounted: boolean;
}

export class ArchivePlace {
  readonly #options: ArchivePlaceOptions;
  #isOwn = false;

  constructor(options: ArchivePlaceOptions) {
    this.#options = options;
  }

  /**
   * To be called before anything is stored: the archive must be a place of its own, and have what it was given.
   * @throws {StorageError} misconfigured: it is not; or it cannot be asked.
   */
  async require(signal: AbortSignal): Promise<void> {
    const { archive, files, isMounted } = this.#options;
    await this.requireOwn(signal);
    const known = isMounted ? files.lastArchived() : undefined;
    if (known === undefined || (await archive.has(known, { signal }))) return;
    for await (const _ of archive.list({ signal })) return;
    throw new StorageError(
      "misconfigured",
      `Cannot use ${archive.description}: it holds no WAL at all, although some was stored there; mount its disk, ` +
        `or, to begin anew in an empty one, remove ${recordName} from ${files.directory} while the agent is stopped`,
    );
  }

  /**
   * To be called before anything is deleted here: what looks archived must not be the file itself. Whatever way leads there: a
   * link, a mount, SFTP to this machine.
   * @throws {StorageError} misconfigured: it is; or the archive cannot be asked.
   */
  async requireOwn(signal: AbortSignal): Promise<void> {
    if (this.#isOwn) return;
    const { archive, files } = this.#options;
    const mark = `.holdfast-place-${randomBytes(8).toString("hex")}`;
    const path = files.pathOf(mark);
    try {
      await writeFile(path, "", { flag: "wx", mode: 0o600 });
    } catch (error) {
      // Archiving makes room; what was archived before was so after a look like this one.
      if (codeOf(error) === "ENOSPC" || codeOf(error) === "EDQUOT") return;
      throw error;
    }
    try {
      for (const folder of archive.folders) {
        if (!(await isThere(archive, `${folder}${folder && "/"}${mark}`, signal))) continue;
        throw new StorageError(
          "misconfigured",
          `Cannot archive into ${archive.description}: the directory ${files.directory} is its own folder, and files would be ` +
            "deleted as archived that are nowhere else; give the archive another place",
        );
      }
    } finally {
      await rm(path, { force: true });
    }
    this.#isOwn = true;
  }
}

/** A storage whose root is not there yet has nothing. */
async function isThere(archive: WalArchive, name: string, signal: AbortSignal): Promise<boolean> {
  try {
    return (await archive.storage.stat(name, { signal })) !== undefined;
  } catch (error) {
    if (error instanceof StorageError && error.kind === "misconfigured") return false;
    throw error;
  }
}
