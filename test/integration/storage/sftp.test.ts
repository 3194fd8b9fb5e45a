/** What is SFTP's own: who the server is, who we are, and connections that end. */
import { afterAll, beforeAll, beforeEach, expect, test } from "bun:test";
import { createHash, randomBytes } from "node:crypto";
import { appendFile, chmod, mkdir, readFile, writeFile } from "node:fs/promises";
import { collect } from "../../../plugins/common/storage/content.ts";
import type { StorageSettingsInput } from "../../../plugins/common/storage/settings.ts";
import { describeWith } from "../../harness/describe-with.ts";
import { createFolder } from "../../harness/folders.ts";
import { startTcpProxy, type TcpProxy } from "../../harness/outage-proxy.ts";
import { runTool } from "../../harness/processes.ts";
import { type SshServer, startSshServer } from "../../harness/ssh.ts";
import { serverUser } from "../../harness/users.ts";
import { waitFor } from "../../harness/wait.ts";
import { failureOf, open, sftpSettings } from "./storages.ts";

type SftpInput = Extract<StorageSettingsInput, { type: "sftp" }>;

const large = randomBytes(12_345_678);
const sha256 = (content: Uint8Array) => createHash("sha256").update(content).digest("hex");

describeWith(["openssh-server"], "SFTP", () => {
  let server: SshServer;
  let proxy: TcpProxy;
  beforeAll(async () => {
    server = await startSshServer();
    proxy = await startTcpProxy(server.port);
    const known = await readFile(server.knownHostsFile, "utf8");
    await appendFile(server.knownHostsFile, known.replace(String(server.port), String(proxy.port)));
  });
  afterAll(async () => {
    await proxy[Symbol.asyncDispose]();
    await server[Symbol.asyncDispose]();
  });
  beforeEach(() => proxy.behave());

  /** What check() finds; the storage is closed. */
  const checked = async (more: Partial<SftpInput>, environment: Record<string, string> = {}) => {
    await using storage = await open({ ...sftpSettings(server), ...more }, environment);
    return await storage.check();
  };
  const proxied = (more: Partial<SftpInput> = {}) => open({ ...sftpSettings(server), port: proxy.port, ...more });

  test("a server must be known, by any form that a known_hosts file has", async () => {
    await using folder = await createFolder("holdfast-known-hosts");
    const file = `${folder.path}/known_hosts`;
    const known = await readFile(server.knownHostsFile, "utf8");
    const [line = ""] = known.split("\n");
    const key = line.split(" ").slice(1).join(" ");
    await writeFile(file, line);
    await runTool(["ssh-keygen", "-q", "-H", "-f", file], { user: serverUser("root"), cwd: folder.path });
    expect(await readFile(file, "utf8")).toStartWith("|1|");
    expect(await checked({ known_hosts_file: file })).toEqual([]);
    await writeFile(file, `# a comment\n[127.0.0.*]:${server.port} ${key}\n`);
    expect(await checked({ known_hosts_file: file })).toEqual([]);
    // The server shows its ed25519 key unless it is asked for the one that is known.
    await writeFile(file, `[127.0.0.1]:${server.port} ${server.rsaHostKey}\n`);
    expect(await checked({ known_hosts_file: file })).toEqual([]);
    const { known_hosts_file: _, ...without } = sftpSettings(server);
    await using pinned = await open({ ...without, host_key: key });
    expect(await pinned.check()).toEqual([]);
    await using ignoring = await open({ ...without, insecure_ignore_host_key: true });
    expect(await ignoring.check()).toEqual([expect.stringContaining("insecure_ignore_host_key")]);
    await using byFingerprint = await open({ ...without, host_key: "SHA256:wrong" });
    const error = await failureOf(byFingerprint.check());
    const [, fingerprint = ""] = /key (SHA256:\S+),/.exec(error.message) ?? [];
    await using right = await open({ ...without, host_key: fingerprint });
    expect(await right.check()).toEqual([]);
  });

  test("an unknown, changed or revoked server is refused before anything is told to it", async () => {
    await using folder = await createFolder("holdfast-known-hosts");
    const file = `${folder.path}/known_hosts`;
    const [line = ""] = (await readFile(server.knownHostsFile, "utf8")).split("\n");
    const refused = async (content: string) => {
      await writeFile(file, content);
      const error = await failureOf(checked({ known_hosts_file: file }));
      expect(error.kind).toBe("misconfigured");
      return error.message;
    };
    expect(await refused("")).toContain(
      `has no key of [127.0.0.1]:${server.port}; add it (ssh-keyscan -p ${server.port} 127.0.0.1`,
    );
    expect(await refused(line.replace(`[127.0.0.1]:${server.port}`, "127.0.0.1"))).toContain("has no key of");
    const other = Buffer.from(line.split(" ")[2] ?? "", "base64");
    other.writeUInt8(other.readUInt8(40) ^ 1, 40);
    expect(await refused(`[127.0.0.1]:${server.port} ssh-ed25519 ${other.toString("base64")}`)).toContain(
      "someone may be in between",
    );
    expect(await refused(`${line}\n@revoked * ${line.split(" ").slice(1).join(" ")}`)).toContain("as revoked");
    expect(server.log()).not.toContain("Invalid user");
  });

  test("a key with a passphrase, and an agent, log in", async () => {
    const { encryptedKeyFile, passphrase, privateKeyFile } = server;
    expect(await checked({ private_key_file: encryptedKeyFile, passphrase })).toEqual([]);
    await using folder = await createFolder("holdfast-agent");
    const socket = `${folder.path}/agent`;
    const agent = Bun.spawn(["ssh-agent", "-D", "-a", socket], { stdout: "ignore", stderr: "ignore" });
    try {
      const add = () => Bun.spawnSync(["ssh-add", privateKeyFile], { env: { SSH_AUTH_SOCK: socket } }).success;
      await waitFor("the agent", add);
      const { private_key_file: _, ...without } = sftpSettings(server);
      await using named = await open({ ...without, agent: socket });
      expect(await named.check()).toEqual([]);
      await using inherited = await open({ ...without, agent: true }, { SSH_AUTH_SOCK: socket });
      expect(await inherited.check()).toEqual([]);
      expect((await failureOf(open({ ...without, agent: true }))).message).toContain("SSH_AUTH_SOCK is not set");
    } finally {
      agent.kill();
      await agent.exited;
    }
  });

  test("who cannot log in is told why", async () => {
    const { encryptedKeyFile, strangeKeyFile } = server;
    const wrong: readonly [Partial<SftpInput>, string][] = [
      [{ private_key_file: strangeKeyFile }, `the server accepted none of: private_key_file ${strangeKeyFile}`],
      [{ private_key_file: "/none" }, "Cannot read the private key /none: ENOENT"],
      [{ private_key_file: encryptedKeyFile }, "no passphrase given"],
      [{ private_key_file: encryptedKeyFile, passphrase: "topsecret" }, "check private_key_file and passphrase"],
      [{ user: "nobody-at-all" }, 'as "nobody-at-all"'],
    ];
    for (const [more, message] of wrong) {
      const error = await failureOf(checked(more));
      expect([error.kind, error.message]).toEqual(["misconfigured", expect.stringContaining(message)]);
      expect(error.message).not.toContain("topsecret");
    }
  });

  test("a folder that may not be written, or is missing, is told as that", async () => {
    await mkdir(`${server.folder}/locked`, { recursive: true });
    await chmod(`${server.folder}/locked`, 0o555);
    const denied = await failureOf(checked({ directory: "/etc" }));
    expect([denied.kind, denied.message]).toEqual(["access-denied", expect.stringContaining("Permission denied")]);
    await using missing = await open({ ...sftpSettings(server), directory: `${server.folder}/missing` });
    for (const work of [
      () => missing.stat("x"),
      () => missing.get("x"),
      () => Array.fromAsync(missing.list("")),
      () => missing.delete(["x"]),
    ]) {
      const error = await failureOf(work());
      expect([error.kind, error.message]).toEqual([
        "misconfigured",
        expect.stringContaining("there is no such folder; make the folder"),
      ]);
    }
    await missing.put("a/x", Buffer.from("x"));
    expect(await missing.stat("b")).toBeUndefined();
  });

  test("one connection serves everything, and is gone after the end", async () => {
    const before = proxy.accepted;
    {
      await using storage = await proxied();
      await Promise.all(Array.from({ length: 50 }, (_, n) => storage.put(`many/${n}`, Buffer.from("x"))));
      expect(proxy.accepted - before).toBe(1);
      expect(proxy.open).toBe(1);
    }
    await waitFor("the end of the connection", () => proxy.open === 0);
  });

  test("a lost connection is made again", async () => {
    await using storage = await proxied();
    await storage.put("lost", Buffer.from("x"));
    for (let n = 0; n < 3; n++) {
      proxy.cut();
      await waitFor("the cut", () => proxy.open === 0);
      expect((await storage.stat("lost"))?.sizeBytes).toBe(1);
    }
  });

  test("a server that was restarted is found again, unless it is another one", async () => {
    await using other = await startSshServer();
    // sshd's process of a connection outlives the server: something has to end it.
    await using between = await startTcpProxy(other.port);
    const known = await readFile(other.knownHostsFile, "utf8");
    await writeFile(other.knownHostsFile, known.replace(String(other.port), String(between.port)));
    await using storage = await open({ ...sftpSettings(other), port: between.port, attempts: 1 });
    await storage.put("x", Buffer.from("x"));
    await other.stop();
    between.cut();
    expect((await failureOf(storage.stat("x"))).kind).toBe("unavailable");
    await other.start();
    expect((await storage.stat("x"))?.sizeBytes).toBe(1);
    await other.stop();
    between.cut();
    await other.changeHostKey();
    await other.start();
    const error = await failureOf(waitForMisconfigured(() => storage.stat("x")));
    expect(error.message).toContain("someone may be in between");
  });

  test("an upload that is cut leaves nothing under its name, and is whole the next time", async () => {
    await using storage = await proxied({ attempts: 1 });
    await storage.put("first", Buffer.from("x"));
    for (const bytes of [5000, 100_000, 6_000_000, 12_300_000]) {
      proxy.cutAfter(bytes);
      const error = await failureOf(storage.put("cut", large));
      expect(error.kind).toBe("unavailable");
      proxy.behave();
      expect(await waitFor("the storage", () => storage.stat("first"))).toBeDefined();
      expect(await storage.stat("cut")).toBeUndefined();
    }
    await storage.put("cut", large);
    expect(sha256(await collect((await storage.get("cut")).stream, 1 << 30))).toBe(sha256(large));
    await storage.removeUnfinished(new Date(Date.now() + 10_000));
    expect((await Array.fromAsync(storage.list(""))).map(({ name }) => name)).toContain("cut");
  });

  test("a download that is cut ends with an error", async () => {
    await using storage = await proxied({ attempts: 1 });
    await storage.put("whole", large);
    for (const bytes of [1000, 1_000_000, 12_000_000]) {
      const { stream } = await waitFor("the storage", () => storage.get("whole"));
      proxy.cutAfter(bytes);
      expect((await failureOf(collect(stream, 1 << 30))).kind).toBe("unavailable");
      proxy.behave();
    }
  });

  test("a server that falls silent is given up", async () => {
    proxy.refuse("hang");
    await using storage = await proxied({ timeout: "3s", attempts: 1 });
    const error = await failureOf(storage.stat("x"));
    expect([error.kind, error.message]).toEqual([
      "unavailable",
      expect.stringContaining("Cannot connect to 127.0.0.1"),
    ]);
    proxy.behave();
    expect(await storage.stat("absent")).toBeUndefined();
    // Every answer comes later than is waited for.
    proxy.delay(10_000);
    expect((await failureOf(storage.stat("x"))).message).toContain("no answer in 3 s");
  });

  test("two that remove the same left-over files do not trip over each other", async () => {
    await using one = await open({ ...sftpSettings(server), directory: `${server.folder}/left` });
    await using other = await open({ ...sftpSettings(server), directory: `${server.folder}/left` });
    await one.put("whole", Buffer.from("x"));
    await other.stat("whole");
    const names = Array.from({ length: 50 }, (_, n) => `.x.${String(n).padStart(16, "0")}.holdfast-tmp`);
    for (const name of names) await writeFile(`${server.folder}/left/${name}`, "");
    const soon = new Date(Date.now() + 10_000);
    const removed = await Promise.all([one.removeUnfinished(soon), other.removeUnfinished(soon)]);
    expect(removed[0] + removed[1]).toBe(names.length);
  });

  test("a server that only reads is told as one", async () => {
    await using readOnly = await startSshServer({ sftp: "-R" });
    await using storage = await open(sftpSettings(readOnly));
    const error = await failureOf(storage.check());
    expect([error.kind, error.message]).toEqual(["access-denied", expect.stringContaining("Permission denied")]);
  });

  test("a server without extensions is served, and check() says what is lacking", async () => {
    await using plain = await startSshServer({ sftp: "-P fsync,posix-rename" });
    await using storage = await open(sftpSettings(plain));
    await storage.put("x", Buffer.from("one"));
    await storage.put("x", Buffer.from("two"));
    expect(Buffer.from(await collect((await storage.get("x")).stream, 10)).toString()).toBe("two");
    expect(await storage.check()).toEqual([expect.stringContaining("lacks")]);
  });
});

/** A server that starts may refuse connections for a moment. */
async function waitForMisconfigured(work: () => Promise<unknown>): Promise<never> {
  const error = await waitFor("another failure", async () => {
    const found = await failureOf(work());
    return found.kind === "misconfigured" ? found : undefined;
  });
  throw error;
}
