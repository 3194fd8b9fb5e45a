/** Whether an archive has another cluster's WAL: what a recovery does not find there says nothing about its own. */
import { parseSegmentHeader } from "../postgres/segment-header.ts";
import type { OperationOptions } from "../storage/storage.ts";
import type { WalArchive } from "./archive.ts";
import type { ArchivedFile } from "./archived-file.ts";
import { WalArchiveError } from "./errors.ts";

/**
 * The system identifier of an archive whose oldest segment is not this cluster's, nor its newest: after pg_upgrade one archive may have
 * the WAL of two. Undefined where either is, or cannot be read. Lists all of an archive only where its oldest segment is another's.
 * @throws {StorageError} The archive cannot tell.
 */
export async function foreignSystem(
  archive: WalArchive,
  systemIdentifier: string,
  options: OperationOptions,
): Promise<string | undefined> {
  let oldest: string | undefined;
  let newest: ArchivedFile | undefined;
  for await (const file of archive.list(options)) {
    if (file.kind !== "segment") continue;
    if (newest === undefined) {
      oldest = await identifierOf(archive, file, options);
      if (oldest === undefined || oldest === systemIdentifier) return undefined;
    }
    newest = file;
  }
  const last = newest && (await identifierOf(archive, newest, options));
  return last === undefined || last === systemIdentifier ? undefined : oldest;
}

async function identifierOf(archive: WalArchive, file: ArchivedFile, options: OperationOptions) {
  try {
    return parseSegmentHeader(await archive.head(file, options))?.systemIdentifier;
  } catch (error) {
    if (error instanceof WalArchiveError) return undefined;
    throw error;
  }
}
