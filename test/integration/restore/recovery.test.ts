/** A real PostgreSQL comes back through `restore-command`, whole, from every kind of storage, while the storage fails again and again. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { createHash } from "node:crypto";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import type { ArchiveSettingsInput } from "../../../plugins/common/wal-archive/settings.ts";
import { databaseContent } from "../../harness/database-content.ts";
import { describeWith } from "../../harness/describe-with.ts";
import { createFolder } from "../../harness/folders.ts";
import { startTcpProxy } from "../../harness/outage-proxy.ts";
import { startFrom } from "../../harness/postgres.ts";
import { startS3Server } from "../../harness/s3/server.ts";
import { startSshServer } from "../../harness/ssh.ts";
import { troubleWith } from "../../harness/trouble.ts";
import { giveTo, serverUser } from "../../harness/users.ts";
import { waitFor } from "../../harness/wait.ts";
import { s3Settings, sftpSettings } from "../storage/storages.ts";
import { createRestorer, fill, isPrimary, type Lost, loseServer, type Restorer, recover } from "./support.ts";

const segments = 24;

describeWith(["postgresql-15", "dist/holdfast", "openssh-server"], "recovery through restore-command", () => {
  let lost: Lost;
  let restorer: Restorer;
  beforeAll(async () => {
    lost = await loseServer(segments, 4);
    restorer = await createRestorer();
  }, 360_000);
  afterAll(async () => {
    await restorer?.[Symbol.asyncDispose]();
    await lost?.[Symbol.asyncDispose]();
  });

  const backup = () => {
    const next = lost.backups.shift();
    if (next === undefined) throw new Error("No base backup is left");
    return next;
  };

  test("from a local folder, with all the last commits", async () => {
    await using folder = await createFolder("holdfast-archive", serverUser("postgres"));
    const archive: ArchiveSettingsInput = { storage: { type: "local", directory: folder.path }, compression: "zstd" };
    await fill(archive, lost);
    for (const name of await readdir(join(folder.path, "wal-archive")))
      await giveTo(serverUser("postgres"), join(folder.path, "wal-archive", name));
    await giveTo(serverUser("postgres"), join(folder.path, "wal-archive"));
    await using server = await recover(backup(), restorer.command(await restorer.configure(archive)));
    expect(digest(await databaseContent(server))).toEqual(digest(lost.content));
    expect(server.log()).toContain("archive recovery complete");
    // The prefetcher leaves nothing behind once nobody has asked for a while; until then its folder is small.
    const prefetched = await readdir(join(server.dataFolder, "pg_wal"));
    expect(prefetched.filter((name) => name.endsWith(".holdfast-tmp"))).toEqual([]);
  }, 240_000);

  test("from S3, encrypted, while it is cut off again and again", async () => {
    await using s3 = startS3Server();
    const common = { compression: "gzip", encryption: { passphrase: "a passphrase" } } as const;
    const storage = s3Settings(s3);
    await fill({ storage, ...common }, lost);
    await using proxy = await startTcpProxy(s3.port);
    const through = { ...storage, endpoint: `http://127.0.0.1:${proxy.port}` };
    const flags = await restorer.configure({ storage: through, ...common });
    await using trouble = troubleWith(proxy, 700_000);
    await using server = await recover(backup(), restorer.command(flags));
    expect(digest(await databaseContent(server))).toEqual(digest(lost.content));
    expect(trouble.outages).toBeGreaterThan(0);
  }, 240_000);

  test("from SFTP, while it is cut off again and again", async () => {
    await using ssh = await startSshServer();
    const archive = { storage: sftpSettings(ssh) } as const;
    await fill(archive, lost);
    await using proxy = await startTcpProxy(ssh.port);
    // The server's user reads the key and the known hosts: they are for another port here.
    const hostKey = (await Bun.file(ssh.knownHostsFile).text()).trim().split(" ").slice(1).join(" ");
    const key = join(restorer.folder, "key");
    await Bun.write(key, await Bun.file(ssh.privateKeyFile).text());
    await giveTo(serverUser("postgres"), key);
    const { known_hosts_file: _, ...storage } = archive.storage;
    const flags = await restorer.configure({
      storage: { ...storage, port: proxy.port, host_key: hostKey, private_key_file: key },
    });
    await using trouble = troubleWith(proxy, 5_000_000);
    await using server = await recover(backup(), restorer.command(flags));
    expect(digest(await databaseContent(server))).toEqual(digest(lost.content));
    expect(trouble.outages).toBeGreaterThan(0);
  }, 240_000);

  test("with a storage that is gone in the middle, it stops instead of ending early, and goes on later", async () => {
    await using s3 = startS3Server();
    const storage = s3Settings(s3);
    await fill({ storage }, lost);
    const middle = (await readdir(lost.walFolder)).sort()[segments / 2] ?? "";
    let isGone = true;
    s3.intercept = (request) => {
      const [name = ""] = /0000000[0-9A-F]{17}/.exec(decodeURIComponent(request.url)) ?? [];
      return isGone && name >= middle ? new Response("gone", { status: 503 }) : undefined;
    };
    const flags = await restorer.configure({ storage: { ...storage, attempts: 1 } });
    const restore_command = restorer.command(`${flags} --retry-timeout=1s --prefetch=2`);
    await using server = await startFrom(backup(), "recovery.signal", { restore_command, autovacuum: "off" });
    await waitFor("the server to end", () => server.log().includes("database system is shut down"), 60_000);
    expect(server.log()).toContain(
      `could not restore file "${middle}" from archive: child process exited with exit code 200`,
    );
    expect(server.log()).not.toContain("archive recovery complete");
    isGone = false;
    await server.start();
    await isPrimary(server);
    expect(digest(await databaseContent(server))).toEqual(digest(lost.content));
  }, 240_000);
});

/** So that a difference does not print megabytes. */
const digest = (lines: readonly string[]) => createHash("sha256").update(lines.join("\n")).digest("hex");
