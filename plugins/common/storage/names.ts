/** Names of objects: relative paths of plain parts, safe on every storage. */
import { randomBytes } from "node:crypto";

/** S3's limit, which the other storages stay below as well. */
const maxNameBytes = 1024;
/** What file systems allow for one part, less what {@link temporaryName} adds. */
const maxPartBytes = 255 - 32;

const temporary = /^\..+\.[0-9a-f]{16}\.holdfast-tmp$/;

/** Why a text is no name of an object; undefined when it is one. */
function flawOf(name: string): string | undefined {
  if (name === "") return "it is empty";
  if (Buffer.byteLength(name) > maxNameBytes) return `it is longer than ${maxNameBytes} bytes`;
  if (/[\u0000-\u001f\u007f\\]/.test(name)) return "it holds a control character or a backslash";
  if (!name.isWellFormed()) return "it holds half a character";
  for (const part of name.split("/")) {
    if (part === "" || part === "." || part === "..") return `it has the part ${JSON.stringify(part)}`;
    if (Buffer.byteLength(part) > maxPartBytes) return `a part is longer than ${maxPartBytes} bytes`;
    if (isTemporary(part)) return "it is that of a temporary file";
  }
  return undefined;
}

/** @throws {RangeError} Absolute, empty, with `..` or the like: nothing that may become a path or a key. */
export function checkName(name: string): void {
  const flaw = flawOf(name);
  if (flaw !== undefined) throw new RangeError(`Cannot use ${JSON.stringify(name)} as an object's name: ${flaw}`);
}

/** The beginning of all names below a folder: `""` for the root, else the folder and a slash. @throws {RangeError} */
export function folderPrefix(folder: string): string {
  if (folder === "") return "";
  checkName(folder);
  return `${folder}/`;
}

/** A name beside `name` for a file that is being written: hidden, unique, and known by {@link isTemporary}. */
export function temporaryName(name: string): string {
  const slash = name.lastIndexOf("/") + 1;
  return `${name.slice(0, slash)}.${name.slice(slash)}.${randomBytes(8).toString("hex")}.holdfast-tmp`;
}

/** Whether the last part of a path is one that {@link temporaryName} gave. */
export const isTemporary = (part: string): boolean => temporary.test(part);

/** The order of S3's lists: that of the names' UTF-8 bytes, which is not JavaScript's. */
export const compareNames = (one: string, other: string): number =>
  Buffer.compare(Buffer.from(one), Buffer.from(other));
