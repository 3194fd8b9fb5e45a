/** Whether an archive has another cluster's WAL: what a recovery does not find there says nothing about its own. */
import { parseSegmentHeader } from "../postgres/segment-header.ts";
import { StorageError } from "../storage/errors.ts";
import type { OperationOptions } from "../storage/storage.ts";
import type { WalArchive } from "./archive.ts";
import type { ArchivedFile } from "./archived-file.ts";
import { WalArchiveError } from "./errors.ts";

/**
 * The system identifier of an archive whose oldest segment is not this cluster's, nor the newest of any timeline: after pg_upgrade one
 * archive may have the WAL of two, and the second begins with timeline 1 again, whatever the first had come to. Undefined where one is,
 * or cannot be read. Lists all of an archive only where its oldest segment is another's.
 * @throws {StorageError} The archive cannot tell.
 */
export async function foreignSystem(
  archive: WalArchive,
  systemIdentifier: string,
  options: OperationOptions,
): Promise<string | undefined> {
  let oldest: string | undefined;
  /** Of each timeline in each folder. A cluster may have no more yet than what was flushed of its first segment. */
  const newest = new Map<string, ArchivedFile>();
  for await (const file of archive.list(options)) {
    if (file.kind !== "segment" && file.kind !== "partial") continue;
    if (newest.size === 0) {
      oldest = await systemIdentifierOf(archive, file, options);
      if (oldest === undefined || oldest === systemIdentifier) return undefined;
    }
    newest.set(`${file.folder} ${file.base.slice(0, 8)}`, file);
  }
  for (const file of newest.values()) {
    const found = await systemIdentifierOf(archive, file, options);
    if (found === undefined || found === systemIdentifier) return undefined;
  }
  return oldest;
}

/** Undefined where the segment cannot be used, or is not given out: verification tells of those. @throws {StorageError} The archive cannot tell. */
export async function systemIdentifierOf(
  archive: WalArchive,
  file: ArchivedFile,
  options: OperationOptions,
): Promise<string | undefined> {
  try {
    return parseSegmentHeader(await archive.head(file, options))?.systemIdentifier;
  } catch (error) {
    // One object of a storage that gives out others: S3 refuses so what was moved to Glacier, as old WAL may be.
    const isRefused = error instanceof StorageError && error.kind === "access-denied";
    if (error instanceof WalArchiveError || isRefused) return undefined;
    throw error;
  }
}
