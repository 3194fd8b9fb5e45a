import { expect, test } from "bun:test";
import { z } from "zod";
import { zodIssues } from "../../../../agent/sdk/issues.ts";
import { receiverSettings, settings } from "../../../../plugins/pgrwl/settings.ts";
import { accepts } from "../../config/json-schema-validation.ts";

const least = { directory: "/var/lib/wal", slot: "holdfast" };

const problems = (config: object) => {
  const result = settings.safeParse(config);
  return result.success
    ? []
    : zodIssues(settings, result.error).map(({ path, message }) => [path.join("."), message] as const);
};

test("a directory and a slot are enough; all else has the values of the specification", () => {
  expect(receiverSettings(settings.parse(least))).toEqual({
    directory: "/var/lib/wal",
    slot: "holdfast",
    createSlot: true,
    applicationName: "holdfast",
    connection: {},
    onGap: "refuse",
    noLoop: false,
    endPosition: undefined,
    statusIntervalMs: 10_000,
    receiveTimeoutMs: 60_000,
    connectTimeoutMs: 10_000,
    firstBackOffMs: 1_000,
    longestBackOffMs: 5000,
    flushIntervalMs: 10,
    flushBytes: 4 * 2 ** 20,
  });
});

test("without them both are asked for", () => {
  expect(problems({}).map(([key]) => key)).toEqual(["directory", "slot"]);
  expect(problems({ main: {}, receiver: { no_loop: true } }).map(([key]) => key)).toEqual(["directory", "slot"]);
});

test("an instance that does not receive needs no slot, but must serve", () => {
  expect(settings.parse({ directory: "/wal", receive: false, serve: {} })).toMatchObject({ receive: false, slot: "" });
  expect(problems({ directory: "/wal", receive: false }).map(([key]) => key)).toEqual(["receive"]);
  expect(problems({ directory: "/wal", receive: false, serve: { enabled: false } }).map(([key]) => key)).toEqual([
    "receive",
  ]);
});

test.each([
  [{ directory: "wal" }, "directory"],
  [{ slot: "Main" }, "slot"],
  [{ slot: "a-b" }, "slot"],
  [{ slot: "" }, "slot"],
  [{ slot: "x".repeat(64) }, "slot"],
  [{ on_gap: "ignore" }, "on_gap"],
  [{ end_position: "12345" }, "end_position"],
  [{ end_position: "0/0" }, "end_position"],
  [{ status_interval: "0s" }, "status_interval"],
  [{ status_interval: "30d" }, "status_interval"],
  [{ back_off: { first: "1m" } }, "back_off"],
  [{ postgres: "host=db1 usr=x" }, "postgres"],
  [{ postgres: { hots: "db1" } }, "postgres"],
  [{ postgres: { sslmode: "maybe" } }, "postgres.sslmode"],
  [{ postgres: { port: 70000 } }, "postgres.port"],
  [{ postgres: { port: 0 } }, "postgres.port"],
  [{ postgres: { host: "db1,db2", port: "5432,x" } }, "postgres.port"],
  [{ postgres: { connect_timeout: "10s" } }, "postgres.connect_timeout"],
  [{ postgres: "host=db1 port=70000" }, "postgres"],
  [{ postgres: "host=db1 sslmode=verfy-full" }, "postgres"],
  [{ postgres: "postgresql://db1/?connect_timeout=soon" }, "postgres"],
])("%j is refused", (config, key) => {
  expect(problems({ ...least, ...config }).map(([at]) => at)).toEqual([key]);
});

test.each(["host='' port='' service='' sslmode=''", "host=a,b port=,5433", "port=5432,5433", "connect_timeout=-1"])(
  "postgres %j is taken, as libpq takes it",
  (postgres) => {
    expect(problems({ ...least, postgres })).toEqual([]);
  },
);

test("a connection string and its keywords are the same, and never repeated in a message", () => {
  const written = { host: "db1,db2", port: 5433, user: "repl", target_session_attrs: "primary", sslpassword: "geheim" };
  expect(receiverSettings(settings.parse({ ...least, postgres: written })).connection).toEqual({
    ...written,
    port: "5433",
  } as Record<string, string>);
  expect(receiverSettings(settings.parse({ ...least, postgres: "host=db1 port=5433" })).connection).toEqual({
    host: "db1",
    port: "5433",
  });
  for (const wrong of ["password=geheim =", "password=geheim port=geheim sslmode=geheim"]) {
    const [problem] = problems({ ...least, postgres: wrong });
    expect(problem?.[0]).toBe("postgres");
    expect(problem?.[1]).not.toContain("geheim");
  }
});

test("the name for synchronous_standby_names is the slot's unless another is written", () => {
  const named = (config: object) => receiverSettings(settings.parse({ ...least, ...config })).applicationName;
  expect(named({ postgres: "application_name=repl" })).toBe("repl");
  expect(named({ postgres: "application_name=repl", application_name: "standby" })).toBe("standby");
});

test("a configuration of the original is taken as it stands, and each key noted", () => {
  const config = settings.parse({
    main: { listen_port: 7070, directory: "/mnt/wals" },
    receiver: { slot: "pgrwl_v5", no_loop: true, uploader: { sync_interval: "10s", max_concurrency: 4 } },
    log: { level: "info", format: "text", add_source: true },
    metrics: { enable: true },
    dev_config: { pprof: { enable: false } },
    storage: { name: "local", retention: { enable: true, sync_interval: "10s", keep_period: "5m" } },
    backup: { cron: "0 3 * * *" },
  });
  expect(receiverSettings(config)).toMatchObject({ directory: "/mnt/wals", slot: "pgrwl_v5", noLoop: true });
  expect(config.archive).toMatchObject({
    storage: { type: "local", directory: "/mnt/wals" },
    compression: "none",
    concurrency: 4,
    keep_local: { segments: 16 },
    retention: { keep: 300, interval: 10, keep_from: [], dry_run: false },
  });
  expect(config.notes.map(({ level, key, here }) => `${level} ${key}: ${here.split(":")[0]}`)).toEqual([
    "info main.directory: directory",
    "info main.listen_port: listen, a key of the instance beside config",
    "info receiver.slot: slot",
    "info receiver.no_loop: no_loop",
    "info receiver.uploader.max_concurrency: archive.concurrency",
    "info receiver.uploader.sync_interval: nowhere",
    "info log.level: log.level, at the top of the file",
    "info log.format: log.format, at the top of the file",
    "info log.add_source: nowhere",
    "info metrics.enable: nowhere",
    "info dev_config.pprof.enable: nowhere",
    "info storage.name: archive.storage",
    "info storage.retention.enable: archive.retention",
    "info storage.retention.sync_interval: archive.retention",
    "info storage.retention.keep_period: archive.retention",
    "warn backup.cron: nowhere",
  ]);
});

test("every key of the original's generations is known", () => {
  const keys = [
    "storage.uploader.sync_interval storage.uploader.max_concurrency receiver.retention.enable",
    "receiver.retention.sync_interval receiver.retention.keep_period backup.retention.enable backup.retention.type",
    "backup.retention.value backup.retention.keep_last backup.walretention.enable backup.walretention.receiver_addr",
    "retention.enable retention.type retention.value retention.keep_last devconfig.pprof.enable storage.encryption.pass",
    "storage.sftp.host storage.sftp.port storage.sftp.user storage.sftp.pass storage.sftp.pkey_path",
    "storage.sftp.pkey_pass storage.sftp.base_dir storage.s3.url storage.s3.access_key_id",
    "storage.s3.secret_access_key storage.s3.bucket storage.s3.region storage.s3.use_path_style storage.s3.disable_ssl",
  ].flatMap((line) => line.split(" "));
  for (const key of keys) {
    const value = /\.(?:enable|use_path_style|disable_ssl)$/.test(key) ? true : "1";
    const nested = key.split(".").reduceRight<unknown>((inner, step) => ({ [step]: inner }), value) as object;
    expect(settings.parse({ ...least, ...nested }).notes).toMatchObject([{ key }]);
  }
});

test("two names for one setting may both be written if they agree", () => {
  expect(problems({ ...least, main: { directory: "/var/lib/wal" }, receiver: { slot: "holdfast" } })).toEqual([]);
  const both = { ...least, main: { directory: "/mnt" }, receiver: { slot: "other", no_loop: true }, no_loop: false };
  expect(problems(both)).toEqual([
    ["main.directory", "expected what directory says; they mean the same, remove this one"],
    ["receiver.slot", "expected what slot says; they mean the same, remove this one"],
    ["receiver.no_loop", "expected what no_loop says; they mean the same, remove this one"],
  ]);
});

test("a key of the original follows the rules of ours", () => {
  expect(problems({ main: { directory: "wal" }, receiver: { slot: "A" } }).map(([key]) => key)).toEqual([
    "main.directory",
    "receiver.slot",
  ]);
  expect(problems({ ...least, receiver: { solt: "x" } })).toEqual([["receiver", 'unknown key "solt"']]);
});

test.each([
  [{ name: "s3" }, ["storage.name"]],
  [{ name: "sftp", sftp: { host: "a", user: "b", base_dir: "/c" } }, ["storage"]],
  [{ name: "ftp" }, ["storage.name"]],
  [{ encryption: { algo: "rot13", pass: "x" } }, ["storage.encryption.algo"]],
  [{ encryption: { algo: "aes-256-gcm" } }, ["storage"]],
  [{ name: "", compression: { algo: "" }, encryption: { pass: "x" } }, []],
])("of the original's storage %j what cannot be is refused", (storage, keys) => {
  expect(problems({ ...least, storage }).map(([key]) => key)).toEqual(keys);
});

test.each([
  [{ name: "gcs" }, 'expected one of "local", "s3", "sftp"'],
  [{ name: "s3", s3: { url: "https://s3.example.com" } }, "expected text"],
  [{ name: "local", uploader: { max_concurrency: 0 } }, "expected at least 1 (archive.concurrency)"],
  [
    { name: "sftp", sftp: { host: "a", port: 70_000, user: "b", pass: "c", base_dir: "/d" } },
    "expected at most 65535 (archive.storage.port)",
  ],
])("of the original's storage %j the message is in our words", (storage, message) => {
  expect(problems({ ...least, storage }).map(([, found]) => found)).toEqual([message]);
});

test("the original's storage is an archive", () => {
  const s3 = { url: "https://s3", access_key_id: "a", secret_access_key: "b", bucket: "wal", region: "eu" };
  const encryption = { algo: "aesgcm", pass: "p" };
  const storage = { name: "s3", compression: { algo: "gzip" }, encryption, s3: { ...s3, use_path_style: true } };
  expect(settings.parse({ ...least, storage, receiver: { uploader: { max_concurrency: 3 } } }).archive).toMatchObject({
    storage: { type: "s3", endpoint: "https://s3", bucket: "wal", prefix: least.directory, path_style: true },
    compression: "gzip",
    encryption: { algorithm: "aes-256-gcm", passphrase: "p" },
    concurrency: 3,
  });
  expect(settings.parse({ ...least, storage: { name: "local" } }).archive).toBeUndefined();
  const archive = { storage: { type: "local", directory: "/archive" } };
  expect(problems({ ...least, archive, storage })).toEqual([
    ["storage", "expected archive alone; they mean the same, remove this one"],
  ]);
});

const archived = (more: object) => ({
  ...least,
  archive: { storage: { type: "local", directory: "/archive" }, ...more },
});

test("an archive needs a storage; the rest has the values of the documentation", () => {
  expect(settings.parse(archived({})).archive).toMatchObject({
    compression: "none",
    concurrency: 2,
    keep_local: { segments: 16 },
    ship_partial: 0,
  });
  expect(settings.parse(archived({ keep_local: "2h" })).archive?.keep_local).toEqual({ seconds: 7200 });
  expect(
    settings.parse(archived({ retention: { keep: "30d", keep_from: "/b/*/backup_label" } })).archive,
  ).toMatchObject({
    retention: { keep: 2_592_000, keep_from: ["/b/*/backup_label"], dry_run: false, interval: 3600 },
  });
});

test.each([
  [{ storage: { type: "ftp" } }, "archive.storage.type"],
  [{ keep_local: "16" }, "archive.keep_local"],
  [{ keep_local: -1 }, "archive.keep_local"],
  [{ concurrency: 0 }, "archive.concurrency"],
  [{ max_rate: "32" }, "archive.max_rate"],
  [{ ship_partial: "1ms" }, "archive.ship_partial"],
  [{ retention: {} }, "archive.retention.keep"],
  [{ retention: { keep: "1s" } }, "archive.retention.keep"],
  [{ retention: { keep: "1d", keep_from: "label" } }, "archive.retention.keep_from"],
  [{ encryption: { algorithm: "aes-256-gcm" } }, "archive.encryption.passphrase"],
  [{ compression: "lz4" }, "archive.compression"],
])("%j in an archive is refused", (config, key) => {
  expect(problems(archived(config)).map(([at]) => at)).toEqual([key]);
});

test("the JSON Schema accepts what the schema does", () => {
  const schema = JSON.parse(JSON.stringify(z.toJSONSchema(settings, { io: "input", unrepresentable: "any" })));
  expect(accepts(schema, least)).toBe(true);
  expect(accepts(schema, { main: { directory: "/wal" }, receiver: { slot: "x" } })).toBe(true);
  expect(accepts(schema, { ...least, postgres: { port: 5432 } })).toBe(true);
  expect(accepts(schema, archived({ keep_local: 3, compression: { algorithm: "zstd", level: 9 } }))).toBe(true);
  expect(accepts(schema, { directory: "/wal", receive: false, serve: {} })).toBe(true);
  expect(accepts(schema, { directory: "/wal", receive: true })).toBe(false);
  expect(accepts(schema, { slot: "x" })).toBe(false);
  expect(accepts(schema, { ...least, directry: "x" })).toBe(false);
});
