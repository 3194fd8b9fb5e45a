/** Takes a backup out of the folder that a schedule keeps it in: `backups/NAME.json` beside `files/`. */
import { mkdir, open, readFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileName, parseManifest } from "../../../plugins/common/archive/backup-manifest.ts";
import { ArchiveError } from "../../../plugins/common/archive/tar-read.ts";
import { writeAll } from "../../../plugins/common/archive/write-all.ts";

/** @throws {ArchiveError} It is no manifest, or a file is not what its digest says. @throws {Error} A file is missing. */
export async function copyBackup(
  manifestPath: string,
  target: string,
  wants: (ulid: string) => boolean,
  wrote: (bytes: number) => void,
): Promise<void> {
  const manifest = parseManifest(await readFile(manifestPath, "utf8"));
  const root = dirname(dirname(manifestPath));
  for (const { path, size_bytes, sha256_hex } of manifest.files) {
    if (!wants(path.split("/")[0] ?? "")) continue;
    const destination = join(target, path);
    await mkdir(dirname(destination), { recursive: true, mode: 0o755 });
    await using file = await open(destination, "wx", 0o644);
    const hash = new Bun.CryptoHasher("sha256");
    let bytes = 0;
    for await (const chunk of Bun.file(join(root, fileName(sha256_hex))).stream()) {
      hash.update(chunk);
      bytes += chunk.length;
      await writeAll(file, chunk);
      wrote(chunk.length);
    }
    const digest = hash.digest("hex");
    if (bytes !== size_bytes || digest !== sha256_hex) {
      throw new ArchiveError(`${path} is damaged: ${bytes} bytes with the digest ${digest}, expected ${sha256_hex}`);
    }
    await file.sync();
  }
}
