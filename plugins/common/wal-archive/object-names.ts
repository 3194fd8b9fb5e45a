/** What the files of WAL are called in an archive: their own name, and an extension that says how they are stored. */
import { extensions, splitExtension } from "../codec/codec.ts";

/**
 * - `segment`: whole, as PostgreSQL asks for it.
 * - `partial`: the beginning of one, in full size with a tail of zeros.
 * - `history`: of a timeline.
 * - `label`: a base backup's, `SEGMENT.OFFSET.backup`, as pg_backup_stop() leaves it in pg_wal.
 */
export type WalFileKind = "segment" | "partial" | "history" | "label";

export interface WalFileName {
  readonly name: string;
  readonly kind: WalFileKind;
  /** The segment that it belongs to; of a history, its timeline alone. */
  readonly base: string;
}

const pattern = /^(?:([0-9A-F]{24})(\.partial|\.[0-9A-F]{8}\.backup)?|([0-9A-F]{8})\.history)$/;

/** The only names that are ever looked up or stored; undefined for all others, whatever they are. */
export function parseWalFileName(name: string): WalFileName | undefined {
  const match = pattern.exec(name);
  if (match === null) return undefined;
  const [, segment, ending, timeline] = match;
  if (timeline !== undefined) return { name, kind: "history", base: timeline };
  if (segment === undefined) return undefined;
  return { name, kind: ending === undefined ? "segment" : ending === ".partial" ? "partial" : "label", base: segment };
}

/** @throws {RangeError} It is none. */
export function checkWalFileName(name: string): WalFileName {
  const parsed = parseWalFileName(name);
  if (parsed === undefined)
    throw new RangeError(
      `Cannot use ${JSON.stringify(name)} as the name of a WAL file: expected a segment, SEGMENT.partial or TIMELINE.history`,
    );
  return parsed;
}

/** Where WAL is written, and the later versions of pgrwl have it. Its earlier ones put it at the root of S3 and SFTP. */
export const archiveFolder = "wal-archive";

export type Folder = typeof archiveFolder | "";

const inFolder = (folder: Folder, file: string) => (folder === "" ? file : `${folder}/${file}`);

/** The object that a file is written to. @throws {RangeError} The name is none of WAL. */
export function objectNameOf(name: string, extension: string): string {
  return inFolder(archiveFolder, checkWalFileName(name).name + extension);
}

/**
 * Every object that may hold a file, the likeliest first: first the extension that is written now, then in pgrwl's order.
 * @param folders Which layouts are looked at.
 * @throws {RangeError} The name is none of WAL.
 */
export function candidatesOf(name: string, extension: string, folders: readonly Folder[]): string[] {
  checkWalFileName(name);
  const ordered = [extension, ...extensions.filter((one) => one !== extension)];
  return folders.flatMap((folder) => ordered.map((one) => inFolder(folder, name + one)));
}

/** An object's name, parted. */
export interface WalObjectName extends WalFileName {
  readonly objectName: string;
  readonly folder: Folder;
  readonly extension: string;
}

/** Undefined for an object that holds no WAL, or lies elsewhere. */
export function parseObjectName(objectName: string): WalObjectName | undefined {
  const [, inside, file = ""] = /^(wal-archive\/)?([^/]+)$/.exec(objectName) ?? [];
  const { name, extension } = splitExtension(file);
  const parsed = parseWalFileName(name);
  return parsed && { ...parsed, objectName, folder: inside === undefined ? "" : archiveFolder, extension };
}
