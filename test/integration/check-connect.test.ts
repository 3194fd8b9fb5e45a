/** `check --connect` finds what an instance cannot reach, and says what would do. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { runOnce } from "../harness/agent.ts";
import { describeWith } from "../harness/describe-with.ts";
import { createFolder } from "../harness/folders.ts";
import { freePort } from "../harness/ports.ts";
import { startPostgres } from "../harness/postgres.ts";
import { type S3Server, startS3Server } from "../harness/s3/server.ts";
import { type SshServer, startSshServer } from "../harness/ssh.ts";
import { walSegment } from "../harness/wal-segment.ts";
import { openArchive } from "./restore/support.ts";
import { s3Settings, sftpSettings } from "./storage/storages.ts";

async function check(config: object) {
  await using folder = await createFolder("holdfast-check");
  const file = join(folder.path, "holdfast.yml");
  const all = { directory: join(folder.path, "wal"), slot: "s", connect_timeout: "20s", ...config };
  await writeFile(file, `plugins: { wal: { plugin: pgrwl, config: ${JSON.stringify(all)} } }\n`);
  const { status, stdout, stderr } = await runOnce(["check", "--connect", `--config.file=${file}`]);
  return { status, stderr, lines: stdout.split("\n") };
}

const lineOf = ({ lines }: { lines: readonly string[] }, what: string) =>
  lines.find((line) => line.startsWith(`wal: ${what}`)) ?? lines.join("\n");

describeWith(["postgresql-15", "dist/holdfast"], "check --connect", () => {
  test("everything works", async () => {
    await using server = await startPostgres({}, { version: 15 });
    await using folder = await createFolder("holdfast-archive");
    const archive = { storage: { type: "local", directory: join(folder.path, "archive") } };
    const found = await check({ postgres: `host=127.0.0.1 port=${server.port} user=postgres`, archive });
    expect(found.status).toBe(0);
    expect(lineOf(found, "server")).toBe("wal: server: works");
    expect(lineOf(found, "archive")).toBe("wal: archive: works");
    expect(found.lines.join("\n")).toContain("There is no replication slot s");
    expect(await server.psql("SELECT count(*) FROM pg_replication_slots")).toBe("0\n");
  }, 120_000);

  test("the server is not there", async () => {
    const port = await freePort();
    const found = await check({ postgres: `host=127.0.0.1 port=${port} user=postgres` });
    expect([found.status, lineOf(found, "server")]).toEqual([1, expect.stringContaining(`127.0.0.1:${port}`)]);
  }, 120_000);

  const denied = (code: string) => new Response(`<Error><Code>${code}</Code></Error>`, { status: 403 });
  /** Settings beside the right ones, or what the server does; and what is said, with what would do. */
  const wrongs: readonly (readonly [string, (server: S3Server) => object | undefined, RegExp])[] = [
    ["another secret key", () => ({ secret_access_key: "wrong" }), /check access_key_id and secret_access_key/],
    ["another key id", () => ({ access_key_id: "WRONG" }), /InvalidAccessKeyId.*check access_key_id/],
    ["a bucket that is missing", () => ({ bucket: "missing" }), /NoSuchBucket.*make the bucket, or check bucket/],
    ["another region", () => ({ region: "us-west-9" }), /region is eu-test-1, the configured one us-west-9/],
    ["nobody there", () => ({ endpoint: "http://127.0.0.1:1" }), /no answer from 127\.0\.0\.1:1/],
    [
      "a server that is none of S3",
      (s3) => void answer(s3, () => new Response("<html>")),
      /is something else|S3 server/,
    ],
    [
      "keys that may not write",
      (s3) => void answer(s3, ({ method }) => (method === "PUT" ? denied("AccessDenied") : undefined)),
      /Cannot write to .*AccessDenied.*allow s3:GetObject, s3:PutObject/,
    ],
    [
      "keys that may not list",
      (s3) => void answer(s3, ({ url }) => (url.includes("list-type") ? denied("AccessDenied") : undefined)),
      /Cannot list .*AccessDenied.*s3:ListBucket/,
    ],
    [
      "keys that may not delete",
      (s3) =>
        void answer(s3, ({ method, url }) =>
          method === "DELETE" || url.includes("?delete") ? denied("AccessDenied") : undefined,
        ),
      /Cannot delete from .*AccessDenied.*s3:DeleteObject/,
    ],
  ];
  test.each(wrongs)(
    "S3: %s",
    async (_, wrong, message) => {
      await using s3 = startS3Server();
      const archive = { storage: { ...s3Settings(s3), attempts: 1, ...wrong(s3) } };
      const found = await check({ postgres: "host=127.0.0.1 port=1 user=postgres", archive });
      expect(found.status).toBe(1);
      expect(lineOf(found, "archive")).toMatch(message);
      expect(found.lines.join("\n")).not.toContain(s3.account.secretAccessKey);
    },
    120_000,
  );

  test("S3: a clock that is off", async () => {
    await using s3 = startS3Server();
    s3.clockOffsetMs = 3_600_000;
    const found = await check({ archive: { storage: s3Settings(s3) } });
    expect(lineOf(found, "archive")).toMatch(/clock is 3\d\d\d s behind the server's; set this machine's clock/);
  }, 120_000);

  test("the passphrase is not that of what is archived", async () => {
    await using folder = await createFolder("holdfast-archive");
    const storage = { type: "local", directory: join(folder.path, "archive") } as const;
    await mkdir(storage.directory);
    await using archive = await openArchive({ storage, encryption: { passphrase: "the right one" } });
    const name = "000000010000000000000003";
    await writeFile(join(folder.path, name), walSegment({ number: 3 }));
    await archive.put(name, join(folder.path, name));
    const found = await check({ archive: { storage, encryption: { passphrase: "another one" } } });
    expect(lineOf(found, "archive")).toMatch(/decrypt.*passphrase/);
    expect(found.lines.join("\n")).not.toContain("another one");
  }, 120_000);

  test("the passphrase is not that of what is archived since it is encrypted", async () => {
    await using folder = await createFolder("holdfast-archive");
    const storage = { type: "local", directory: join(folder.path, "archive") } as const;
    for (const [number, encryption] of [[3, undefined] as const, [4, { passphrase: "the right one" }] as const]) {
      await using archive = await openArchive({ storage, encryption });
      const name = `00000001000000000000000${number}`;
      await writeFile(join(folder.path, name), walSegment({ number }));
      await archive.put(name, join(folder.path, name));
    }
    for (const encryption of [{ passphrase: "another one" }, undefined]) {
      const found = await check({ archive: { storage, encryption } });
      expect(lineOf(found, "archive")).toMatch(/000000010000000000000004.*passphrase/);
    }
    const right = await check({ archive: { storage, encryption: { passphrase: "the right one" } } });
    expect(lineOf(right, "archive")).toBe("wal: archive: works");
  }, 120_000);

  test("a folder in which nobody may write", async () => {
    const found = await check({ archive: { storage: { type: "local", directory: "/sys/holdfast" } } });
    expect(lineOf(found, "archive")).toMatch(/\/sys\/holdfast.*(permi|allow|right)/i);
  }, 120_000);
});

describeWith(["dist/holdfast", "openssh-server"], "check --connect with SFTP", () => {
  const wrongs: readonly (readonly [string, (ssh: SshServer) => object, RegExp])[] = [
    [
      "a server that nobody knows",
      () => ({ known_hosts_file: "/dev/null" }),
      /has no key of .*ssh-keyscan -p \d+ 127\.0\.0\.1/,
    ],
    [
      "a key that may not log in",
      (ssh) => ({ private_key_file: ssh.strangeKeyFile }),
      /accepted none of.*authorized_keys/,
    ],
    ["a key that is missing", () => ({ private_key_file: "/none" }), /Cannot read the private key \/none: ENOENT/],
    [
      "another passphrase of the key",
      (ssh) => ({ private_key_file: ssh.encryptedKeyFile, passphrase: "topsecret" }),
      /check private_key_file and passphrase/,
    ],
    ["a user that is none", () => ({ user: "nobody-at-all" }), /Cannot log in to .* as "nobody-at-all".*check user/],
    [
      "a folder in which it may not write",
      () => ({ directory: "/etc" }),
      /Permission denied; give the user the right to read and write/,
    ],
    ["nobody there", (ssh) => ({ port: 1, host_key: ssh.rsaHostKey }), /Cannot connect to 127\.0\.0\.1:1/],
  ];
  let ssh: SshServer;
  beforeAll(async () => {
    ssh = await startSshServer();
  });
  afterAll(() => ssh[Symbol.asyncDispose]());

  test("everything works", async () => {
    const found = await check({ archive: { storage: sftpSettings(ssh) } });
    expect(lineOf(found, "archive")).toBe("wal: archive: works");
  }, 120_000);

  test.each(wrongs)(
    "%s",
    async (_, wrong, message) => {
      const found = await check({ archive: { storage: { ...sftpSettings(ssh), attempts: 1, ...wrong(ssh) } } });
      expect(found.status).toBe(1);
      expect(lineOf(found, "archive")).toMatch(message);
      expect(found.lines.join("\n")).not.toContain("topsecret");
    },
    120_000,
  );

  test("another host key than the one that is known", async () => {
    await ssh.changeHostKey();
    await ssh.stop();
    await ssh.start();
    const found = await check({ archive: { storage: sftpSettings(ssh) } });
    expect(found.status).toBe(1);
    expect(lineOf(found, "archive")).toMatch(
      /showed the ssh-ed25519 key SHA256:\S+, which is not the one in .*someone may be in between; if the server's key was changed on purpose/,
    );
  }, 120_000);
});

/** The server answers so where it is not undefined. */
function answer(server: S3Server, response: (request: Request) => Response | undefined): void {
  server.intercept = response;
}
