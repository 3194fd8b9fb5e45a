import { type FileHandle, open, readdir } from "node:fs/promises";
import { join } from "node:path";

/** Writes all bytes where the last write ended: one call may take fewer. */
export async function writeAll(handle: FileHandle, bytes: Uint8Array): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    const { bytesWritten } = await handle.write(bytes, done, bytes.length - done);
    done += bytesWritten;
  }
}

/** Syncs a folder: that a file in it was made or renamed is on disk then. */
export async function syncFolder(path: string): Promise<void> {
  await using handle = await open(path, "r");
  await handle.sync();
}

/** Syncs a folder with all files and folders below it. */
export async function syncTree(path: string): Promise<void> {
  for (const entry of await readdir(path, { withFileTypes: true })) {
    const below = join(path, entry.name);
    if (entry.isDirectory()) await syncTree(below);
    else if (entry.isFile()) {
      await using file = await open(below, "r");
      await file.sync();
    }
  }
  await syncFolder(path);
}
