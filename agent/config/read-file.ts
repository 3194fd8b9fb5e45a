/** Reads small files that people write, with a bound and a reason in words when it fails. */
import { open } from "node:fs/promises";

export type FileRead = { readonly bytes: Uint8Array } | { readonly problem: string };

/**
 * The bytes of a file or pipe; more than `maxBytes` is a problem, so `/dev/zero` ends too.
 * A named pipe nobody writes to blocks: process substitution (`<(…)`) must work.
 */
export async function readUpTo(path: string, maxBytes: number): Promise<FileRead> {
  try {
    await using file = await open(path, "r");
    if ((await file.stat()).isDirectory()) return { problem: "a directory, expected a file" };
    const chunks: Uint8Array[] = [];
    for (let length = 0; ; ) {
      const { bytesRead, buffer } = await file.read(Buffer.alloc(65_536), 0, 65_536, null);
      if (bytesRead === 0) return { bytes: Buffer.concat(chunks) };
      length += bytesRead;
      if (length > maxBytes) return { problem: `more than ${maxBytes} bytes` };
      chunks.push(buffer.subarray(0, bytesRead));
    }
  } catch (error) {
    return { problem: reasonOf(error) };
  }
}

/** A system error in words. */
export function reasonOf(error: unknown): string {
  const code = (error as { code?: string }).code;
  return (code !== undefined && reasons[code]) || code || String(error);
}

const reasons: Readonly<Record<string, string>> = {
  ENOENT: "no such file",
  EACCES: "permission denied",
  EPERM: "permission denied",
  EISDIR: "a directory, expected a file",
  ENOTDIR: "a part of the path is not a directory",
  ELOOP: "a loop of symbolic links",
  ENAMETOOLONG: "the path is too long",
  ENOSPC: "no space left on the device",
  EROFS: "a read-only file system",
};
