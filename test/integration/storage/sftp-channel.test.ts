/** A server that ends the SFTP channel and leaves the connection as it is, as one does whose SFTP process dies. */
import { expect, test } from "bun:test";
import type { AddressInfo } from "node:net";
import ssh2 from "ssh2";
import { open } from "./storages.ts";

test("an SFTP channel that was ended is noticed at once, and made again", async () => {
  const { private: key } = ssh2.utils.generateKeyPairSync("ed25519");
  let channels = 0;
  const ended = Promise.withResolvers<void>();
  const server = new ssh2.Server({ hostKeys: [key] }, (client) => {
    client.on("error", () => {});
    client.on("authentication", (attempt) => attempt.accept());
    client.on("session", (accept) =>
      accept().on("sftp", (acceptSftp) => {
        channels++;
        const sftp = acceptSftp();
        sftp.on("STAT", (request) => {
          sftp.attrs(request, { mode: 0o100644, uid: 0, gid: 0, size: 7, atime: 0, mtime: 0 });
          if (channels > 1) return;
          sftp.end();
          setTimeout(ended.resolve, 100);
        });
      }),
    );
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  try {
    const { port } = server.address() as AddressInfo;
    const settings = { type: "sftp", host: "127.0.0.1", port, user: "u", password: "p", directory: "/x" } as const;
    await using storage = await open({ ...settings, insecure_ignore_host_key: true, timeout: "5s" });
    expect((await storage.stat("a"))?.sizeBytes).toBe(7);
    await ended.promise;
    const startedAt = performance.now();
    expect((await storage.stat("a"))?.sizeBytes).toBe(7);
    expect(performance.now() - startedAt).toBeLessThan(4_000);
    expect(channels).toBe(2);
  } finally {
    server.close();
  }
});
