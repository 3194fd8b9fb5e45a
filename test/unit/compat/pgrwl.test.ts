import { expect, test } from "bun:test";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { parse } from "yaml";
import type { Plan } from "../../../agent/compat/tool.ts";
import { settings as pluginSettings } from "../../../plugins/pgrwl/settings.ts";
import { createFolder } from "../../harness/folders.ts";
import { planOf, type Told, translationOf } from "./translated.ts";

/** The reference of the README, which uses every key of the first generation. */
const reference = `main:                                    # Required for both modes: 'receive' / 'serve'
  listen_port: 7070                      # HTTP server port (used for management)
  directory: "/var/lib/pgwal"            # Base directory for storing WAL files

receiver:                                # Required for 'receive' mode
  slot: replication_slot                 # Replication slot to use
  no_loop: false                         # If true, do not loop on connection loss

log:                                     # Optional
  level: info                            # One of: trace / debug / info / warn / error
  format: text                           # One of: text / json
  add_source: true                       # Include file:line in log messages (for local development)

metrics:
  enable: true                           # Optional (used in receive mode: http://host:port/metrics)

dev_config:                              # Optional (various dev options)
  pprof:
    enable: true

storage:                                 # Optional
  name: s3                               # One of: s3 / sftp
  uploader:                              # Required for non-local storage type
    sync_interval: 10s                   # Interval for the upload worker to check for new files
    max_concurrency: 4                   # Maximum number of files to upload concurrently
  retention:                             # Optional
    enable: true                         # Perform retention rules
    sync_interval: 10s                   # Interval for the retention worker (shouldn't run frequently - 12h is typically sufficient)
    keep_period: "1m"                    # Remove WAL files older than given period
  compression:                           # Optional
    algo: gzip                           # One of: gzip / zstd
  encryption:                            # Optional
    algo: aesgcm                         # One of: aes-256-gcm
    pass: "\${PGRWL_ENCRYPT_PASSWD}"      # Encryption password (from env)
  sftp:                                  # Required section for 'sftp' storage
    host: sftp.example.com               # SFTP server hostname
    port: 22                             # SFTP server port
    user: backupuser                     # SFTP username
    pass: "\${PGRWL_VM_PASSWORD}"         # SFTP password (from env)
    pkey_path: "/home/user/.ssh/id_rsa"  # Path to SSH private key (optional)
    pkey_pass: "\${PGRWL_SSH_PKEY_PASS}"  # Required if the private key is password-protected
    base_dir: "/mnt/wal-archive"         # Base directory with sufficient user permissions
  s3:                                    # Required section for 's3' storage
    url: https://s3.example.com          # S3-compatible endpoint URL
    access_key_id: AKIAEXAMPLE           # AWS access key ID
    secret_access_key: "\${PGRWL_AWS_SK}" # AWS secret access key (from env)
    bucket: postgres-backups             # Target S3 bucket name
    region: us-east-1                    # S3 region
    use_path_style: true                 # Use path-style URLs for S3
    disable_ssl: false                   # Disable SSL
`;
const secrets = { PGRWL_ENCRYPT_PASSWD: "geheim-1", PGRWL_AWS_SK: "geheim-2", PGRWL_SSH_PKEY_PASS: "geheim-3" };

async function ofFile(text: string, told: Told = {}, name = "config.yml") {
  await using folder = await createFolder("holdfast-pgrwl");
  await writeFile(join(folder.path, name), text);
  const args = told.args ?? ["start", "-m", "receive"];
  const { environment = {} } = told;
  const translation = await translationOf("pgrwl", { args: [...args, "-c", name], environment, cwd: folder.path });
  const instance = translation.settings.plugins.pgrwl as { listen: string; config: Record<string, unknown> };
  return { ...translation, instance, config: instance.config, folder: folder.path };
}

const archiveOfReference = {
  storage: {
    type: "s3",
    endpoint: "https://s3.example.com",
    region: "us-east-1",
    bucket: "postgres-backups",
    prefix: "/var/lib/pgwal",
    path_style: true,
    access_key_id: "AKIAEXAMPLE",
    secret_access_key: "${PGRWL_AWS_SK}",
  },
  compression: "gzip",
  encryption: { passphrase: "${PGRWL_ENCRYPT_PASSWD}" },
  concurrency: 4,
  retention: { keep: "1m", interval: "10s" },
};

test("the README's reference to receive: every key has its place, secrets stay references", async () => {
  const { instance, yaml, notes, settings } = await ofFile(reference, { environment: secrets });
  expect(instance as unknown).toEqual({
    listen: ":7070",
    config: { directory: "/var/lib/pgwal", slot: "replication_slot", serve: {}, archive: archiveOfReference },
  });
  expect((settings as unknown as { log: unknown }).log).toEqual({ level: "info", format: "logfmt" });
  expect(yaml).not.toContain("geheim");
  expect(yaml).toContain('passphrase: "${PGRWL_ENCRYPT_PASSWD}"');
  expect(notes).toEqual([]);
  expect(pluginSettings.safeParse(instance.config).error).toBeUndefined();
});

test("the README's reference to serve: the place alone, and nothing to receive", async () => {
  const { config } = await ofFile(reference, { args: [], environment: { ...secrets, PGRWL_MODE: "serve" } });
  const { concurrency: _, retention: __, ...archive } = archiveOfReference;
  expect(config).toEqual({ directory: "/var/lib/pgwal", receive: false, serve: {}, archive });
  expect(pluginSettings.safeParse(config).error).toBeUndefined();
});

test("the same with SFTP: a password that is empty here is left out and told, and so is what has changed", async () => {
  const { config, notes } = await ofFile(reference.replace("name: s3", "name: sftp"), { environment: secrets });
  expect((config as { archive: { storage: unknown } }).archive.storage).toEqual({
    type: "sftp",
    host: "sftp.example.com",
    port: 22,
    user: "backupuser",
    directory: "/mnt/wal-archive/var/lib/pgwal",
    private_key_file: "/home/user/.ssh/id_rsa",
    passphrase: "${PGRWL_SSH_PKEY_PASS}",
  });
  expect(notes).toEqual([
    "storage.sftp.pass is ${PGRWL_VM_PASSWORD}, which is empty here, and is left out",
    "the SFTP server must be in known_hosts: pgrwl took any (ssh-keyscan prints its key)",
  ]);
});

const least = "main: { listen_port: 7070, directory: wals }\nreceiver: { slot: s }\n";

test("what is missing or wrong in the section of a storage that is not used is nobody's problem, as ever", async () => {
  const unused = reference.replace(/ {4}(?:host|base_dir): .*\n/g, "").replace("port: 22 ", "port: ${PGRWL_NONE} ");
  const { config, notes } = await ofFile(unused.replace("backupuser", "${PGRWL_SFTP_USER}"), { environment: secrets });
  expect(config).toHaveProperty("archive", archiveOfReference);
  expect(notes).toEqual([]);
  const chosen = unused.replace("name: s3", "name: ${PGRWL_WHERE}");
  const told = { environment: { ...secrets, PGRWL_WHERE: "s3" } };
  expect((await ofFile(chosen, told)).config).toHaveProperty("archive", archiveOfReference);
  await expect(ofFile(unused.replace("name: s3", "name: sftp"), { environment: secrets })).rejects.toThrow(
    "storage.sftp.host: expected text",
  );
});

test("JSON, keys in any case, and placeholders of both spellings in any value", async () => {
  const json = JSON.stringify({
    Main: { Listen_Port: "${PGRWL_PORT}", directory: "$PGRWL_ROOT/wal$x" },
    RECEIVER: { slot: "s", no_loop: "${PGRWL_ONCE}" },
    log: { level: "TRACE", format: "json" },
  });
  const environment = { PGRWL_PORT: "7071", PGRWL_ROOT: "/data", PGRWL_ONCE: "true", x: "no" };
  const { instance, settings } = await ofFile(json, { environment }, "config.json");
  expect(instance as unknown).toEqual({
    listen: ":7071",
    config: { directory: "/data/wal$x", slot: "s", no_loop: true, serve: {} },
  });
  expect((settings as unknown as { log: unknown }).log).toEqual({ level: "debug", format: "json" });
});

test("the first generation leaves an archive of plain files be and serves while it receives; the later does neither", async () => {
  const first = await ofFile(least);
  expect(first.config).toEqual({ directory: join(first.folder, "wals"), slot: "s", serve: {} });
  const later = await ofFile(least, { args: ["daemon", "-m", "receive"] });
  const directory = join(later.folder, "wals");
  expect(later.config).toEqual({ directory, slot: "s", archive: { storage: { type: "local", directory } } });
});

test("the later generation's keys: an uploader of the receiver's, and a window of recovery", async () => {
  const yaml = `${least.replace("{ slot: s }", "{ slot: s, uploader: { sync_interval: 1m, max_concurrency: 99 } }")}
retention: { enable: true, type: recovery_window, value: 72h, keep_last: 2 }
storage: { compression: { algo: zstd } }
`;
  const { config } = await ofFile(yaml, { args: ["daemon", "-m", "receive"] });
  expect(config.archive).toMatchObject({ compression: "zstd", concurrency: 16, retention: { keep: "72h" } });
  expect(pluginSettings.safeParse(config).error).toBeUndefined();
});

test("variables alone are a configuration, the retention under both of its names", async () => {
  const environment = {
    PGRWL_DAEMON_MODE: "receive",
    PGRWL_MAIN_LISTEN_PORT: "7070",
    PGRWL_MAIN_DIRECTORY: "/wal",
    PGRWL_RECEIVER_SLOT: "s",
    PGRWL_BACKUP_RETENTION_ENABLE: "true",
    PGRWL_BACKUP_RETENTION_VALUE: "24h",
    PGRWL_STORAGE_NAME: "s3",
    PGRWL_STORAGE_S3_URL: "https://s3.example.com",
    PGRWL_STORAGE_S3_ACCESS_KEY_ID: "AKIA",
    PGRWL_STORAGE_S3_SECRET_ACCESS_KEY: "geheim",
    PGRWL_STORAGE_S3_BUCKET: "wal",
    PGRWL_STORAGE_S3_REGION: "eu",
  };
  const { settings, yaml } = await translationOf("pgrwl", { args: ["daemon"], environment });
  expect(settings.plugins.pgrwl?.config).toMatchObject({
    archive: {
      storage: { secret_access_key: "${PGRWL_STORAGE_S3_SECRET_ACCESS_KEY}", endpoint: "https://s3.example.com" },
      retention: { keep: "24h" },
    },
  });
  expect(yaml).not.toContain("geheim");
  expect(
    (
      await translationOf("pgrwl", {
        args: ["daemon"],
        environment: { ...environment, PGRWL_RETENTION_VALUE: "48h", PGRWL_RETENTION_ENABLE: "true" },
      })
    ).yaml,
  ).toContain("keep: ");
});

test("base backups by the clock are refused by name, unless somebody says that they may stop; serving needs none", async () => {
  const yaml = `${least}backup: { cron: "0 3 * * *" }\n`;
  await expect(ofFile(yaml, { args: ["daemon", "-m", "receive"] })).rejects.toThrow(
    /backup\.cron: holdfast takes no base backups; .* --without-base-backups/,
  );
  const { notes } = await ofFile(yaml, { args: ["daemon", "-m", "receive", "--without-base-backups"] });
  expect(notes).toEqual(["backup.cron is left out: nobody takes base backups now"]);
  expect((await ofFile(yaml, { args: ["daemon", "-m", "serve"] })).config).toHaveProperty("receive", false);
});

test("everything that is wrong is told at once, by the original's keys", async () => {
  const yaml = `main: { listen_port: many }
storage: { name: s3, encryption: { algo: aes-256-gcm }, retention: { enable: perhaps, keep_period: soon } }
`;
  await expect(ofFile(yaml)).rejects.toThrow(
    [
      "invalid config in config.yml:",
      'main.listen_port "many": expected a whole number',
      'storage.retention.enable "perhaps": expected true or false',
      'Cannot read storage.retention.keep_period "soon": expected a duration such as "30s" or "1h30m"',
    ].join("\n  - "),
  );
  await expect(ofFile("main: {}\nstorage: { name: s3 }\n")).rejects.toThrow(
    [
      "invalid config in config.yml:",
      "main.listen_port is required",
      "main.directory is required",
      "receiver.slot is required in receive mode",
      "storage.name: Cannot use storage.name s3: storage.s3 is required for s3 storage",
    ].join("\n  - "),
  );
});

test("unknown keys are told with what was probably meant, and ignored as ever", async () => {
  const { notes } = await ofFile(`${least}storage: { compresion: { algo: gzip } }\nmain2: 3\n`);
  expect(notes).toEqual([
    "config.yml: the key storage.compresion is unknown, and ignored; did you mean storage.compression?",
    "config.yml: the key main2 is unknown, and ignored; did you mean main?",
  ]);
});

test("a secret that is no placeholder is written as it stands, its dollars escaped", async () => {
  const { yaml } = await ofFile(`${least}storage: { encryption: { algo: aes-256-gcm, pass: "a\${b}c" } }\n`);
  expect(
    (parse(yaml) as { plugins: { pgrwl: { config: { archive: unknown } } } }).plugins.pgrwl.config.archive,
  ).toMatchObject({
    encryption: { passphrase: "a$${b}c" },
  });
});

test.each([
  [
    ["restore-command", "-serve-addr=h:1", "F", "P"],
    ["--serve-addr=h:1", "F", "P"],
  ],
  [
    ["restore-command", "--serve-addr", "h:1", "F", "P"],
    ["--serve-addr", "h:1", "F", "P"],
  ],
])("%j is holdfast's restore-command", async (args, expected) => {
  expect(await planOf("pgrwl", { args })).toEqual({
    kind: "command",
    name: "restore-command",
    args: expected,
  } satisfies Plan);
});

test.each([
  [["daemon", "-m", "backup"], "holdfast takes no base backups"],
  [["validate", "-m", "restore"], "unpacked by pgrwl itself"],
  [["backup"], "holdfast takes no base backups"],
  [["start", "-m"], "-m needs a value"],
  [["start", "now"], 'Unexpected argument "now"'],
])("%j is refused by name", async (args, message) => {
  expect(async () => await planOf("pgrwl", { args })).toThrow(message);
});
