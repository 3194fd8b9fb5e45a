/** pgrwl's own `storage:` section in our terms. Source: pgrwl v1.0.15 to v1.0.37, internal/config and internal/opt/shared/storecrypt. */
import { z } from "holdfast";
import type { CodecSettingsInput } from "../codec/settings.ts";
import type { StorageSettingsInput } from "./settings.ts";

/** All generations' keys; others are ignored, as pgrwl ignores them. */
export const originalStorage = z.looseObject({
  name: z.enum(["", "local", "s3", "sftp"]).default("local"),
  compression: z.looseObject({ algo: z.enum(["", "none", "gzip", "zstd"]).default("") }).optional(),
  encryption: z
    .looseObject({ algo: z.enum(["", "none", "aes-256-gcm", "aesgcm"]).default(""), pass: z.string().default("") })
    .optional(),
  sftp: z
    .looseObject({
      host: z.string(),
      port: z.coerce.number().default(22),
      user: z.string(),
      pass: z.string().default(""),
      pkey_path: z.string().default(""),
      pkey_pass: z.string().default(""),
      base_dir: z.string(),
    })
    .optional(),
  s3: z
    .looseObject({
      url: z.string(),
      access_key_id: z.string(),
      secret_access_key: z.string(),
      bucket: z.string(),
      region: z.string(),
      use_path_style: z.boolean().default(false),
      disable_ssl: z.boolean().default(false),
    })
    .optional(),
});
export type OriginalStorage = z.output<typeof originalStorage>;

export interface FromOriginal {
  readonly storage: StorageSettingsInput;
  readonly codec: CodecSettingsInput;
}

/**
 * | pgrwl | ours |
 * | --- | --- |
 * | `name` | `type`; empty is `local` |
 * | `s3.url`, `bucket`, `region`, `access_key_id`, `secret_access_key` | `endpoint`, and the same |
 * | `s3.use_path_style`, `s3.disable_ssl` | `path_style`, `insecure_skip_verify` (it never meant http) |
 * | `sftp.host`, `port`, `user`, `pass` | the same, `password` |
 * | `sftp.pkey_path`, `sftp.pkey_pass` | `private_key_file`, `passphrase` |
 * | `sftp.base_dir` + `main.directory` | `directory` |
 * | `compression.algo`, `encryption.algo` and `pass` | `compression`, `encryption_password` |
 *
 * pgrwl accepts any SFTP server; here the server must be in known_hosts as ever.
 * @param directory `main.directory`: the local folder, the prefix of keys, or a part of the path.
 * @throws {Error} The section of the named storage is missing.
 */
export function fromOriginalStorage(original: OriginalStorage, directory: string): FromOriginal {
  return { storage: storageOf(original, directory), codec: codecOf(original) };
}

function storageOf({ name, s3, sftp }: OriginalStorage, directory: string): StorageSettingsInput {
  switch (name) {
    case "s3":
      if (s3 === undefined) throw new Error("Cannot use storage.name s3: storage.s3 is required for s3 storage");
      return {
        type: "s3",
        endpoint: s3.url,
        region: s3.region,
        bucket: s3.bucket,
        prefix: directory,
        path_style: s3.use_path_style,
        access_key_id: s3.access_key_id,
        secret_access_key: s3.secret_access_key,
        insecure_skip_verify: s3.disable_ssl,
      };
    case "sftp":
      if (sftp === undefined)
        throw new Error("Cannot use storage.name sftp: storage.sftp is required for sftp storage");
      return {
        type: "sftp",
        host: sftp.host,
        port: sftp.port,
        user: sftp.user,
        directory: `${sftp.base_dir.replace(/\/+$/, "")}/${directory.replaceAll(/^\/+|\/+$/g, "")}`,
        ...(sftp.pass === "" ? {} : { password: sftp.pass }),
        ...(sftp.pkey_path === "" ? {} : { private_key_file: sftp.pkey_path }),
        ...(sftp.pkey_pass === "" ? {} : { passphrase: sftp.pkey_pass }),
      };
    default:
      return { type: "local", directory };
  }
}

function codecOf({ compression, encryption }: OriginalStorage): CodecSettingsInput {
  const algorithm = compression?.algo || "none";
  const isEncrypted = encryption !== undefined && encryption.algo !== "" && encryption.algo !== "none";
  return { compression: algorithm, ...(isEncrypted ? { encryption_password: encryption.pass } : {}) };
}
