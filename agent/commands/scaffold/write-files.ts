import { mkdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { Files } from "./kit.ts";

/** Writes files and the folders above them. */
export async function writeFiles(folder: string, files: Files): Promise<void> {
  for (const path of new Set(Object.keys(files).map(dirname))) await mkdir(join(folder, path), { recursive: true });
  await Promise.all(Object.entries(files).map(([path, text]) => writeFile(join(folder, path), text)));
}
