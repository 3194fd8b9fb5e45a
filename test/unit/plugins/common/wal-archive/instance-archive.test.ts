/** What the commands read of an instance's configuration is what its plugin makes of it. */
import { expect, test } from "bun:test";
import { readInstanceArchive } from "../../../../../plugins/common/wal-archive/instance-archive.ts";
import { settings } from "../../../../../plugins/pgrwl/settings.ts";

const original = { main: { directory: "/wal" }, receiver: { slot: "s" } };
const s3 = { url: "http://s3", access_key_id: "a", secret_access_key: "b", bucket: "wal", region: "r" };
const sftp = { host: "h", port: 2222, user: "u", pkey_path: "/key", base_dir: "/base" };

test.each([
  [{ directory: "/wal", slot: "s" }],
  [
    {
      directory: "/wal",
      slot: "s",
      archive: { storage: { type: "local", directory: "/archive" }, compression: "zstd" },
    },
  ],
  [{ directory: "/wal", slot: "s", serve: { partial: false } }],
  [original],
  [{ ...original, main: { directory: "" }, directory: "/wal" }],
  [{ ...original, storage: {} }],
  [{ ...original, storage: { name: "local" } }],
  [{ ...original, storage: { name: "" } }],
  [{ ...original, storage: { compression: { algo: "zstd" } } }],
  [{ ...original, storage: { encryption: { algo: "aesgcm", pass: "secret" } } }],
  [{ ...original, storage: { encryption: { algo: "aes-256-gcm", pass: "secret" }, compression: { algo: "gzip" } } }],
  [{ ...original, storage: { uploader: { sync_interval: "5s", max_concurrency: 4 } } }],
  [{ ...original, receiver: { slot: "s", uploader: { sync_interval: "5s", max_concurrency: 4 } } }],
  [{ ...original, receiver: { slot: "s", retention: { enable: true, keep_period: "48h", sync_interval: "1h" } } }],
  [{ ...original, receiver: { slot: "s", retention: { enable: false, keep_period: "48h" } } }],
  [{ ...original, retention: { enable: true, value: "48h" } }],
  [{ ...original, storage: { name: "s3", s3 } }],
  [{ ...original, storage: { name: "sftp", sftp, compression: { algo: "gzip" } } }],
])("%j", (config) => {
  const { directory, archive, serve } = settings.parse(config);
  const read = readInstanceArchive(config);
  expect(read.directory).toBe(directory);
  expect(read.servesPartial).toBe(serve?.partial ?? true);
  expect(read.archive).toEqual(
    archive && { storage: archive.storage, compression: archive.compression, encryption: archive.encryption },
  );
});

test("what the plugin refuses, the commands do", () => {
  expect(() => readInstanceArchive({ ...original, storage: { name: "s3" } })).toThrow("config.storage.name");
  expect(() => readInstanceArchive({ ...original, storage: { name: "ftp" } })).toThrow("config.storage.name");
  const withoutPass = { ...original, storage: { encryption: { algo: "aesgcm", pass: "" } } };
  expect(() => readInstanceArchive(withoutPass)).toThrow(/^config\.storage: .*\(archive\.encryption\.passphrase\)$/);
});
