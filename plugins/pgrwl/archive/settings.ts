/** The `archive:` section: where ended segments go, and how long they stay. */
import { isAbsolute } from "node:path";
import { duration, size, z } from "holdfast";
import { isSegmentName } from "../../common/postgres/wal-segments.ts";
import { archiveKeys } from "../../common/wal-archive/settings.ts";

const positive = (initial: string) =>
  duration()
    .refine((seconds) => seconds >= 1 && seconds <= 86_400 * 7, "expected a duration from 1s to 7d")
    .prefault(initial);

const keepFrom = z
  .string()
  .refine(
    (text) => isSegmentName(text) || isAbsolute(text),
    "expected a segment such as 000000010000000000000042, or an absolute path of backup labels such as /backups/*/backup_label",
  );

const retention = z.strictObject({
  keep: duration()
    .refine((seconds) => seconds >= 60, "expected a duration of at least 1m")
    .describe("WAL that was stored within this time stays. Required."),
  keep_from: z
    .union([keepFrom.transform((one) => [one]), z.array(keepFrom)])
    .default([])
    .describe(
      "What else is needed: a segment, from which on all stays, or paths of base backups' labels (`/backups/*/backup_label`, `*.backup`), each of which needs WAL from its start on.",
    ),
  dry_run: z.boolean().default(false).describe("Says what would go, and deletes nothing."),
  interval: positive("1h").describe("How often."),
});

/** Somebody who means less has forgotten a unit. */
const leastRate = 64 * 1024;

export const archiveSection = z.strictObject({
  ...archiveKeys,
  concurrency: z.int().min(1).max(16).default(2).describe("Uploads at once."),
  max_rate: size()
    .refine((bytes) => bytes >= leastRate, "expected bytes for each second, at least 64KiB")
    .optional()
    .describe(
      "WAL that is uploaded in a second, on average, such as `32MiB`, before it is compressed. Default: as much as the storage takes.",
    ),
  keep_local: z
    .union(
      [
        z
          .int()
          .min(0)
          .transform((segments): KeepLocal => ({ segments })),
        duration().transform((seconds): KeepLocal => ({ seconds })),
      ],
      { error: 'expected a number of segments, or a duration such as "1h"' },
    )
    .prefault(16)
    .describe(
      "What stays in the directory once it is archived: a number of segments, or a duration. The newest one always stays.",
    ),
  ship_partial: duration()
    .refine(
      (seconds) => seconds === 0 || (seconds >= 1 && seconds <= 86_400),
      "expected 0, or a duration from 1s to 1d",
    )
    .prefault("0s")
    .describe("How often the beginning of the current segment is stored as `NAME.partial`; `0`: never."),
  retention: retention.optional().describe("What leaves the archive. Default: nothing does."),
  verify: z
    .strictObject({
      interval: positive("1d").describe("How often the archive is verified."),
      depth: z
        .enum(["names", "sampled", "all"])
        .default("names")
        .describe("`names`: only whether all are there; `sampled`, `all`: whether they can be decoded, too."),
    })
    .optional()
    .describe("Whether the archive is whole. Default: nobody looks."),
});
export type ArchiveSection = z.output<typeof archiveSection>;
export type ArchiveSectionInput = z.input<typeof archiveSection>;
export type RetentionSettings = NonNullable<ArchiveSection["retention"]>;

/** Of segments that are archived: the newest so many, or those that were completed within so many seconds. */
export interface KeepLocal {
  readonly segments?: number;
  readonly seconds?: number;
}

const secrets: ReadonlySet<string> = new Set([
  "access_key_id",
  "secret_access_key",
  "session_token",
  "passphrase",
  "password",
]);

/** The section as it may be shown. */
export function redactArchive(section: ArchiveSection): unknown {
  const shown = (value: unknown): unknown => {
    if (Array.isArray(value) || typeof value !== "object" || value === null) return value;
    const entries = Object.entries(value).map(([key, inner]) => [key, secrets.has(key) ? "[REDACTED]" : shown(inner)]);
    return Object.fromEntries(entries);
  };
  return shown(section);
}
