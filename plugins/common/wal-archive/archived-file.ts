/** A file of WAL in an archive, as a list or a look shows it. */
import type { StoredObject } from "../storage/storage.ts";
import { parseObjectName, type WalObjectName } from "./object-names.ts";

export interface ArchivedFile extends WalObjectName {
  /** As it is stored. */
  readonly sizeBytes: number;
  /** When it was stored. */
  readonly modified: Date;
}

/** None for an object that is no WAL, or for no object at all. */
export function archivedFile(object: StoredObject | undefined): ArchivedFile[] {
  const parsed = object && parseObjectName(object.name);
  return object && parsed ? [{ ...parsed, sizeBytes: object.sizeBytes, modified: object.modified }] : [];
}
