/** Which real servers and tools this machine has. */
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { embeddedPostgresVersions } from "./embedded-postgres.ts";
import { canMakeMachine } from "./machine.ts";
import { canMakeSmallDisk } from "./small-disk.ts";

const postgresVersionsFolder = "/usr/lib/postgresql";

const debianFolder = (version: number) => join(postgresVersionsFolder, String(version), "bin");

/** Major versions of which Debian packages brought this program, ascending. */
function debianVersions(program: string): number[] {
  const names = existsSync(postgresVersionsFolder) ? readdirSync(postgresVersionsFolder) : [];
  const versions = names.map(Number).filter((version) => existsSync(join(debianFolder(version), program)));
  return versions.sort((one, other) => one - other);
}

/** The folder of a PostgreSQL's executables as Debian lays them out: of the newest, or of this major version; undefined without it. */
export function findPostgresExecutables(version?: number): string | undefined {
  const found = debianVersions("postgres").findLast((one) => version === undefined || one === version);
  return found === undefined ? undefined : debianFolder(found);
}

/** A client program of the newest PostgreSQL of which Debian packages brought it; undefined where it is missing. */
export function findPostgresClient(program: string): string | undefined {
  const newest = debianVersions(program).at(-1);
  return newest === undefined ? undefined : join(debianFolder(newest), program);
}

/** Major versions of the servers that can be started here, ascending: Debian's and those of npm packages. */
export function postgresVersions(): number[] {
  const versions = new Set([...debianVersions("postgres"), ...embeddedPostgresVersions()]);
  return [...versions].sort((one, other) => one - other);
}

const isInPath = (tool: string) => Bun.which(tool, { PATH: `${process.env.PATH}:/usr/sbin:/sbin` }) !== null;

/** Containers may forbid it. */
const canTrace = () =>
  isInPath("strace") && Bun.spawnSync(["strace", "-o", "/dev/null", "true"], { stdio: [null, null, null] }).success;

const tools = {
  postgresql: () => findPostgresExecutables() !== undefined,
  "postgresql-15": () => postgresVersions().includes(15),
  "postgresql-16": () => postgresVersions().includes(16),
  "postgresql-17": () => postgresVersions().includes(17),
  "postgresql-18": () => postgresVersions().includes(18),
  pg_receivewal: () => findPostgresClient("pg_receivewal") !== undefined,
  pgbench: () => findPostgresClient("pgbench") !== undefined,
  "a small file system": canMakeSmallDisk,
  "a machine of its own": canMakeMachine,
  barman: () => existsSync("/usr/bin/barman"),
  prometheus: () => isInPath("prometheus"),
  promtool: () => isInPath("promtool"),
  chromium: () => isInPath("chromium"),
  openssl: () => isInPath("openssl"),
  strace: canTrace,
  "openssh-server": () => existsSync("/usr/sbin/sshd") && isInPath("ssh-keygen"),
  "systemd-analyze": () => isInPath("systemd-analyze"),
  "dpkg-deb": () => isInPath("dpkg-deb"),
  rpmbuild: () => isInPath("rpmbuild"),
  lintian: () => isInPath("lintian"),
  rpmlint: () => isInPath("rpmlint"),
  "wal-g": () => isInPath("wal-g"),
  "dist/holdfast": () => existsSync(new URL("../../dist/holdfast", import.meta.url)),
  "dist/holdfast-linux-arm64": () => existsSync(new URL("../../dist/holdfast-linux-arm64", import.meta.url)),
} satisfies Record<string, () => boolean>;

export type Tool = keyof typeof tools;

/** Why tests that need these tools cannot run, or undefined when they can. */
export function missing(...needed: Tool[]): string | undefined {
  const absent = needed.filter((tool) => !tools[tool]());
  return absent.length === 0 ? undefined : `${absent.join(" and ")} missing here`;
}
