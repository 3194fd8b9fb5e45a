/** A newcomer's way: the pages' own blocks, in their order, as an ordinary user, from nothing to a server that is back. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { chmod, copyFile, mkdir, readdir, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { agentExecutable } from "../harness/agent.ts";
import { describeWith } from "../harness/describe-with.ts";
import { type DocBlock, docBlocks, docSection, readDoc, startDocShell } from "../harness/doc-blocks.ts";
import { createFolder } from "../harness/folders.ts";
import { freePort } from "../harness/ports.ts";
import { type PostgresServer, startPostgres } from "../harness/postgres.ts";
import { startS3Server } from "../harness/s3/server.ts";
import { startSshServer } from "../harness/ssh.ts";
import { giveTo, serverUser } from "../harness/users.ts";
import { waitFor } from "../harness/wait.ts";
import { isStreaming } from "../harness/wal-receiver.ts";
import { openArchive } from "../integration/restore/support.ts";
import { s3Settings, sftpSettings } from "../integration/storage/storages.ts";

/** A folder for an ordinary user, with `holdfast` in its `bin`. */
async function createPlace(cleanup: AsyncDisposableStack) {
  const user = serverUser("postgres");
  const { path } = cleanup.use(await createFolder("holdfast-docs", user));
  const bin = join(path, "bin");
  await mkdir(bin);
  await copyFile(agentExecutable, join(bin, "holdfast"));
  await chmod(join(bin, "holdfast"), 0o755);
  return { user, path, bin };
}

describeWith(["postgresql", "dist/holdfast"], "docs/quick-start.md", () => {
  test("leads from nothing to a server that was destroyed and is back", async () => {
    await using cleanup = new AsyncDisposableStack();
    const { user, path, bin } = await createPlace(cleanup);
    const shell = cleanup.use(startDocShell(user, path, [bin]));
    const [postgres, http] = [await freePort(), await freePort()];
    const here = (text: string) =>
      text
        .replaceAll("/tmp/holdfast-drill", join(path, "drill"))
        .replaceAll(/\b5433\b/g, String(postgres))
        .replaceAll(/\b9847\b/g, String(http));
    // Whatever happens, the server must not outlive the test.
    cleanup.defer(async () => {
      await shell.run(`! pg_ctl --pgdata=${path}/drill/main --mode=immediate stop`).catch(() => {});
    });

    const [drill = ""] = (await readDoc("docs/quick-start.md")).split("\n## For real");
    let lastLine = "";
    let ran = 0;
    for (const { language, info, text } of docBlocks(drill)) {
      const block = here(text).trimEnd();
      if (info !== "") {
        await writeFile(join(path, "drill", info), `${block}\n`);
        await giveTo(user, join(path, "drill", info));
      } else if (block.startsWith("holdfast run")) {
        const agent = shell.background(block);
        const isReady = async () => (await fetch(`http://127.0.0.1:${http}/-/ready`)).ok;
        await waitFor("the agent", isReady, 60_000).catch((cause) => {
          throw new Error(agent.log(), { cause });
        });
      } else if (language === "sh") {
        await shell.run(block);
        lastLine = block.split("\n").at(-1) ?? "";
        ran++;
      } else if (language === "text") {
        await waitFor(
          `the output of ${lastLine}`,
          async () => {
            expect(await shell.run(lastLine)).toBe(`${block}\n`);
            return true;
          },
          60_000,
        );
      }
    }
    expect(ran).toBeGreaterThanOrEqual(14);
  }, 360_000);
});

/** A server that was destroyed, what it held, and all that is left of it. */
interface Disaster extends AsyncDisposable {
  readonly place: Awaited<ReturnType<typeof createPlace>>;
  readonly plainBackup: string;
  readonly tarBackup: string;
  /** Of the agent that received its WAL, and runs. */
  readonly agentAddress: string;
  readonly directory: string;
  readonly archive: string;
  /** Before a table was dropped, as SQL has it. */
  readonly beforeMistake: string;
  readonly destroyed: PostgresServer;
}

/** @param received False: commits wait for nobody, and the agent was away for the last one. */
async function cause({ received = true } = {}): Promise<Disaster> {
  await using cleanup = new AsyncDisposableStack();
  const place = await createPlace(cleanup);
  const { user, path, bin } = place;
  const own = (name: string) => join(path, name);
  for (const name of ["archive", "backups"]) {
    await mkdir(own(name));
    await giveTo(user, own(name));
  }
  const server = cleanup.use(await startPostgres({ autovacuum: "off" }));
  const agentPort = await freePort();
  const config = {
    directory: own("wal"),
    slot: "holdfast",
    postgres: `host=127.0.0.1 port=${server.port} user=postgres`,
    archive: { storage: { type: "local", directory: own("archive") } },
    serve: {},
  };
  const file = own("holdfast.yml");
  const plugins = { wal: { plugin: "pgrwl", config } };
  await writeFile(file, JSON.stringify({ listen: `127.0.0.1:${agentPort}`, plugins }));
  const shell = cleanup.use(startDocShell(user, path, [bin, server.executables]));
  const runAgent = () => shell.background(`holdfast run --config.file=${file}`);
  const agent = runAgent();
  const streams = () => isStreaming(server, { applicationName: "holdfast" });
  await waitFor("the agent to stream", streams, 60_000).catch((cause) => {
    throw new Error(agent.log(), { cause });
  });
  if (received) await server.psql("ALTER SYSTEM SET synchronous_standby_names = 'holdfast'");
  await server.psql("SELECT pg_reload_conf()");
  await shell.run(`export PGHOST=127.0.0.1 PGPORT=${server.port} PGUSER=postgres`);
  await shell.run("pg_basebackup --pgdata=backups/plain --checkpoint=fast");
  await shell.run("pg_basebackup --pgdata=backups/tar --checkpoint=fast --format=tar --gzip --wal-method=none");
  await server.psql("CREATE TABLE ledger AS SELECT i, md5(i::text) AS entry FROM generate_series(1, 150000) i");
  await server.psql("CREATE TABLE kept AS SELECT i FROM generate_series(1, 7) i");
  const beforeMistake = (await server.psql("SELECT now()")).trim();
  await server.psql("DROP TABLE kept");
  if (!received) await agent.stop();
  await server.psql("INSERT INTO ledger VALUES (0, 'the last commit')");
  await server.crash();
  if (!received) {
    runAgent();
    await waitFor("the agent", async () => (await fetch(`http://127.0.0.1:${agentPort}/-/ready`)).ok, 60_000);
  }
  await rename(server.dataFolder, goneFolder(server));
  const owned = cleanup.move();
  return {
    ...{ place, beforeMistake, destroyed: server, directory: own("wal"), archive: own("archive") },
    ...{ plainBackup: own("backups/plain"), tarBackup: own("backups/tar"), agentAddress: `127.0.0.1:${agentPort}` },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

/** Where its data folder went: a disk that can still be read, if somebody looks for it. */
const goneFolder = ({ dataFolder }: PostgresServer) => `${dataFolder}-gone`;

interface Way {
  readonly backup: "plain" | "tar";
  /** The heading of step 3 that is taken. */
  readonly source: string;
  /** What stands in the page, and what is right here. */
  readonly changes?: Readonly<Record<string, string>>;
  /** Instead of step 5. */
  readonly to?: string;
  /** Whether the lost server's own WAL is looked at first. */
  readonly ownWalFirst?: boolean;
}

const sh = (blocks: readonly DocBlock[]) => blocks.filter(({ language }) => language === "sh").map(({ text }) => text);

/** The steps of docs/restore.md. @returns A query of what they led to. */
async function follow(disaster: Disaster, way: Way, cleanup: AsyncDisposableStack) {
  const { user, bin } = disaster.place;
  const page = await readDoc("docs/restore.md");
  const blocksOf = (title: string) => docBlocks(docSection(page, title));
  const { path: folder } = cleanup.use(await createFolder("holdfast-restored", user));
  const restoreFile = join(folder, "restore.yml");
  const port = await freePort();
  const dataFolder = join(folder, "main");
  const changes = {
    "/var/lib/postgresql/15/main.lost": goneFolder(disaster.destroyed),
    "/var/lib/postgresql/15/main": dataFolder,
    "/backups/2026-11-21": way.backup === "plain" ? disaster.plainBackup : disaster.tarBackup,
    "/usr/bin/holdfast": join(bin, "holdfast"),
    "agent:9847": disaster.agentAddress,
    "/var/lib/postgresql/restore.yml": restoreFile,
    "/tmp/holdfast-try": join(folder, "try"),
    "port = 5999": `port = ${port}`,
    "2026-11-21 11:59:00+00": disaster.beforeMistake,
    // With tar files there is no PG_VERSION to look at, as the page says.
    ...(way.backup === "tar" ? { '$(cat "$BACKUP/PG_VERSION")': String(disaster.destroyed.version) } : {}),
    ...way.changes,
  };
  const here = (text: string) => Object.entries(changes).reduce((one, [from, to]) => one.replaceAll(from, to), text);
  const shell = cleanup.use(startDocShell(user, folder, [disaster.destroyed.executables]));
  const run = (text: string | undefined) => shell.run(here(text ?? "false"));

  for (const block of sh(blocksOf("1. Stop, and set aside"))) await run(block);
  const [plain, tar, ...rest] = sh(blocksOf("2. Put the base backup in place"));
  await run(way.backup === "plain" ? plain : tar);
  for (const block of rest) await run(block);
  const source = blocksOf(way.source);
  const yaml = source.find(({ info }) => info === "restore.yml");
  if (yaml) {
    await writeFile(restoreFile, here(yaml.text), { mode: 0o600 });
    await giveTo(user, restoreFile);
  }
  await run(sh(source)[0]);
  const [attempt, expected] = blocksOf("4. Try the line");
  const segment = /0{7}1[0-9A-F]{16}/;
  expect((await run(attempt?.text)).replace(segment, "SEGMENT")).toBe(expected?.text.replace(segment, "SEGMENT") ?? "");
  const [configure, look] = sh(blocksOf("5. Recover"));
  await run(way.to === undefined ? configure : sh(blocksOf(way.to))[0]);
  if (way.ownWalFirst) {
    const [line] = blocksOf("The last segment");
    await run(`cat >>"$PGDATA/postgresql.auto.conf" <<END\n${line?.text}END`);
  }

  const options = `-k ${folder} -c listen_addresses=127.0.0.1${way.to === undefined ? ` -p ${port}` : ""}`;
  await shell.run(`export PGHOST=${folder} PGPORT=${port} PGUSER=postgres`);
  cleanup.defer(() => shell.run(`pg_ctl --pgdata=${dataFolder} --mode=immediate stop`).then(() => {}));
  await shell.run(`pg_ctl --pgdata=${dataFolder} --log=${folder}/log --options="${options}" --wait start`);
  return {
    log: () => Bun.file(join(folder, "log")).text(),
    look: () => run(look),
    query: (sql: string) => shell.run(`psql --no-align --tuples-only --command="${sql}"`),
    run: shell.run,
  };
}

describeWith(["postgresql", "dist/holdfast", "openssh-server"], "docs/restore.md", () => {
  let disaster: Disaster;
  beforeAll(async () => {
    disaster = await cause();
  }, 240_000);
  afterAll(() => disaster?.[Symbol.asyncDispose]());

  /** Everything that the receiver had, in another archive. */
  async function copyTo(settings: Parameters<typeof openArchive>[0]) {
    await using archive = await openArchive(settings);
    for (const name of (await readdir(disaster.directory)).filter((one) => /^[0-9A-F]{24}/.test(one)).sort())
      await archive.put(name, join(disaster.directory, name));
  }

  async function expectAll(way: Way) {
    await using cleanup = new AsyncDisposableStack();
    const restored = await follow(disaster, way, cleanup);
    await waitFor("the end of the recovery", async () => (await restored.look()) === "f\n", 60_000).catch(
      async (cause) => {
        throw new Error(await restored.log(), { cause });
      },
    );
    expect(await restored.query("SELECT count(*) FROM ledger")).toBe("150001\n");
    expect(await restored.query("SELECT entry FROM ledger WHERE i = 0")).toBe("the last commit\n");
    expect(await restored.log()).toContain("last completed transaction was at log time");
    // What the page says of commits that hang.
    await restored.run("psql --command=\"ALTER SYSTEM SET synchronous_standby_names = ''\"");
    await restored.query("SELECT pg_reload_conf()");
    await restored.run("pg_amcheck --all --install-missing");
    await restored.run("psql --command='ALTER SYSTEM RESET restore_command'");
  }

  test("from the agent, with a folder", () => expectAll({ backup: "plain", source: "From the agent" }), 120_000);
  test("from the agent, with tar files", () => expectAll({ backup: "tar", source: "From the agent" }), 120_000);
  test("from a folder", async () => {
    const changes = { "/var/lib/holdfast/wal": disaster.directory, "/mnt/archive": disaster.archive };
    await expectAll({ backup: "plain", source: "From a folder", changes });
  }, 240_000);

  test("from S3", async () => {
    await using s3 = startS3Server();
    const settings = s3Settings(s3);
    await copyTo({ storage: { ...settings, prefix: "main" }, encryption: { passphrase: "open sesame" } });
    const { path, user } = disaster.place;
    const [keys, passphrase] = [join(path, "s3-credentials"), join(path, "wal.pass")];
    const lines = `[default]\naws_access_key_id = ${settings.access_key_id}\naws_secret_access_key = ${settings.secret_access_key}\n`;
    await writeFile(keys, lines, { mode: 0o600 });
    await writeFile(passphrase, "open sesame\n", { mode: 0o600 });
    for (const file of [keys, passphrase]) await giveTo(user, file);
    const changes = {
      "https://s3.example.com": settings.endpoint,
      "bucket: wal": `bucket: ${settings.bucket}\n          region: ${settings.region}`,
      "/var/lib/postgresql/s3-credentials": keys,
      "/var/lib/postgresql/wal.pass": passphrase,
    };
    await expectAll({ backup: "plain", source: "From S3", changes });
  }, 240_000);

  test("from SFTP", async () => {
    await using ssh = await startSshServer();
    const settings = sftpSettings(ssh);
    await copyTo({ storage: settings });
    const { path, user } = disaster.place;
    const [key, known] = [join(path, "id_ed25519"), join(path, "known_hosts")];
    await copyFile(settings.private_key_file, key);
    await copyFile(settings.known_hosts_file, known);
    await chmod(key, 0o600);
    for (const file of [key, known]) await giveTo(user, file);
    const changes = {
      "host: backup.example.com": `host: ${settings.host}`,
      "port: 22": `port: ${settings.port}`,
      "user: wal": `user: ${settings.user}`,
      "/srv/wal/main": settings.directory,
      "/var/lib/postgresql/.ssh/id_ed25519": key,
      "/var/lib/postgresql/.ssh/known_hosts": known,
    };
    await expectAll({ backup: "plain", source: "From SFTP", changes });
  }, 240_000);

  test("to a moment before a mistake", async () => {
    await using cleanup = new AsyncDisposableStack();
    const to = "To a moment before a mistake";
    const restored = await follow(disaster, { backup: "plain", source: "From the agent", to }, cleanup);
    const isPaused = async () => (await restored.query("SELECT pg_get_wal_replay_pause_state()")) === "paused\n";
    await waitFor("the pause", isPaused, 60_000);
    expect(await restored.query("SELECT count(*) FROM ledger")).toBe("150000\n");
    await restored.query("SELECT pg_wal_replay_resume()");
    await waitFor("the end of the recovery", async () => (await restored.look()) === "f\n", 60_000);
    // Until then the lock of the DROP TABLE is there, as the page says.
    expect(await restored.query("SELECT count(*) FROM kept")).toBe("7\n");
    // No receiver is asked for: a commit does not wait.
    await restored.query("DELETE FROM kept");
  }, 240_000);

  test("with the last commits from the lost server's own disk, where nobody received them", async () => {
    await using unreceived = await cause({ received: false });
    await using cleanup = new AsyncDisposableStack();
    const way: Way = { backup: "plain", source: "From the agent", ownWalFirst: true };
    const restored = await follow(unreceived, way, cleanup);
    await waitFor("the end of the recovery", async () => (await restored.look()) === "f\n", 60_000);
    expect(await restored.query("SELECT entry FROM ledger WHERE i = 0")).toBe("the last commit\n");
  }, 240_000);
});
