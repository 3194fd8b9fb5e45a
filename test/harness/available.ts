/** Which real servers and tools this machine has. */
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";

const postgresVersionsFolder = "/usr/lib/postgresql";

/** The folder of the newest PostgreSQL's executables as Debian lays them out; undefined without a server. */
export function findPostgresExecutables(): string | undefined {
  const versions = existsSync(postgresVersionsFolder) ? readdirSync(postgresVersionsFolder) : [];
  return versions
    .sort((one, other) => Number(other) - Number(one))
    .map((version) => join(postgresVersionsFolder, version, "bin"))
    .find((folder) => existsSync(join(folder, "postgres")));
}

const isInPath = (tool: string) => Bun.which(tool, { PATH: `${process.env.PATH}:/usr/sbin:/sbin` }) !== null;

const tools = {
  postgresql: () => findPostgresExecutables() !== undefined,
  barman: () => existsSync("/usr/bin/barman"),
  prometheus: () => isInPath("prometheus"),
  promtool: () => isInPath("promtool"),
  openssl: () => isInPath("openssl"),
  "openssh-server": () => existsSync("/usr/sbin/sshd") && isInPath("ssh-keygen"),
  "systemd-analyze": () => isInPath("systemd-analyze"),
  "wal-g": () => isInPath("wal-g"),
  "dist/holdfast": () => existsSync(new URL("../../dist/holdfast", import.meta.url)),
} satisfies Record<string, () => boolean>;

export type Tool = keyof typeof tools;

/** Why tests that need these tools cannot run, or undefined when they can. */
export function missing(...needed: Tool[]): string | undefined {
  const absent = needed.filter((tool) => !tools[tool]());
  return absent.length === 0 ? undefined : `${absent.join(" and ")} not installed`;
}
