/** The private directory in which the sockets of instances' routes are. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { reasonOf } from "../config/read-file.ts";

/** Shared memory: in a container, or a unit, whose files are read-only, it is often all that can be written to. */
const usualPlaces = [tmpdir(), "/dev/shm"];

/**
 * Makes a directory that only this user can enter, and removes it afterwards.
 * A service manager's `RUNTIME_DIRECTORY` is preferred, then `TMPDIR`; socket paths have 107 characters at most.
 * @param places Where neither is set: the first that can be written to.
 * @throws {Error} It cannot be made.
 */
export async function withRuntimeDir<Result>(
  use: (path: string) => Promise<Result>,
  places: readonly string[] = usualPlaces,
): Promise<Result> {
  const path = await makeRuntimeDir(places);
  try {
    return await use(path);
  } finally {
    await rm(path, { recursive: true, force: true });
  }
}

async function makeRuntimeDir(places: readonly string[]): Promise<string> {
  const given = process.env.RUNTIME_DIRECTORY?.split(":")[0];
  const chosen = given || process.env.TMPDIR;
  const problems: string[] = [];
  for (const parent of chosen ? [chosen] : places) {
    try {
      return await mkdtemp(join(parent, "holdfast-"));
    } catch (error) {
      problems.push(`${parent}: ${reasonOf(error)}`);
    }
  }
  const variable = given ? "RUNTIME_DIRECTORY" : "TMPDIR";
  throw new Error(
    `Cannot make a folder for sockets in ${problems.join(", in ")}, set ${variable} to a folder that this user may write to`,
  );
}
