/** The files of a snapshot, wherever they are: in a folder, or in an archive that is not unpacked. */
import { lstat, readdir } from "node:fs/promises";
import { join } from "node:path";
import { type Bytes, openBytes } from "./bytes.ts";

export interface SnapshotFiles {
  /** Paths below the snapshot, such as `ULID/chunks/000001`, and their sizes. In no order. */
  readonly files: ReadonlyMap<string, number>;
  /** Folders below the snapshot: a block without a single file is one too. */
  readonly folders: ReadonlySet<string>;
  /** What is neither file nor folder. */
  readonly others: readonly string[];
  open(path: string): Promise<Bytes>;
}

/** @throws {Error} A folder cannot be read. */
export async function snapshotFolder(root: string): Promise<SnapshotFiles> {
  const files = new Map<string, number>();
  const folders = new Set<string>();
  const others: string[] = [];
  const walk = async (below: string): Promise<void> => {
    for (const entry of await readdir(join(root, below), { withFileTypes: true })) {
      const path = below === "" ? entry.name : `${below}/${entry.name}`;
      if (entry.isDirectory()) {
        folders.add(path);
        await walk(path);
      } else if (entry.isFile()) files.set(path, (await lstat(join(root, path))).size);
      else others.push(path);
    }
  };
  await walk("");
  return { files, folders, others, open: (path) => openBytes(join(root, path)) };
}
