/** What the commands need to know of an instance that receives WAL: the `config:` of the pgrwl plugin, read without it. */
import { z } from "holdfast";
import type { Environment } from "../storage/s3/credentials.ts";
import type { WalArchive } from "./archive.ts";
import { openWalArchive } from "./open.ts";
import { asksForArchive, originalArchive, type Written } from "./original-archive.ts";
import { readOriginalKeys } from "./original-keys.ts";
import { type ArchiveSettings, archiveSettings } from "./settings.ts";

const text = z.string().min(1);

const readKeys = z.object({
  directory: text.optional(),
  archive: archiveSettings.optional(),
  serve: z.object({ partial: z.boolean().default(true) }).prefault({}),
});

export interface InstanceArchive {
  /** Where segments are received on the machine that receives them. */
  readonly directory: string | undefined;
  readonly archive: ArchiveSettings | undefined;
  readonly servesPartial: boolean;
}

/** @throws {Error} It is no such `config:`; the first thing that is wrong. */
export function readInstanceArchive(config: unknown): InstanceArchive {
  const read = readKeys.safeParse(config);
  if (!read.success) {
    const [issue] = read.error.issues;
    throw new Error(`config.${issue?.path.join(".")}: ${issue?.message}`);
  }
  const original = readOriginalKeys((config ?? {}) as Readonly<Record<string, unknown>>);
  const directory = read.data.directory ?? (String(original.get("main.directory") ?? "") || undefined);
  const archive = read.data.archive ?? ofOriginal(original, directory);
  return { directory, archive, servesPartial: read.data.serve.partial };
}

function ofOriginal(original: Written, directory = ""): ArchiveSettings | undefined {
  if (!asksForArchive(original)) return undefined;
  const archive = originalArchive(original, directory);
  if ("key" in archive) throw new Error(`config.${archive.key}: ${archive.message}`);
  const { storage, compression, encryption } = archive;
  const checked = archiveSettings.safeParse({ storage, compression, encryption });
  if (checked.success) return checked.data;
  const [issue] = checked.error.issues;
  throw new Error(`config.storage: ${issue?.message} (archive.${issue?.path.join(".")})`);
}

/** Undefined where the instance archives nothing. @throws {StorageError} misconfigured */
export async function openInstanceArchive(
  { archive }: InstanceArchive,
  environment: Environment,
): Promise<WalArchive | undefined> {
  return archive && (await openWalArchive(archive, { environment }));
}
