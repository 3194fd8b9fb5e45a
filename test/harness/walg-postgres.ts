/** A real PostgreSQL server in a temporary folder, with segments of any size. Root hands it to the user postgres. */
import { readdirSync, realpathSync } from "node:fs";
import { appendFile, mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { until } from "./walg-stand-in.ts";

/** The folder of the server's executables; undefined where PostgreSQL is not installed. */
export const postgresFolder = installedFolder();

function installedFolder(): string | undefined {
  try {
    const [newest] = readdirSync("/usr/lib/postgresql").toSorted((a, b) => Number(b) - Number(a));
    if (newest) return `/usr/lib/postgresql/${newest}/bin`;
  } catch {
    // Not Debian's layout.
  }
  const initdb = Bun.which("initdb");
  return initdb ? dirname(realpathSync(initdb)) : undefined;
}

const isRoot = process.getuid?.() === 0;

export interface TestServer extends AsyncDisposable {
  readonly port: number;
  readonly folder: string;
  readonly dataFolder: string;
  /** Where its segments are archived. */
  readonly archive: string;
  /** Runs SQL as the superuser; one line a row, columns apart by `|`. */
  sql(statement: string): Promise<string[]>;
  /** A standby that follows it. */
  standby(): Promise<TestServer>;
  promote(): Promise<void>;
}

export interface TestServerOptions {
  readonly segmentMiB?: number;
  readonly settings?: Readonly<Record<string, string>>;
  /** Lines of pg_hba.conf; default: everybody is trusted. */
  readonly access?: readonly string[];
}

export async function startServer({
  segmentMiB = 16,
  settings = {},
  access = [],
}: TestServerOptions = {}): Promise<TestServer> {
  const folder = await createFolder();
  const dataFolder = join(folder, "data");
  await tool(
    ["initdb", "-D", dataFolder, "-U", "postgres", "-A", "trust", "--no-sync", `--wal-segsize=${segmentMiB}`],
    folder,
  );
  if (access.length > 0) await writeFile(join(dataFolder, "pg_hba.conf"), `${access.join("\n")}\n`);
  const all = { archive_mode: "on", archive_command: `cp %p ${folder}/archive/%f`, ...settings };
  return run(folder, all);
}

async function run(folder: string, settings: Readonly<Record<string, string>>): Promise<TestServer> {
  const dataFolder = join(folder, "data");
  const port = await freePort();
  const all = {
    fsync: "off",
    shared_buffers: "16MB",
    listen_addresses: "127.0.0.1",
    unix_socket_directories: folder,
    port: String(port),
    ...settings,
  };
  await appendFile(
    join(dataFolder, "postgresql.conf"),
    Object.entries(all)
      .map(([name, value]) => `${name} = '${value}'\n`)
      .join(""),
  );
  const server = Bun.spawn(asServerUser([`${postgresFolder}/postgres`, "-D", dataFolder]), {
    cwd: folder,
    stdin: "ignore",
    stdout: Bun.file(join(folder, "log")),
    stderr: Bun.file(join(folder, "log")),
  });
  const sql = async (statement: string) => {
    const text = await tool(
      ["psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-h", folder, "-p", String(port), "-U", "postgres", "-c", statement],
      folder,
    );
    return text === "" ? [] : text.trimEnd().split("\n");
  };
  const stop = async () => {
    server.kill("SIGINT");
    await server.exited;
    await rm(folder, { recursive: true, force: true });
  };
  try {
    await until(
      "PostgreSQL takes connections",
      () =>
        sql("SELECT 1").then(
          () => true,
          () => false,
        ),
      20_000,
    );
  } catch (error) {
    const log = await Bun.file(join(folder, "log")).text();
    await stop();
    throw new Error(`Cannot start PostgreSQL: ${log.slice(-1000)}`, { cause: error });
  }
  return {
    port,
    folder,
    dataFolder,
    archive: join(folder, "archive"),
    sql,
    async standby() {
      const own = await createFolder();
      await tool(
        [
          "pg_basebackup",
          "-D",
          join(own, "data"),
          "-h",
          folder,
          "-p",
          String(port),
          "-U",
          "postgres",
          "-R",
          "-c",
          "fast",
          "--no-sync",
        ],
        own,
      );
      return run(own, { archive_command: `cp %p ${own}/archive/%f` });
    },
    promote: async () => void (await sql("SELECT pg_promote()")),
    [Symbol.asyncDispose]: stop,
  };
}

async function createFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "walg-postgres-"));
  await Bun.$`mkdir ${folder}/archive && chmod 755 ${folder}`.quiet();
  if (isRoot) await Bun.$`chown -R postgres ${folder}`.quiet();
  return folder;
}

/** A command as the user that the server runs as. */
export function asServerUser(command: readonly string[]): string[] {
  return isRoot ? ["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups", "--", ...command] : [...command];
}

async function tool([name = "", ...args]: readonly string[], cwd: string): Promise<string> {
  const child = Bun.spawn(asServerUser([`${postgresFolder}/${name}`, ...args]), {
    cwd,
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  const [stdout, stderr, status] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  if (status !== 0) throw new Error(`${name} ended with ${status}: ${stderr}`);
  return stdout;
}

function freePort(): Promise<number> {
  const { promise, resolve } = Promise.withResolvers<number>();
  const server = createServer().listen(0, "127.0.0.1", () => {
    const address = server.address();
    server.close(() => resolve(typeof address === "object" && address ? address.port : 0));
  });
  return promise;
}
