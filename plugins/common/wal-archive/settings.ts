/** How a configuration names an archive of WAL: a storage, and how files are stored in it. */
import { z } from "holdfast";
import type { CodecSettings } from "../codec/settings.ts";
import { storageSettings } from "../storage/settings.ts";

const algorithm = z.enum(["none", "gzip", "zstd"]);

/** Keys to be spread into a larger object. */
export const archiveKeys = {
  storage: storageSettings.describe("Where: a `local` folder, `s3` or `sftp`, see below."),
  compression: z
    .union([
      algorithm,
      z.strictObject({
        algorithm,
        level: z.int().min(1).max(19).optional().describe("gzip: 1 to 9, default 6; zstd: 1 to 19, default 3."),
      }),
    ])
    .default("none")
    .describe("`none`, `gzip` or `zstd`, or one with its level: `{ algorithm: zstd, level: 9 }`."),
  encryption: z
    .strictObject({
      algorithm: z.literal("aes-256-gcm").default("aes-256-gcm"),
      passphrase: z.string().min(1).describe("Without it nothing can be read again."),
    })
    .optional()
    .describe("`{ algorithm: aes-256-gcm, passphrase: … }`. Default: none."),
};

/** An archive on its own; further keys of a larger object are passed over. */
export const archiveSettings = z.object(archiveKeys);
export type ArchiveSettings = z.output<typeof archiveSettings>;
export type ArchiveSettingsInput = z.input<typeof archiveSettings>;

export function codecOf({ compression, encryption }: Omit<ArchiveSettings, "storage">): CodecSettings {
  const { algorithm: name, level } =
    typeof compression === "string" ? { algorithm: compression, level: undefined } : compression;
  return {
    compression: name,
    ...(level === undefined ? {} : { compression_level: level }),
    ...(encryption === undefined ? {} : { encryption_password: encryption.passphrase }),
  };
}
