/** Encrypted replication connections against a real PostgreSQL, with certification authorities of the test's own. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { chmod, copyFile, mkdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { withConnection } from "../../plugins/common/postgres/connection.ts";
import { type ConnectionKeywords, resolveConnection } from "../../plugins/common/postgres/conninfo.ts";
import { type Authority, createAuthority, type KeyPair } from "../harness/certificates.ts";
import { describeWith } from "../harness/describe-with.ts";
import { createFolder, type TemporaryFolder } from "../harness/folders.ts";
import { type PostgresServer, startPostgres } from "../harness/postgres.ts";
import { connectForReplication, failureOf, limits, openSockets } from "../harness/replication.ts";
import { startTcpProxy } from "../harness/tcp-proxy.ts";
import { serverUser } from "../harness/users.ts";
import { waitFor } from "../harness/wait.ts";

describeWith(["postgresql", "openssl"], "an encrypted replication connection", () => {
  let folder: TemporaryFolder;
  let server: PostgresServer;
  let authority: Authority;
  let stranger: Authority;
  let client: KeyPair;
  beforeAll(async () => {
    const owner = serverUser("postgres");
    folder = await createFolder("replication-tls", owner);
    authority = await createAuthority(folder.path, "authority");
    stranger = await createAuthority(folder.path, "stranger");
    const own = await authority.issue("server", { names: ["DNS:localhost"], owner });
    client = await authority.issue("certified");
    server = await startPostgres(
      { ssl: "on", ssl_cert_file: own.certificate, ssl_key_file: own.key, ssl_ca_file: authority.certificate },
      {
        access: [
          "local all postgres trust",
          "hostssl all,replication encrypted 127.0.0.1/32 scram-sha-256",
          "hostnossl replication plain 127.0.0.1/32 scram-sha-256",
          "hostssl all,replication certified 127.0.0.1/32 cert",
          "hostssl replication certified_scram 127.0.0.1/32 scram-sha-256 clientcert=verify-ca",
        ],
      },
    );
    for (const user of ["encrypted", "plain", "certified", "certified_scram"])
      await server.psql(`CREATE USER ${user} REPLICATION PASSWORD 'secret'`);
  }, 120_000);
  afterAll(async () => {
    await server?.[Symbol.asyncDispose]();
    await folder?.[Symbol.asyncDispose]();
  });

  const as = (user: string, more: ConnectionKeywords = {}): ConnectionKeywords => ({
    host: "localhost",
    hostaddr: "127.0.0.1",
    port: String(server.port),
    user,
    password: "secret",
    ...more,
  });
  /** Whether the server says that the connection is encrypted. */
  const isEncrypted = async (keywords: ConnectionKeywords, home = "/nonexistent") => {
    const connection = await connectForReplication(keywords, { environment: { HOME: home } });
    const found = await server.psql(
      "SELECT ssl FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE backend_type = 'walsender' ORDER BY backend_start DESC LIMIT 1",
    );
    expect(await connection.command("SHOW wal_segment_size", limits)).toEqual([["16MB"]]);
    await connection.close();
    await waitFor("it is gone", async () => (await server.psql("SELECT count(*) FROM pg_stat_replication")) === "0\n");
    return found.startsWith("t");
  };

  /** Asked of a database, which takes the same settings. */
  const userOf = async (keywords: ConnectionKeywords) => {
    const target = await resolveConnection({ ...keywords, dbname: "postgres" }, { HOME: "/nonexistent" });
    const [row] = await withConnection(target, { ...limits, applicationName: "test" }, (query) =>
      query<{ user: string }>("SELECT current_user AS user"),
    );
    return row?.user;
  };

  test("is what each sslmode says", async () => {
    const sslrootcert = authority.certificate;
    expect(await isEncrypted(as("encrypted"))).toBe(true);
    expect(await isEncrypted(as("encrypted", { sslmode: "require" }))).toBe(true);
    expect(await isEncrypted(as("encrypted", { sslmode: "allow" }))).toBe(true);
    expect(await isEncrypted(as("encrypted", { sslmode: "require", sslrootcert }))).toBe(true);
    expect(await isEncrypted(as("encrypted", { sslmode: "verify-ca", sslrootcert, host: "elsewhere.example" }))).toBe(
      true,
    );
    expect(await isEncrypted(as("encrypted", { sslmode: "verify-full", sslrootcert }))).toBe(true);
    expect(await isEncrypted(as("encrypted", { sslmode: "verify-full", sslrootcert, sslsni: "0" }))).toBe(true);
    expect(await isEncrypted(as("plain"))).toBe(false);
    expect(await isEncrypted(as("plain", { sslmode: "allow" }))).toBe(false);
    expect(await isEncrypted(as("plain", { sslmode: "disable" }))).toBe(false);
    for (const [user, sslmode] of [
      ["encrypted", "disable"],
      ["plain", "require"],
    ] as const)
      expect(await failureOf(isEncrypted(as(user, { sslmode })))).toMatchObject({
        kind: "authentication",
        sqlState: "28000",
      });
  }, 120_000);

  test("is bound to its channel where the server offers that", async () => {
    const required = { channel_binding: "require" };
    expect(await isEncrypted(as("encrypted", required))).toBe(true);
    expect(await isEncrypted(as("encrypted", { channel_binding: "disable" }))).toBe(true);
    const plain = await failureOf(isEncrypted(as("plain", { ...required, sslmode: "disable" })));
    expect(plain.kind).toBe("authentication");
    expect(plain.message).toMatch(/does not offer SCRAM-SHA-256-PLUS, which channel_binding=require needs$/);
    expect(
      await failureOf(isEncrypted(as("certified", { ...required, sslcert: client.certificate, sslkey: client.key }))),
    ).toMatchObject({ kind: "authentication" });
  });

  test.each(["require", "verify-ca", "verify-full"])(
    "with sslmode=%s refuses another authority's server",
    async (sslmode) => {
      const before = openSockets();
      const keywords = as("encrypted", { sslmode, sslrootcert: stranger.certificate });
      const failure = await failureOf(isEncrypted(keywords));
      expect(failure).toMatchObject({ kind: "connect", sqlState: undefined });
      expect(failure.message).toStartWith(
        `Cannot connect to PostgreSQL at localhost:${server.port}: the server's certificate is not accepted (`,
      );
      expect(failure.message).toMatch(
        /name the certificate of the authority that signed the server's with sslrootcert/,
      );
      await waitFor("no socket is left", () => openSockets() <= before);
    },
  );

  test("with sslmode=verify-full refuses another name, and says which would do", async () => {
    const sslrootcert = authority.certificate;
    for (const host of ["127.0.0.1", "db1.example"]) {
      const failure = await failureOf(isEncrypted(as("encrypted", { host, sslmode: "verify-full", sslrootcert })));
      expect(failure.kind).toBe("connect");
      expect(failure.message).toMatch(/connect by a name that stands in the server's certificate/);
    }
  });

  test("takes the authority's certificate from the home folder, and says what is missing without one", async () => {
    const home = join(folder.path, "home");
    await mkdir(join(home, ".postgresql"), { recursive: true });
    const failure = await failureOf(isEncrypted(as("encrypted", { sslmode: "verify-ca" }), home));
    expect(failure.kind).toBe("connect");
    expect(failure.message).toMatch(/root.crt does not exist; name a file with sslrootcert, use sslrootcert=system/);
    await copyFile(authority.certificate, join(home, ".postgresql", "root.crt"));
    expect(await isEncrypted(as("encrypted", { sslmode: "verify-full" }), home)).toBe(true);
    await copyFile(stranger.certificate, join(home, ".postgresql", "root.crt"));
    expect((await failureOf(isEncrypted(as("encrypted", { sslmode: "require" }), home))).kind).toBe("connect");
    const missing = await failureOf(
      isEncrypted(as("encrypted", { sslmode: "verify-ca", sslrootcert: "/no/such" }), home),
    );
    expect(missing.message).toMatch(/the root certificate "\/no\/such" cannot be read \(ENOENT\); name another/);
    const system = await failureOf(isEncrypted(as("encrypted", { sslrootcert: "system" }), home));
    expect(system.message).toMatch(/the server's certificate is not accepted/);
  });

  test("logs in by a client certificate, and says so when that is missing", async () => {
    const { certificate: sslcert, key: sslkey } = client;
    expect(await isEncrypted(as("certified", { sslmode: "require", sslcert, sslkey }))).toBe(true);
    expect(await isEncrypted(as("certified_scram", { sslmode: "require", sslcert, sslkey }))).toBe(true);
    const missing = await failureOf(isEncrypted(as("certified", { sslmode: "require" })));
    expect(missing).toMatchObject({ kind: "authentication", sqlState: "28000" });
    expect(missing.message).toMatch(/FATAL 28000: connection requires a valid client certificate/);
    const noKey = await failureOf(isEncrypted(as("certified", { sslcert })));
    expect(noKey.message).toMatch(/there is a client certificate ".*" but no private key; name it with sslkey/);
    const foreign = await stranger.issue("certified");
    const refused = await failureOf(
      isEncrypted(as("certified", { sslmode: "require", sslcert: foreign.certificate, sslkey: foreign.key })),
    );
    expect(["connect", "connection_lost", "authentication"]).toContain(refused.kind);
  });

  test("to a database holds the certificate against the host, not against the address that it is reached at", async () => {
    const verified = { sslmode: "verify-full", sslrootcert: authority.certificate };
    expect(await userOf(as("encrypted", verified))).toBe("encrypted");
    const elsewhere = userOf(as("encrypted", { ...verified, host: "elsewhere.example" }));
    await expect(elsewhere).rejects.toThrow(/Host: elsewhere.example. is not in the cert's altnames/);
  });

  test("uses no private key that others may read, and one that a password opens", async () => {
    const open = join(folder.path, "open.key");
    await copyFile(client.key, open);
    await chmod(open, 0o644);
    const keywords = (sslkey: string, more = {}) =>
      as("certified", { sslmode: "require", sslcert: client.certificate, sslkey, ...more });
    const failure = await failureOf(isEncrypted(keywords(open)));
    expect(failure.message).toMatch(
      /the private key ".*" may be used by others; take their rights away with chmod 0600$/,
    );
    const locked = join(folder.path, "locked.key");
    await Bun.$`openssl pkey -in ${client.key} -aes256 -passout pass:sesame -out ${locked}`.quiet();
    await chmod(locked, 0o600);
    expect(await readFile(locked, "utf8")).toContain("ENCRYPTED");
    expect(await isEncrypted(keywords(locked, { sslpassword: "sesame" }))).toBe(true);
    const wrong = await failureOf(isEncrypted(keywords(locked, { sslpassword: "wrong-one" })));
    expect(wrong.kind).toBe("connect");
    expect(Bun.inspect(wrong)).not.toContain("wrong-one");

    const ask = (sslpassword: string) => userOf(keywords(locked, { sslpassword }));
    expect(await ask("sesame")).toBe("certified");
    await expect(ask("wrong-one")).rejects.toThrow(/^Cannot query PostgreSQL at 127.0.0.1:/);
  });

  test("is not made with a server that cannot, unless plain will do", async () => {
    await using plain = await startPostgres();
    const keywords = { host: "127.0.0.1", port: String(plain.port), user: "postgres" };
    const failure = await failureOf(connectForReplication({ ...keywords, sslmode: "require" }));
    expect(failure.kind).toBe("connect");
    expect(failure.message).toMatch(
      /the server does not encrypt \(ssl = off\); switch it on there, or use sslmode=prefer/,
    );
    for (const sslmode of ["prefer", "allow", "disable"])
      await (await connectForReplication({ ...keywords, sslmode })).close();
  }, 120_000);

  test("fails in order wherever the server's answer is cut", async () => {
    const before = openSockets();
    await using proxy = await startTcpProxy(server);
    const keywords = as("encrypted", { port: String(proxy.port), sslmode: "require" });
    const connection = await connectForReplication(keywords);
    const total = proxy.connections[0]?.bytes("toClient") ?? 0;
    await connection.close();
    for (let bytes = 0; bytes < total; bytes += 97) {
      proxy.faults = { cutAfter: { direction: "toClient", bytes } };
      const failure = await failureOf(connectForReplication(keywords));
      expect(["connection_lost", "connect"]).toContain(failure.kind);
    }
    await waitFor("no socket is left", () => openSockets() <= before + 1);
  }, 120_000);

  test("streams, and ends with the server", async () => {
    const connection = await connectForReplication(as("encrypted", { sslmode: "require" }));
    let bytes = 0;
    const data = (payload: Buffer) => {
      bytes += payload.length;
    };
    const handlers = { data, drained: () => {}, done: () => {} };
    const started = await connection.start("START_REPLICATION PHYSICAL 0/1000000", handlers, limits);
    if (started.kind !== "streaming") throw new Error("Expected a stream");
    await waitFor("WAL comes", () => bytes > 100_000);
    const failed = failureOf(started.stream.ended);
    await server.crash();
    expect((await failed).kind).toBe("connection_lost");
    await connection.close();
  });
});
