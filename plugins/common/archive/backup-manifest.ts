/** What a backup in a target consists of: `backups/NAME.json`, whose files are `files/xx/DIGEST`. */
import { z } from "holdfast";
import { ArchiveError, checkedPath } from "./tar-read.ts";

const shape = z.object({
  version: z.literal(1),
  /** The snapshot's name. */
  name: z.string(),
  /** Whose it is, where several instances keep their backups in one place. */
  owner: z.string().optional(),
  /** When the backup was complete, ISO 8601. */
  completed: z.iso.datetime(),
  /** Whether the snapshot was verified before. */
  verified: z.boolean(),
  blocks: z.array(z.object({ ulid: z.string(), min_time: z.number(), max_time: z.number(), level: z.number() })),
  files: z.array(
    z.object({
      path: z.string(),
      size_bytes: z.number().int().nonnegative(),
      sha256_hex: z.string().regex(/^[0-9a-f]{64}$/),
    }),
  ),
});

export type BackupManifest = z.output<typeof shape>;

/** @throws {ArchiveError} It is none, or a path in it leads elsewhere. */
export function parseManifest(json: string): BackupManifest {
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch (cause) {
    throw new ArchiveError("the manifest is no JSON", { cause });
  }
  const parsed = shape.safeParse(value);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    throw new ArchiveError(`it is no manifest of a backup: ${issue?.path.join(".")}: ${issue?.message}`);
  }
  for (const { path } of parsed.data.files) checkedPath(path);
  return parsed.data;
}

export const manifestName = (snapshot: string): string => `backups/${snapshot}.json`;
export const fileName = (sha256Hex: string): string => `files/${sha256Hex.slice(0, 2)}/${sha256Hex}`;
