/** A server whose rename replaces what is there, which SFTP's must not: many hand it to the system as it is. */
import { expect, test } from "bun:test";
import type { AddressInfo } from "node:net";
import ssh2 from "ssh2";
import { failureOf, open } from "./storages.ts";

const { STATUS_CODE: status } = ssh2.utils.sftp;

test("an object that is there is not replaced by a put that must not, whatever the server's rename does", async () => {
  const files = new Map<string, Buffer>([["/x/a", Buffer.from("first")]]);
  const { private: key } = ssh2.utils.generateKeyPairSync("ed25519");
  const attrs = (path: string) => {
    const size = files.get(path)?.length ?? 0;
    return { mode: path === "/x" ? 0o040755 : 0o100644, uid: 0, gid: 0, size, atime: 0, mtime: 0 };
  };
  const server = new ssh2.Server({ hostKeys: [key] }, (client) => {
    client.on("error", () => {});
    client.on("authentication", (attempt) => attempt.accept());
    client.on("session", (accept) =>
      accept().on("sftp", (acceptSftp) => {
        const sftp = acceptSftp();
        const isThere = (path: string) => path === "/x" || files.has(path);
        sftp.on("OPEN", (request, path, flags) => {
          if ((flags & 8) !== 0) files.set(path, Buffer.alloc(0));
          if (files.has(path)) sftp.handle(request, Buffer.from(path));
          else sftp.status(request, status.NO_SUCH_FILE);
        });
        sftp.on("WRITE", (request, handle, _, data) => {
          files.set(String(handle), Buffer.concat([files.get(String(handle)) ?? Buffer.alloc(0), data]));
          sftp.status(request, status.OK);
        });
        sftp.on("FSTAT", (request, handle) => sftp.attrs(request, attrs(String(handle))));
        sftp.on("STAT", (request, path) => {
          if (isThere(path)) sftp.attrs(request, attrs(path));
          else sftp.status(request, status.NO_SUCH_FILE);
        });
        sftp.on("CLOSE", (request) => sftp.status(request, status.OK));
        sftp.on("RENAME", (request, from, to) => {
          files.set(to, files.get(from) ?? Buffer.alloc(0));
          files.delete(from);
          sftp.status(request, status.OK);
        });
        sftp.on("REMOVE", (request, path) => {
          sftp.status(request, files.delete(path) ? status.OK : status.NO_SUCH_FILE);
        });
      }),
    );
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  try {
    const { port } = server.address() as AddressInfo;
    const settings = { type: "sftp", host: "127.0.0.1", port, user: "u", password: "p", directory: "/x" } as const;
    await using storage = await open({ ...settings, insecure_ignore_host_key: true, timeout: "5s", attempts: 1 });
    const error = await failureOf(storage.put("a", Buffer.from("second"), { ifAbsent: true }));
    expect(error.kind).toBe("exists");
    await storage.put("b", Buffer.from("new"), { ifAbsent: true });
    expect([...files].map(([path, content]) => [path, String(content)])).toEqual([
      ["/x/a", "first"],
      ["/x/b", "new"],
    ]);
  } finally {
    server.close();
  }
});
