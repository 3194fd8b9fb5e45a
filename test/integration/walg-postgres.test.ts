/** WAL arithmetic, connections and lag against a real PostgreSQL. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { chmod, readdir, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { join } from "node:path";
import fc from "fast-check";
import { testPlugin } from "../../agent/sdk/index.ts";
import { withConnection } from "../../plugins/common/postgres/connection.ts";
import {
  type ConnectionKeywords,
  type Environment,
  parseConnectionString,
  resolveConnection,
} from "../../plugins/common/postgres/conninfo.ts";
import { formatLsn, maxLsn, parseLsn } from "../../plugins/common/postgres/lsn.ts";
import {
  formatSegmentName,
  parseSegmentName,
  segmentBefore,
  segmentEnd,
} from "../../plugins/common/postgres/wal-segments.ts";
import walg from "../../plugins/walg/index.ts";
import { readServerState } from "../../plugins/walg/server.ts";
import { describeWith } from "../harness/describe-with.ts";
import { createFolder, type TemporaryFolder } from "../harness/folders.ts";
import { type PostgresServer, startPostgres } from "../harness/postgres.ts";
import { giveTo } from "../harness/users.ts";
import { waitFor } from "../harness/wait.ts";
import { family, samplesOf } from "../harness/walg-page.ts";
import { StandIn } from "../harness/walg-stand-in.ts";

const signal = new AbortController().signal;
/** The rows of a statement's answer, columns apart by `|`. */
const rows = async (server: PostgresServer, statement: string) => (await server.psql(statement)).trimEnd().split("\n");
const limits = { timeoutMs: 30_000, signal, applicationName: "test" };

describeWith(["postgresql"], "PostgreSQL", () => {
  describe.each([1, 16, 64, 1024])("with segments of %d MiB", (segmentMiB) => {
    let server: PostgresServer;
    beforeAll(async () => {
      server = await startPostgres({}, { segmentMiB });
    }, 120_000);
    afterAll(() => server?.[Symbol.asyncDispose]());

    test("names segments and writes positions as we do", async () => {
      const sizeBytes = segmentMiB * 2 ** 20;
      const size = BigInt(sizeBytes);
      // The server takes 0/0 for "no position".
      const anywhere = fc.bigInt(1n, maxLsn);
      const nearBoundary = fc
        .tuple(fc.bigInt(1n, maxLsn / size), fc.bigInt(-2n, 2n))
        .map(([segment, offset]) => segment * size + offset)
        .filter((lsn) => lsn > 0n && lsn <= maxLsn);
      const lsns = fc.sample(fc.oneof(anywhere, nearBoundary, fc.bigInt(1n, 2n ** 40n)), 2000);
      const named = await rows(
        server,
        `SELECT lsn, pg_walfile_name(lsn) FROM unnest('{${lsns.map(formatLsn).join(",")}}'::pg_lsn[]) WITH ORDINALITY AS given(lsn, place) ORDER BY place`,
      );
      expect(named).toHaveLength(lsns.length);
      for (const [index, row] of named.entries()) {
        const [text = "", name = ""] = row.split("|");
        const lsn = lsns[index] ?? -1n;
        const number = segmentBefore(lsn, sizeBytes);
        expect(parseLsn(text)).toBe(lsn);
        expect(text).toBe(formatLsn(lsn));
        expect(formatSegmentName({ timeline: 1, number }, sizeBytes)).toBe(name);
        expect(parseSegmentName(name, sizeBytes)).toEqual({ timeline: 1, number });
      }
    });

    test("tells the size itself", async () => {
      const target = await resolveConnection(
        { host: server.socketFolder, port: String(server.port), user: "postgres" },
        {},
      );
      expect((await readServerState(target, limits)).segmentSizeBytes).toBe(segmentMiB * 2 ** 20);
    });
  });

  describe("that asks for passwords", () => {
    let server: PostgresServer;
    let folder: TemporaryFolder;
    let home: string;
    beforeAll(async () => {
      folder = await createFolder("walg-home");
      home = folder.path;
      const access = [
        "local all postgres trust",
        "local all all scram-sha-256",
        "host all all 127.0.0.1/32 scram-sha-256",
      ];
      server = await startPostgres({}, { access });
      await rows(server, "CREATE USER reader PASSWORD 'open:sesame'");
    }, 120_000);
    afterAll(async () => {
      await server?.[Symbol.asyncDispose]();
      await folder?.[Symbol.asyncDispose]();
    });
    const whoAmI = async (keywords: ConnectionKeywords, environment: Environment = {}) => {
      const target = await resolveConnection(keywords, { HOME: home, ...environment });
      const [row] = await withConnection(target, limits, (query) =>
        query<{ who: string }>("SELECT current_user AS who"),
      );
      return row?.who;
    };

    test("is reached by a connection string", async () => {
      const uri = `postgresql://reader:open%3Asesame@127.0.0.1:${server.port}/postgres`;
      expect(await whoAmI(parseConnectionString(uri))).toBe("reader");
    });

    test("is reached by the environment alone", async () => {
      const environment = {
        PGHOST: server.socketFolder,
        PGPORT: String(server.port),
        PGUSER: "reader",
        PGPASSWORD: "open:sesame",
        PGDATABASE: "postgres",
      };
      expect(await whoAmI({}, environment)).toBe("reader");
    });

    test("is reached by a service and a password file, over the network and over the socket", async () => {
      const [services, passfile] = [join(home, "services"), join(home, "passwords")];
      await writeFile(
        services,
        `[tcp]\nhost=127.0.0.1\nport=${server.port}\nuser=reader\ndbname=postgres\n[socket]\nhost=${server.socketFolder}\nport=${server.port}\nuser=reader\ndbname=postgres\n`,
      );
      await writeFile(
        passfile,
        `127.0.0.1:${server.port}:postgres:reader:open\\:sesame\nlocalhost:*:*:*:open\\:sesame\n`,
        { mode: 0o600 },
      );
      const environment = { PGSERVICEFILE: services, PGPASSFILE: passfile };
      expect(await whoAmI({ service: "tcp" }, environment)).toBe("reader");
      expect(await whoAmI({}, { ...environment, PGSERVICE: "socket" })).toBe("reader");
    });

    test("is not reached with a wrong password, which the message keeps to itself", async () => {
      const failed = whoAmI({
        host: "127.0.0.1",
        port: String(server.port),
        user: "reader",
        password: "wrong-one",
        dbname: "postgres",
      });
      await expect(failed).rejects.toThrow(
        /^Cannot query PostgreSQL at 127\.0\.0\.1:\d+: password authentication failed/,
      );
      await expect(failed).rejects.not.toThrow(/wrong-one/);
    });

    test("is not reached without encryption by one who insists on it", async () => {
      const keywords = {
        host: "127.0.0.1",
        port: String(server.port),
        user: "reader",
        password: "open:sesame",
        dbname: "postgres",
      };
      await expect(whoAmI({ ...keywords, sslmode: "require" })).rejects.toThrow(/does not support SSL/);
      expect(await whoAmI({ ...keywords, sslmode: "prefer" })).toBe("reader");
      expect(await whoAmI({ ...keywords, sslmode: "disable" })).toBe("reader");
    });
  });

  test.skipIf(Bun.which("openssl") === null)(
    "certificates are held against the root that is named",
    async () => {
      await using folder = await createFolder("walg-tls", "postgres");
      const [key, certificate] = [join(folder.path, "key"), join(folder.path, "cert")];
      await Bun.$`openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -addext subjectAltName=DNS:localhost -keyout ${key} -out ${certificate}`.quiet();
      await chmod(key, 0o600);
      await giveTo("postgres", key);
      await using server = await startPostgres({ ssl: "on", ssl_cert_file: certificate, ssl_key_file: key });
      const isEncrypted = async (keywords: ConnectionKeywords) => {
        const target = await resolveConnection(
          { host: "127.0.0.1", port: String(server.port), user: "postgres", ...keywords },
          {},
        );
        const [row] = await withConnection(target, limits, (query) =>
          query<{ ssl: boolean }>("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()"),
        );
        return row?.ssl;
      };
      const sslrootcert = certificate;
      expect(await isEncrypted({})).toBe(true);
      expect(await isEncrypted({ sslmode: "require" })).toBe(true);
      expect(await isEncrypted({ sslmode: "verify-ca", sslrootcert })).toBe(true);
      expect(await isEncrypted({ host: "localhost", sslmode: "verify-full", sslrootcert })).toBe(true);
      await expect(isEncrypted({ sslmode: "verify-full", sslrootcert })).rejects.toThrow(/Cannot query PostgreSQL/);
      await expect(isEncrypted({ sslmode: "verify-ca" })).rejects.toThrow(/self.signed/);
    },
    120_000,
  );

  test("one that takes connections and never answers is given up on", async () => {
    const sockets = new Set<import("node:net").Socket>();
    const mute = createServer((socket) => void sockets.add(socket)).listen(0, "127.0.0.1");
    await waitFor("it listens", () => mute.listening);
    const { port } = mute.address() as { port: number };
    const target = await resolveConnection({ host: "127.0.0.1", port: String(port), user: "x" }, {});
    const begin = performance.now();
    await expect(readServerState(target, { timeoutMs: 300, signal })).rejects.toThrow(
      `Cannot query PostgreSQL at 127.0.0.1:${port}: no answer after 0.3 s`,
    );
    expect(performance.now() - begin).toBeLessThan(2000);
    for (const socket of sockets) socket.destroy();
    mute.close();
  });

  describe("with an archive", () => {
    let primary: PostgresServer;
    let standIn: StandIn;
    beforeAll(async () => {
      primary = await startPostgres({ archive_mode: "on" });
      standIn = await StandIn.create();
    }, 120_000);
    afterAll(async () => {
      await standIn?.remove();
      await primary?.[Symbol.asyncDispose]();
    });
    const keywords = (server: PostgresServer) => ({
      host: server.socketFolder,
      port: String(server.port),
      user: "postgres",
    });
    const state = async (server: PostgresServer, user = "postgres") =>
      readServerState(await resolveConnection({ ...keywords(server), user, dbname: "postgres" }, {}), limits);
    const segments = async (server: PostgresServer) =>
      (await readdir(server.archiveFolder)).filter((name) => /^[0-9A-F]{24}$/.test(name)).sort();
    const archiveOne = async (server: PostgresServer) => {
      const before = (await segments(server)).length;
      await rows(server, "SELECT pg_logical_emit_message(false, 'test', 'x')");
      await rows(server, "SELECT pg_switch_wal()");
      await waitFor("a segment is archived", async () => (await segments(server)).length > before);
      const newest = (await segments(server)).at(-1) ?? "";
      await waitFor(
        "the archiver says so",
        async () => (await rows(server, "SELECT last_archived_wal FROM pg_stat_archiver"))[0] === newest,
      );
      return newest;
    };

    test("a primary tells its position, its timeline and its archiver's", async () => {
      const newest = await archiveOne(primary);
      const position = async () => parseLsn((await rows(primary, "SELECT pg_current_wal_lsn()"))[0] ?? "");
      // The server writes by itself now and then.
      const { before, ...found } = await waitFor("a moment in which the server writes nothing", async () => {
        const before = await position();
        const found = await state(primary);
        return (await position()) === before && { ...found, before };
      });
      expect(found).toMatchObject({
        lsn: before,
        timeline: 1,
        lastArchived: { segment: newest },
        archiverFailures: 0,
        readySegments: 0,
      });
      expect(Math.abs((found.lastArchived?.at ?? 0) - Date.now() / 1000)).toBeLessThan(60);
    });

    test("a user without rights is told all but the waiting segments", async () => {
      await rows(primary, "CREATE USER nobody_special");
      const found = await state(primary, "nobody_special");
      expect(found).toMatchObject({ timeline: 1, readySegments: undefined });
      expect(found.lsn).toBeDefined();
    });

    test("the plugin's lag is what the server wrote behind the archive's end", async () => {
      const newest = await archiveOne(primary);
      const [oldest = ""] = await segments(primary);
      await standIn.reply("wal-show", {
        stdout: JSON.stringify([
          {
            id: 1,
            parent_id: 0,
            switch_point_lsn: 0,
            start_segment: oldest,
            end_segment: newest,
            missing_segments: [],
            status: "OK",
          },
        ]),
      });
      const plugin = await testPlugin(walg, { config: standIn.config({ postgres: keywords(primary) }) });
      const page = await plugin.collect();
      await plugin.stop();
      const end = segmentEnd(parseSegmentName(newest, 2 ** 24)?.number ?? -1, 2 ** 24);
      const [lsn = ""] = await rows(primary, "SELECT pg_current_wal_lsn()");
      const lag = samplesOf(page)['walg_lsn_lag_bytes{timeline="1"}'] ?? -1;
      expect(lag).toBeGreaterThanOrEqual(0);
      expect(lag).toBeLessThanOrEqual(Number((parseLsn(lsn) ?? 0n) - end));
      expect(Object.keys(family(page, "walg_wal_timestamp"))).toEqual(['{timeline="1"}']);
      expect(samplesOf(page)).toMatchObject({
        walg_timeline_current: 1,
        walg_wal_ready_segments: 0,
        walg_archiver_failed_total: 0,
      });
    });

    test("backups count when they are of the server's own cluster", async () => {
      const newest = await archiveOne(primary);
      const [oldest = ""] = await segments(primary);
      const timeline = { id: 1, start_segment: oldest, end_segment: newest, missing_segments: [], status: "OK" };
      await standIn.reply("wal-show", { stdout: JSON.stringify([timeline]) });
      const [identifier = ""] = await rows(primary, "SELECT system_identifier FROM pg_control_system()");
      const backup = (of: string) =>
        `[{"backup_name":"base_${oldest}","wal_file_name":"${oldest}","finish_time":"2026-01-01T00:00:00Z","system_identifier":${of}}]`;
      const reasonWith = async (stdout: string) => {
        await standIn.reply("backup-list", { stdout });
        const plugin = await testPlugin(walg, { config: standIn.config({ postgres: keywords(primary) }) });
        await plugin.collect();
        await plugin.stop();
        return plugin.instance.restorable?.()[0];
      };
      expect((await reasonWith(backup(identifier)))?.reason).toBeUndefined();
      // The cluster before pg_upgrade: the new one's WAL has the names that come next.
      expect(await reasonWith(backup("7000000000000000001"))).toMatchObject({
        reason: "no_backup",
        detail: `All backups are of another cluster than ${identifier}, as after pg_upgrade: take a new one`,
      });
    });

    test("a standby tells what it received, and after its promotion the new timeline", async () => {
      await using standby = await primary.standby();
      await rows(primary, "SELECT pg_logical_emit_message(false, 'test', 'y')");
      await rows(primary, "CHECKPOINT");
      const [written = ""] = await rows(primary, "SELECT pg_current_wal_lsn()");
      await waitFor("it has caught up", async () => ((await state(standby)).lsn ?? 0n) >= (parseLsn(written) ?? 0n));
      expect((await state(standby)).timeline).toBe(1);
      await standby.psql("SELECT pg_promote()");
      await waitFor("it is promoted", async () => (await rows(standby, "SELECT pg_is_in_recovery()"))[0] === "f");
      expect((await state(standby)).timeline).toBe(2);
    }, 120_000);

    test("a server that is down leaves no lag, and says why", async () => {
      await standIn.reply("wal-verify-integrity-timeline", {
        status: 1,
        stderr: "ERROR: Failed to establish a connection to Postgres cluster\n",
      });
      const plugin = await testPlugin(walg, {
        config: standIn.config({ postgres: { ...keywords(primary), port: 1 } }),
      });
      const page = await plugin.collect();
      await plugin.stop();
      expect(family(page, "walg_lsn_lag_bytes")).toEqual({});
      expect(samplesOf(page)['walg_command_errors_total{operation="postgres",reason="exception"}']).toBe(1);
      expect(page).not.toContain("walg_archiver_failed_total");
      expect(plugin.logs.find(({ fields }) => fields.operation === "postgres")?.fields.error).toMatch(
        /^Cannot query PostgreSQL at .*:1: /,
      );
    });
  });
});
