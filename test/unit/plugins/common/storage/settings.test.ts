/** What a configuration may say of a storage, and what pgrwl's own says. */
import { describe, expect, test } from "bun:test";
import { codecSettings } from "../../../../../plugins/common/codec/settings.ts";
import { fromOriginalStorage, originalStorage } from "../../../../../plugins/common/storage/original.ts";
import { storageSettings } from "../../../../../plugins/common/storage/settings.ts";

const issues = (value: unknown) =>
  storageSettings.safeParse(value).error?.issues.map(({ path, message }) => `${path.join(".")}: ${message}`) ?? [];

test.each([
  [{ type: "local", directory: "relative" }, "directory: expected an absolute path"],
  [{ type: "s3", bucket: "b", access_key_id: "a" }, "bucket: expected a bucket's name"],
  [
    { type: "s3", bucket: "bucket", access_key_id: "a" },
    "secret_access_key: expected access_key_id and secret_access_key together",
  ],
  [
    { type: "s3", bucket: "bucket", session_token: "t" },
    "session_token: expected access_key_id and secret_access_key beside it",
  ],
  [
    { type: "s3", bucket: "bucket", endpoint: "s3.example.com" },
    'endpoint: expected a URL such as "https://s3.example.com"',
  ],
  [{ type: "s3", bucket: "bucket", part_size: "1MiB" }, "part_size: expected a size from 5MiB to 5GiB"],
  [
    { type: "sftp", host: "h", user: "u", directory: "d" },
    "private_key_file: expected private_key_file, password or agent",
  ],
  [
    { type: "sftp", host: "h", user: "u", directory: "d", agent: false },
    "private_key_file: expected private_key_file, password or agent",
  ],
])("%j is refused", (value, message) => {
  expect(issues(value)).toContain(message);
});

describe("pgrwl's configuration is taken:", () => {
  const from = (storage: unknown, directory = "/var/lib/pgwal/") => {
    const { storage: ours, codec } = fromOriginalStorage(originalStorage.parse(storage), directory);
    return { storage: storageSettings.parse(ours), codec: codecSettings.parse(codec) };
  };

  test("none", () => {
    expect(from({})).toEqual({
      storage: { type: "local", directory: "/var/lib/pgwal/" },
      codec: { compression: "none" },
    });
  });

  test("S3", () => {
    const s3 = {
      url: "https://minio:9000",
      access_key_id: "a",
      secret_access_key: "s",
      bucket: "backups",
      region: "main",
      use_path_style: true,
      disable_ssl: true,
    };
    const found = from({
      name: "s3",
      s3,
      compression: { algo: "gzip" },
      encryption: { algo: "aesgcm", pass: "qwerty123" },
    });
    expect(found.storage).toMatchObject({
      endpoint: "https://minio:9000",
      bucket: "backups",
      path_style: true,
      insecure_skip_verify: true,
    });
    expect(found.codec).toEqual({ compression: "gzip", encryption_password: "qwerty123" });
  });

  test("SFTP", () => {
    const sftp = {
      host: "sshd",
      port: "2323",
      user: "pgrwl",
      pkey_path: "/key",
      pkey_pass: "",
      base_dir: "/mnt/wals/",
    };
    const found = from({ name: "sftp", sftp, compression: { algo: "zstd" }, something: "else" });
    expect(found.storage).toMatchObject({
      port: 2323,
      directory: "/mnt/wals/var/lib/pgwal",
      private_key_file: "/key",
      insecure_ignore_host_key: false,
    });
    expect(found.storage).not.toHaveProperty("passphrase");
    expect(found.codec).toEqual({ compression: "zstd" });
  });

  test("but not without the section that it names", () => {
    expect(() => from({ name: "s3" })).toThrow("storage.s3 is required for s3 storage");
    expect(() => from({ name: "sftp" })).toThrow("storage.sftp is required for sftp storage");
  });
});
