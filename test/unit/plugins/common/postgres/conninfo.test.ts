import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import {
  findPassword,
  namesServer,
  parseConnectionString,
  parseService,
  resolveConnection,
} from "../../../../../plugins/common/postgres/conninfo.ts";

let home: string;
beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), "conninfo-"));
});
afterAll(() => rm(home, { recursive: true }));

test.each([
  [
    "postgresql://backup:s%40crt@db1:5433/main?sslmode=require",
    { user: "backup", password: "s@crt", host: "db1", port: "5433", dbname: "main", sslmode: "require" },
  ],
  ["postgres://[::1]/main", { host: "::1", dbname: "main" }],
  ["postgresql:///main?host=/run/postgresql", { host: "/run/postgresql", dbname: "main" }],
  ["postgresql://", {}],
  ["host=db1 dbname=main", { host: "db1", dbname: "main" }],
  [String.raw`password='it\'s a \\ secret' user = backup`, { password: String.raw`it's a \ secret`, user: "backup" }],
  ["password=it's user=backup", { password: "it's", user: "backup" }],
  ["", {}],
])("the connection string %j is understood", (text, keywords) => {
  expect(parseConnectionString(text)).toEqual(keywords);
});

test.each(["host", "host=a nonsense=b", "postgresql://a b:x", "password=hunter2 oops"])(
  "%j is refused without repeating it",
  (text) => {
    expect(() => parseConnectionString(text)).toThrow(/^Cannot read the connection/);
    expect(() => parseConnectionString(text)).not.toThrow(/hunter2/);
  },
);

test("any value can be quoted in a connection string", () => {
  fc.assert(
    fc.property(fc.string({ minLength: 1 }), (password) => {
      const quoted = password.replace(/[\\']/g, (c) => `\\${c}`);
      expect(parseConnectionString(`user=u password='${quoted}' host=h`)).toEqual({ user: "u", password, host: "h" });
    }),
  );
});

test("what is written out goes before the service, the service before the environment", async () => {
  const services = join(home, "services");
  await writeFile(services, "# none\n[other]\nhost=wrong\n\n[main]\nhost=service\nport=6000\ndbname=fromservice\n");
  const environment = {
    HOME: home,
    PGSERVICEFILE: services,
    PGHOST: "environment",
    PGUSER: "fromenvironment",
    PGPORT: "7000",
  };
  const target = await resolveConnection({ service: "main", dbname: "written" }, environment);
  expect(target).toMatchObject({
    host: "service",
    port: 6000,
    database: "written",
    user: "fromenvironment",
    sslmode: "prefer",
  });
});

test("without any word of it the connection is to the local socket, and the database is the user's", async () => {
  const target = await resolveConnection({ user: "backup" }, { HOME: home });
  expect(target).toMatchObject({ host: "/var/run/postgresql", port: 5432, database: "backup", password: undefined });
});

test("a service that is nowhere is an error that names the files", async () => {
  await expect(resolveConnection({ service: "gone" }, { HOME: home })).rejects.toThrow(
    /"gone" stands in none of .*pg_service\.conf/,
  );
});

test.each([{ port: "0" }, { port: "70000" }, { port: "x" }, { sslmode: "maybe" }])(
  "%j is an error",
  async (keywords) => {
    await expect(resolveConnection(keywords, { HOME: home })).rejects.toThrow(/^Cannot connect to PostgreSQL/);
  },
);

test("the password comes from the password file, unless others may read that", async () => {
  const passfile = join(home, ".pgpass");
  await writeFile(passfile, "db1:5432:*:backup:right\n*:*:*:*:fallback\n", { mode: 0o600 });
  expect((await resolveConnection({ host: "db1", user: "backup" }, { HOME: home })).password).toBe("right");
  expect((await resolveConnection({ host: "db2", user: "backup" }, { HOME: home })).password).toBe("fallback");
  const open = join(home, "open");
  await writeFile(open, "*:*:*:*:leaked\n", { mode: 0o644 });
  expect(
    (await resolveConnection({ host: "db1", user: "backup" }, { HOME: home, PGPASSFILE: open })).password,
  ).toBeUndefined();
});

test("a password line may hold escaped colons, and a socket is localhost there", () => {
  const question = { host: "/run/postgresql", port: 5432, database: "a:b", user: "u" };
  expect(findPassword(`${String.raw`localhost:5432:a\:b:u:p\:w`}\n`, question)).toBe("p:w");
  expect(findPassword("otherhost:5432:*:u:no\n", question)).toBeUndefined();
});

test("a service section without keywords is one all the same", () => {
  expect(parseService("[empty]\n[next]\nhost=x\n", "empty")).toEqual({});
  expect(parseService("[empty]\n", "absent")).toBeUndefined();
});

test("only variables that name a server count as a connection that was meant", () => {
  expect(namesServer({ PGHOST: "db1" })).toBe(true);
  expect(namesServer({ PGSERVICE: "main" })).toBe(true);
  expect(namesServer({ PGUSER: "postgres", PGHOST: "" })).toBe(false);
});

test.each([
  ["postgresql://u:p@h1:1,h2:2/db", { user: "u", password: "p", host: "h1,h2", port: "1,2", dbname: "db" }],
  ["postgresql://h1,[::1]:5433/", { host: "h1,::1", port: ",5433" }],
  ["postgresql://%2Fvar%2Frun/x", { host: "/var/run", dbname: "x" }],
  ["postgresql://h/?sslmode=require&", { host: "h", sslmode: "require" }],
  ["postgresql:///?password=a%2525%26b+c", { password: "a%25&b+c" }],
  [
    "postgresql://h/?ssl=true&target_session_attrs=read-write",
    { host: "h", sslmode: "require", target_session_attrs: "read-write" },
  ],
])("the connection URI %j is understood", (text, keywords) => {
  expect(parseConnectionString(text)).toEqual(keywords);
});

test.each([
  "postgresql://u:%zz@h",
  "postgresql://h1:x,h2/",
  "postgresql://u:se@cret@h/",
  "password=se cret=cret",
  "postgresql://h/?sslmode",
  "postgresql://h/?sslrootcrt=",
])("%j is refused, and no part of a password is repeated", (text) => {
  expect(() => parseConnectionString(text)).toThrow(/^Cannot read the connection/);
  expect(() => parseConnectionString(text)).not.toThrow(/cret|zz/);
});

test("a list of hosts has an address, a port and a password for each", async () => {
  await writeFile(join(home, "list"), "db1:5433:*:*:one\ndb2:5432:*:*:two\n/tmp:*:*:*:socket\n", { mode: 0o600 });
  const passfile = join(home, "list");
  const target = await resolveConnection(
    { host: "db1,db2,/tmp", hostaddr: "10.0.0.1,,", port: "5433,,5434", user: "u", passfile },
    { HOME: home },
  );
  expect(target.hosts).toEqual([
    { host: "db1", address: "10.0.0.1", port: 5433, password: "one" },
    { host: "db2", address: undefined, port: 5432, password: "two" },
    { host: "/tmp", address: undefined, port: 5434, password: "socket" },
  ]);
  expect(target).toMatchObject({ host: "10.0.0.1", port: 5433, password: "one" });
  const samePort = await resolveConnection({ host: "a,b", port: "7", user: "u" }, { HOME: home });
  expect(samePort.hosts.map(({ port }) => port)).toEqual([7, 7]);
});

test.each([
  [{ host: "a,b", port: "1,2,3" }, /port lists 3 for 2 hosts/],
  [{ host: "a,b", hostaddr: "10.0.0.1" }, /hostaddr lists 1 and host 2/],
  [{ target_session_attrs: "writable" }, /target_session_attrs "writable" is none of any, /],
  [{ channel_binding: "maybe" }, /channel_binding "maybe" is none of/],
  [{ connect_timeout: "soon" }, /connect_timeout "soon" is no whole number/],
  [{ sslrootcert: "system", sslmode: "require" }, /needs sslmode=verify-full/],
])("%j is an error that says why", async (keywords, message) => {
  await expect(resolveConnection({ user: "u", ...keywords }, { HOME: home })).rejects.toThrow(message);
});

test("choices that nothing names are libpq's", async () => {
  const target = await resolveConnection({ user: "u" }, { HOME: home });
  expect(target).toMatchObject({
    sslmode: "prefer",
    targetSessionAttributes: "any",
    channelBinding: "prefer",
    sslsni: true,
    connectTimeoutMs: undefined,
    sslrootcert: undefined,
  });
  expect((await resolveConnection({ user: "u", sslrootcert: "system" }, { HOME: home })).sslmode).toBe("verify-full");
  expect((await resolveConnection({ user: "u", connect_timeout: "1" }, { HOME: home })).connectTimeoutMs).toBe(2000);
  expect((await resolveConnection({ user: "u" }, { HOME: home, PGCONNECT_TIMEOUT: "7" })).connectTimeoutMs).toBe(7000);
  expect((await resolveConnection({ user: "u" }, { HOME: home }, "replication")).database).toBe("replication");
});

test("certificates in ~/.postgresql are used when nothing names others", async () => {
  const folder = join(home, "with-certificates", ".postgresql");
  await mkdir(folder, { recursive: true });
  for (const name of ["root.crt", "postgresql.crt", "postgresql.key"]) await writeFile(join(folder, name), "");
  const environment = { HOME: join(home, "with-certificates") };
  expect(await resolveConnection({ user: "u" }, environment)).toMatchObject({
    sslrootcert: join(folder, "root.crt"),
    sslcert: join(folder, "postgresql.crt"),
    sslkey: join(folder, "postgresql.key"),
  });
  expect(
    await resolveConnection({ user: "u", sslrootcert: "/x", sslcert: "/y", sslkey: "/z" }, environment),
  ).toMatchObject({ sslrootcert: "/x", sslcert: "/y", sslkey: "/z" });
});
