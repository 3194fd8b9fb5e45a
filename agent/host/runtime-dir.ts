/** The private directory in which the sockets of instances' routes are. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

/**
 * Makes a directory that only this user can enter, and removes it afterwards.
 * A service manager's `RUNTIME_DIRECTORY` is preferred; socket paths have 107 characters at most.
 */
export async function withRuntimeDir<Result>(use: (path: string) => Promise<Result>): Promise<Result> {
  const parent = process.env.RUNTIME_DIRECTORY?.split(":")[0] || tmpdir();
  const path = await mkdtemp(join(parent, "holdfast-"));
  try {
    return await use(path);
  } finally {
    await rm(path, { recursive: true, force: true });
  }
}
