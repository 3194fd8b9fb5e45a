/** Temporary folders that vanish. */
import { chmod, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { giveTo } from "./users.ts";

export interface TemporaryFolder extends AsyncDisposable {
  readonly path: string;
}

/** @param owner The user to whom it belongs where this process is root; others may enter and read it then. */
export async function createFolder(prefix: string, owner?: string): Promise<TemporaryFolder> {
  const path = await mkdtemp(join(tmpdir(), `${prefix}-`));
  if (owner !== undefined) {
    await chmod(path, 0o755);
    await giveTo(owner, path);
  }
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true, maxRetries: 5 }) };
}
