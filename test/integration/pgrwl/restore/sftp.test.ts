/** Everything but the archive is lost, twice, and the archive is on an SFTP server. */
import { expect, test } from "bun:test";
import { copyFile } from "node:fs/promises";
import { join } from "node:path";
import { describeWith } from "../../../harness/describe-with.ts";
import { startTcpProxy } from "../../../harness/outage-proxy.ts";
import { startSshServer } from "../../../harness/ssh.ts";
import { troubleWith } from "../../../harness/trouble.ts";
import { giveTo, serverUser } from "../../../harness/users.ts";
import { createRestorer, openArchive } from "../../restore/support.ts";
import { sftpSettings } from "../../storage/storages.ts";
import { namesIn } from "../archive/places.ts";
import { startScene } from "./scene.ts";

const encryption = { passphrase: "a passphrase" };

describeWith(["postgresql-15", "pgbench", "dist/holdfast", "openssh-server"], "a restore from SFTP", () => {
  test("with gzip and aes, and from both timelines once what was restored is lost too", async () => {
    await using ssh = await startSshServer();
    const archive = { storage: sftpSettings(ssh), compression: "gzip", encryption } as const;
    await using store = await openArchive(archive);
    await using restorer = await createRestorer();
    const [key, knownHosts] = [join(restorer.folder, "key"), join(restorer.folder, "known_hosts")];
    await copyFile(ssh.privateKeyFile, key);
    await copyFile(ssh.knownHostsFile, knownHosts);
    for (const file of [key, knownHosts]) await giveTo(serverUser("postgres"), file);
    const own = { ...archive, storage: { ...archive.storage, private_key_file: key, known_hosts_file: knownHosts } };
    const command = restorer.command(await restorer.configure(own));

    await using scene = await startScene(2);
    const first = await scene.receive({ ...archive, keep_local: 1 });
    await scene.load();
    await scene.switchWal(10);
    const firstLoss = await scene.lose(first, store, "whole");
    await scene.takeOver(command);
    await scene.expectRestored(scene.server, firstLoss, { amcheck: false });

    // It has nothing but the archive to tell it where it left off, and the fork is exactly there.
    const second = await scene.receive({ ...archive, keep_local: 1, ship_partial: "1s" });
    await second.until("streaming");
    await scene.switchWal(10);
    const secondLoss = await scene.lose(second, store, "partial");
    expect(second.log()).toContain("The archive reaches further than the directory");
    expect(await namesIn(store)).toContain("00000002.history");
    await using restored = await scene.restore(command);
    await scene.expectRestored(restored, secondLoss);
  }, 480_000);

  test("while the server is cut off again and again, during the uploads and during the restore", async () => {
    await using ssh = await startSshServer();
    await using proxy = await startTcpProxy(ssh.port);
    const { known_hosts_file: _, ...direct } = { ...sftpSettings(ssh), host_key: ssh.rsaHostKey };
    const storage = { ...direct, port: proxy.port, attempts: 1 };
    await using store = await openArchive({ storage: direct });
    await using scene = await startScene();
    const instance = await scene.receive({ storage, keep_local: 0, ship_partial: "1s" });
    await using uploading = troubleWith(proxy, 5_000_000);
    await scene.load();
    await scene.switchWal(10);
    const loss = await scene.lose(instance, store, "partial");
    await uploading.stop();
    expect(uploading.outages).toBeGreaterThanOrEqual(2);

    await using restorer = await createRestorer();
    const key = join(restorer.folder, "key");
    await copyFile(ssh.privateKeyFile, key);
    await giveTo(serverUser("postgres"), key);
    const flags = await restorer.configure({ storage: { ...storage, private_key_file: key } });
    await using restoring = troubleWith(proxy, 5_000_000);
    await using restored = await scene.restore(restorer.command(flags));
    await scene.expectRestored(restored, loss);
    expect(restoring.outages).toBeGreaterThanOrEqual(2);
  }, 480_000);
});
