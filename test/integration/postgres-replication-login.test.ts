/** How replication connections come about, and how they fail to, against a real PostgreSQL. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { writeFile } from "node:fs/promises";
import { createServer, type Server, type Socket } from "node:net";
import { join } from "node:path";
import { withConnection } from "../../plugins/common/postgres/connection.ts";
import { type ConnectionKeywords, resolveConnection } from "../../plugins/common/postgres/conninfo.ts";
import { describeWith } from "../harness/describe-with.ts";
import { createFolder, type TemporaryFolder } from "../harness/folders.ts";
import { freePort } from "../harness/ports.ts";
import { type PostgresServer, startPostgres } from "../harness/postgres.ts";
import { type ConnectOptions, connectForReplication, failureOf, limits, openSockets } from "../harness/replication.ts";
import { startTcpProxy } from "../harness/tcp-proxy.ts";
import { waitFor } from "../harness/wait.ts";

/** Connects, asks once and disconnects. @returns The place. */
async function logIn(keywords: ConnectionKeywords, options?: ConnectOptions): Promise<string> {
  const connection = await connectForReplication(keywords, options);
  const { place } = connection;
  await connection.command("IDENTIFY_SYSTEM", { timeoutMs: 10_000, signal: new AbortController().signal });
  await connection.close();
  return place;
}

describeWith(["postgresql"], "a login for replication", () => {
  let server: PostgresServer;
  let folder: TemporaryFolder;
  const ownUser = Bun.spawnSync(["id", "-un"]).stdout.toString().trim();
  const methods = ["scram", "md5", "clear", "trusted"];
  beforeAll(async () => {
    folder = await createFolder("replication-login");
    server = await startPostgres(
      {},
      {
        access: [
          "local all,replication postgres trust",
          "local replication scram scram-sha-256",
          "local replication all peer",
          "host replication scram 127.0.0.1/32 scram-sha-256",
          "host replication md5 127.0.0.1/32 md5",
          "host replication clear 127.0.0.1/32 password",
          "host replication trusted 127.0.0.1/32 trust",
          "host replication refused 127.0.0.1/32 reject",
        ],
      },
    );
    await server.psql("SET password_encryption = 'md5'; CREATE USER md5 REPLICATION PASSWORD 'pass: wörd'");
    for (const name of ["scram", "clear", "trusted", "refused", "unlisted"])
      await server.psql(`CREATE USER ${name} REPLICATION PASSWORD 'pass: wörd'`);
    await server.psql("CREATE USER mortal").catch(() => "");
    if (ownUser !== "postgres") await server.psql(`CREATE USER "${ownUser}" REPLICATION`);
  }, 120_000);
  afterAll(async () => {
    await server?.[Symbol.asyncDispose]();
    await folder?.[Symbol.asyncDispose]();
  });
  const as = (user: string, more: ConnectionKeywords = {}): ConnectionKeywords => ({
    host: "127.0.0.1",
    port: String(server.port),
    user,
    ...more,
  });

  test.each(methods)("works with %s", async (user) => {
    expect(await logIn(as(user, { password: "pass: wörd" }))).toBe(`127.0.0.1:${server.port}`);
    expect(await logIn(as(user, { password: "pass: wörd", channel_binding: "disable" }))).toBeString();
  });

  test.each(["scram", "md5", "clear"])("with %s refuses a wrong password, and does not repeat it", async (user) => {
    const failure = await failureOf(logIn(as(user, { password: "wrong-one" })));
    expect(failure).toMatchObject({ kind: "authentication", sqlState: "28P01" });
    expect(failure.message).toBe(
      `Cannot connect to PostgreSQL at 127.0.0.1:${server.port}: FATAL 28P01: password authentication failed for user "${user}"`,
    );
    expect(Bun.inspect(failure)).not.toContain("wrong-one");
  });

  test.each(["scram", "md5", "clear"])("with %s and without a password says what is missing", async (user) => {
    // Not from this process's environment either.
    const failure = await failureOf(logIn(as(user)));
    expect(failure.kind).toBe("authentication");
    expect(failure.message).toEndWith("the server asks for a password and none is known; give one, or a password file");
  });

  test("is refused to those whom pg_hba.conf rejects or does not know, and to those without the right", async () => {
    expect(await failureOf(logIn(as("refused")))).toMatchObject({ kind: "authentication", sqlState: "28000" });
    expect(await failureOf(logIn(as("unlisted")))).toMatchObject({ kind: "authentication", sqlState: "28000" });
    const mortal = await failureOf(logIn({ host: server.socketFolder, port: String(server.port), user: "mortal" }));
    expect(mortal.kind).toBe("authentication");
  });

  test("works over the Unix socket: by a password, and by the name of the process's user", async () => {
    const socket = { host: server.socketFolder, port: String(server.port) };
    const place = `${server.socketFolder}:${server.port}`;
    expect(await logIn({ ...socket, user: "scram", password: "pass: wörd" })).toBe(place);
    // No user is named anywhere: it is whom the system says that we are.
    expect(await logIn(socket, { environment: { USER: "somebody" } })).toBe(place);
    expect(await failureOf(logIn({ ...socket, user: "clear" }))).toMatchObject({ kind: "authentication" });
    // Encryption is not for sockets.
    expect(await logIn({ ...socket, sslmode: "verify-full" })).toBe(place);
  });

  test("takes a password file's line for the database replication, and a service", async () => {
    const [passfile, services] = [join(folder.path, "pgpass"), join(folder.path, "services")];
    await writeFile(passfile, `127.0.0.1:${server.port}:replication:scram:pass\\: wörd\n`, { mode: 0o600 });
    await writeFile(services, `[wal]\nhost=127.0.0.1\nport=${server.port}\nuser=scram\n`);
    const environment = { PGPASSFILE: passfile, PGSERVICEFILE: services };
    expect(await logIn({ service: "wal" }, { environment })).toBeString();
    expect(await logIn({}, { environment: { ...environment, PGSERVICE: "wal" } })).toBeString();
    const uri = {
      environment: { PGHOST: "127.0.0.1", PGPORT: String(server.port), PGUSER: "scram", PGPASSWORD: "pass: wörd" },
    };
    expect(await logIn({}, uri)).toBeString();
  });

  test("without an answer of the network says so", async () => {
    const port = await freePort();
    const refused = await failureOf(logIn(as("trusted", { port: String(port) })));
    expect(refused.kind).toBe("connect");
    expect(refused.message).toMatch(/the connection was refused; does the server run, and listen there/);
    const noSocket = await failureOf(logIn(as("trusted", { host: folder.path })));
    expect(noSocket.message).toMatch(/: there is no socket; does the server run/);
    const noName = await failureOf(logIn(as("trusted", { host: "no-such-host.invalid" })));
    expect(noName.message).toMatch(/"no-such-host.invalid" of port \d+ has no address/);
    expect(noName.kind).toBe("connect");
  });

  describe("with several hosts", () => {
    let standby: PostgresServer;
    beforeAll(async () => {
      standby = await server.standby();
    }, 120_000);
    afterAll(() => standby?.[Symbol.asyncDispose]());
    const list = (...ports: number[]) =>
      as("trusted", { host: ports.map(() => "127.0.0.1").join(","), port: ports.join(",") });
    const places = (port: number) => `127.0.0.1:${port}`;

    test("takes the next when the first is dead or mute", async () => {
      expect(await logIn(list(await freePort(), server.port))).toBe(places(server.port));
      await using mute = await muteServer();
      const keywords = list(mute.port, server.port);
      expect(await logIn(keywords, { timeoutMs: 2000 })).toBe(places(server.port));
      const starting = await muteServer(fatal("57P03", "the database system is starting up"));
      expect(await logIn(list(starting.port, server.port))).toBe(places(server.port));
      await starting[Symbol.asyncDispose]();
    });

    test("tells each when none will do", async () => {
      const [one, other] = [await freePort(), await freePort()];
      const failure = await failureOf(logIn(list(one, other)));
      expect(failure.message).toMatch(
        new RegExp(`^Cannot connect to PostgreSQL at 127.0.0.1:${one}: .*; at 127.0.0.1:${other}: `),
      );
    });

    test("does not ask the next when the first refuses the login", async () => {
      const both = list(server.port, standby.port);
      const failure = await failureOf(logIn({ ...both, user: "scram", password: "wrong-one" }));
      expect(failure).toMatchObject({ kind: "authentication", sqlState: "28P01" });
      expect(failure.message).not.toContain(String(standby.port));
    });

    test.each([
      ["any", "standby"],
      ["read-write", "primary"],
      ["primary", "primary"],
      ["read-only", "standby"],
      ["standby", "standby"],
      ["prefer-standby", "standby"],
    ])("and target_session_attrs=%s takes the %s", async (wanted, expected) => {
      const found = await logIn({ ...list(standby.port, server.port), target_session_attrs: wanted });
      expect(found).toBe(places(expected === "primary" ? server.port : standby.port));
      const reversed = await logIn({ ...list(server.port, standby.port), target_session_attrs: wanted });
      if (wanted !== "any") expect(reversed).toBe(found);
    });

    test("lets questions in SQL choose alike", async () => {
      const ask = async (more: ConnectionKeywords) => {
        const keywords = { host: `${folder.path},${standby.socketFolder},${server.socketFolder}`, user: "postgres" };
        const port = `1,${standby.port},${server.port}`;
        const target = await resolveConnection({ ...keywords, port, dbname: "postgres", ...more }, {});
        return await withConnection(target, { ...limits, applicationName: "test" }, (query) =>
          query<{ standby: boolean }>("SELECT pg_is_in_recovery() AS standby"),
        );
      };
      expect(await ask({})).toEqual([{ standby: true }]);
      expect(await ask({ target_session_attrs: "read-write" })).toEqual([{ standby: false }]);
      expect(await ask({ target_session_attrs: "prefer-standby" })).toEqual([{ standby: true }]);
      await expect(
        ask({ host: standby.socketFolder, port: String(standby.port), target_session_attrs: "primary" }),
      ).rejects.toThrow(
        `Cannot query PostgreSQL at ${standby.socketFolder}:${standby.port}: this is a standby, and target_session_attrs=primary wants another`,
      );
    });

    test("and a wish that none fulfils says what was found", async () => {
      const failure = await failureOf(logIn({ ...list(standby.port), target_session_attrs: "read-write" }));
      expect(failure.kind).toBe("connect");
      expect(failure.message).toEndWith("this is a standby, and target_session_attrs=read-write wants another");
      expect(await logIn({ ...list(server.port), target_session_attrs: "prefer-standby" })).toBe(places(server.port));
    });
  });

  test.each([
    ["nothing", "", "timeout"],
    ["a TLS it does not have", "S", "timeout"],
    ["half a message", Buffer.from("R\0\0\0"), "timeout"],
    ["HTTP", "HTTP/1.1 400 Bad Request\r\n\r\n", "protocol"],
    ["another length", Buffer.from([0x52, 0, 0, 0, 3, 0]), "protocol"],
    ["a kind of login that we do not have", authentication(7), "authentication"],
    ["the end of SCRAM before its begin", authentication(12, "v=x"), "protocol"],
    ["SCRAM of another kind", authentication(10, "SCRAM-SHA-1\0\0"), "authentication"],
    [
      "a first SCRAM message that is none",
      Buffer.concat([authentication(10, "SCRAM-SHA-256\0\0"), authentication(11, "r=x")]),
      "authentication",
    ],
    ["that it is ready before it let us in", Buffer.from("Z\0\0\0\x05I"), "protocol"],
    ["rows before anybody asked", Buffer.concat([authentication(0), Buffer.from("D\0\0\0\x06\0\0")]), "protocol"],
    ["too many clients", fatal("53300", "sorry, too many clients already"), "server_error"],
    ["that it stops", fatal("57P03", "the database system is shutting down"), "server_shutdown"],
  ] as const)("from a server that answers %s fails in order", async (_, answer, kind) => {
    const before = openSockets();
    const server = await muteServer(answer);
    const sslmode = answer === "S" ? "require" : "disable";
    const keywords = as("trusted", { port: String(server.port), password: "pass", sslmode });
    const failure = await failureOf(logIn(keywords, { timeoutMs: kind === "timeout" ? 300 : 10_000 }));
    expect(failure.kind).toBe(kind);
    expect(failure.message).toStartWith(`Cannot connect to PostgreSQL at 127.0.0.1:${server.port}: `);
    if (kind === "timeout") expect(failure.message).toEndWith("no answer within 0.3 s");
    await server[Symbol.asyncDispose]();
    await waitFor("no socket is left", () => openSockets() <= before);
  });

  test("is broken off by its signal", async () => {
    const before = openSockets();
    const server = await muteServer();
    const stop = new AbortController();
    const connecting = logIn(as("trusted", { port: String(server.port) }), { signal: stop.signal });
    await waitFor("it is connected", () => server.sockets.size > 0);
    stop.abort(new Error("stopped"));
    await expect(connecting).rejects.toThrow("stopped");
    await server[Symbol.asyncDispose]();
    await waitFor("no socket is left", () => openSockets() <= before);
  });

  test.each(["scram", "trusted"])(
    "with %s fails in order wherever the server's answer is cut",
    async (user) => {
      const before = openSockets();
      await using proxy = await startTcpProxy(server);
      const keywords = as(user, { port: String(proxy.port), password: "pass: wörd", sslmode: "disable" });
      const connection = await connectForReplication(keywords);
      const total = proxy.connections[0]?.bytes("toClient") ?? 0;
      await connection.close();
      expect(total).toBeGreaterThan(300);
      const step = user === "scram" ? 7 : 1;
      for (let bytes = 0; bytes < total; bytes += step) {
        proxy.faults = { cutAfter: { direction: "toClient", bytes } };
        const failure = await failureOf(connectForReplication(keywords));
        expect([bytes, failure.kind]).toEqual([bytes, "connection_lost"]);
      }
      await waitFor("no socket is left", () => openSockets() <= before + 1);
    },
    120_000,
  );
});

function authentication(kind: number, rest = ""): Buffer {
  const message = Buffer.alloc(9);
  message[0] = 0x52;
  message.writeInt32BE(8 + Buffer.byteLength(rest), 1);
  message.writeInt32BE(kind, 5);
  return Buffer.concat([message, Buffer.from(rest)]);
}

function fatal(sqlState: string, message: string): Buffer {
  const body = Buffer.from(`SFATAL\0VFATAL\0C${sqlState}\0M${message}\0\0`);
  const head = Buffer.alloc(5, "E");
  head.writeInt32BE(body.length + 4, 1);
  return Buffer.concat([head, body]);
}

interface MuteServer extends AsyncDisposable {
  readonly port: number;
  readonly sockets: ReadonlySet<Socket>;
}

/** Takes connections, sends `answer` to the first bytes of each, and says nothing more. */
async function muteServer(answer: string | Uint8Array = ""): Promise<MuteServer> {
  const sockets = new Set<Socket>();
  const server: Server = createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => {});
    socket.once("data", () => void (answer.length > 0 && socket.write(answer)));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as { port: number };
  return {
    port,
    sockets,
    [Symbol.asyncDispose]: async () => {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
