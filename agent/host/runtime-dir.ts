/** The private directory in which the sockets of instances' routes are. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { reasonOf } from "../config/read-file.ts";

/**
 * Makes a directory that only this user can enter, and removes it afterwards.
 * A service manager's `RUNTIME_DIRECTORY` is preferred; socket paths have 107 characters at most.
 * @throws {Error} It cannot be made.
 */
export async function withRuntimeDir<Result>(use: (path: string) => Promise<Result>): Promise<Result> {
  const path = await makeRuntimeDir();
  try {
    return await use(path);
  } finally {
    await rm(path, { recursive: true, force: true });
  }
}

async function makeRuntimeDir(): Promise<string> {
  const given = process.env.RUNTIME_DIRECTORY?.split(":")[0];
  const parent = given || tmpdir();
  try {
    return await mkdtemp(join(parent, "holdfast-"));
  } catch (error) {
    const variable = given ? "RUNTIME_DIRECTORY" : "TMPDIR";
    throw new Error(
      `Cannot make a folder for sockets in ${parent}: ${reasonOf(error)}, set ${variable} to a folder that this user may write to`,
    );
  }
}
