/** Everything but the archive is lost, and the archive is in S3. */
import { expect, test } from "bun:test";
import { mkdir, readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { createAuthority } from "../../../harness/certificates.ts";
import { describeWith } from "../../../harness/describe-with.ts";
import { createFolder } from "../../../harness/folders.ts";
import { startTcpProxy } from "../../../harness/outage-proxy.ts";
import { startS3Server } from "../../../harness/s3/server.ts";
import { troubleWith } from "../../../harness/trouble.ts";
import { giveTo, serverUser } from "../../../harness/users.ts";
import { waitFor } from "../../../harness/wait.ts";
import { createRestorer, openArchive } from "../../restore/support.ts";
import { s3Settings } from "../../storage/storages.ts";
import { namesIn } from "../archive/places.ts";
import { startScene } from "./scene.ts";

const encryption = { passphrase: "a passphrase" };
const segmentsOf = (names: readonly string[]) => names.filter((name) => name.length === 24);

describeWith(["postgresql-15", "pgbench", "dist/holdfast", "openssl"], "a restore from S3", () => {
  test("over TLS, versioned, with gzip and aes, after 100 switches", async () => {
    await using folder = await createFolder("holdfast-tls", serverUser("postgres"));
    const authority = await createAuthority(folder.path, "authority");
    const pair = await authority.issue("server", { names: ["IP:127.0.0.1"] });
    const [cert, key] = await Promise.all([readFile(pair.certificate, "utf8"), readFile(pair.key, "utf8")]);
    await using s3 = startS3Server({ tls: { cert, key } });
    const archive = {
      storage: {
        ...s3Settings(s3),
        endpoint: `https://127.0.0.1:${s3.port}`,
        bucket: "versioned",
        prefix: "main/wal",
        ca_file: authority.certificate,
      },
      compression: "gzip",
      encryption,
    } as const;
    await using store = await openArchive(archive);
    await using scene = await startScene();
    const instance = await scene.receive({ ...archive, keep_local: 2 });
    await scene.load();
    await scene.switchWal(100);
    const loss = await scene.lose(instance, store, "whole");
    const names = [...(s3.buckets.get("versioned")?.versions.keys() ?? [])];
    expect(names.length).toBeGreaterThan(110);
    expect(names.filter((name) => !/^main\/wal\/wal-archive\/[0-9A-F]{24}\.gz\.aes$/.test(name))).toEqual([]);

    await using restorer = await createRestorer();
    await using restored = await scene.restore(restorer.command(await restorer.configure(archive)));
    await scene.expectRestored(restored, loss);
  }, 480_000);

  test("through an agent that lost its folder, and its server", async () => {
    await using s3 = startS3Server();
    const archive = { storage: s3Settings(s3), compression: "zstd", ship_partial: "1s" } as const;
    await using store = await openArchive(archive);
    await using scene = await startScene();
    const first = await scene.receive({ ...archive, keep_local: 2 });
    await scene.load();
    await scene.switchWal(10);
    const loss = await scene.lose(first, store, "partial");
    const archived = segmentsOf(await namesIn(store));

    await mkdir(scene.directory);
    const token = "a-token-of-some-length";
    const agent = await scene.receive(archive, { makeSlot: false, config: { serve: { token } } });
    await agent.until("waiting");
    await using restorer = await createRestorer();
    const tokenFile = join(restorer.folder, "token");
    await Bun.write(tokenFile, token);
    await giveTo(serverUser("postgres"), tokenFile);
    const flags = `--serve-addr=127.0.0.1:${agent.agent.port}/wal --token-file=${tokenFile}`;
    await using restored = await scene.restore(restorer.command(flags));
    await scene.expectRestored(restored, loss);
    expect((await readdir(scene.directory)).filter((name) => /^[0-9A-F]{24}/.test(name))).toEqual([]);
    // A page is as old as the last collection.
    const served = async (result: string) => (await agent.value("pgrwl_serve_requests_total", { result })) ?? 0;
    await waitFor("the segments to be counted", async () => (await served("whole")) > archived.length / 2);
    await waitFor("the partial segment to be counted", async () => (await served("partial")) > 0);
  }, 480_000);

  test("while the storage is cut off again and again, during the uploads and during the restore", async () => {
    await using s3 = startS3Server();
    const direct = { storage: s3Settings(s3), compression: "gzip", encryption } as const;
    await using proxy = await startTcpProxy(s3.port);
    const storage = { ...direct.storage, endpoint: `http://127.0.0.1:${proxy.port}`, attempts: 1 };
    await using store = await openArchive(direct);
    await using scene = await startScene();
    const instance = await scene.receive({ ...direct, storage, keep_local: 0, ship_partial: "1s" });
    const uploading = troubleWith(proxy, 300_000);
    await using _ = uploading;
    await scene.load();
    await scene.switchWal(10);
    const loss = await scene.lose(instance, store, "partial");
    await uploading.stop();
    expect(uploading.outages).toBeGreaterThanOrEqual(2);
    expect(instance.log()).toContain("reason=unavailable");
    expect(instance.log()).not.toContain("level=error");

    await using restorer = await createRestorer();
    const flags = await restorer.configure({ ...direct, storage });
    await using restoring = troubleWith(proxy, 300_000);
    await using restored = await scene.restore(restorer.command(flags));
    await scene.expectRestored(restored, loss);
    expect(restoring.outages).toBeGreaterThanOrEqual(2);
  }, 480_000);
});
