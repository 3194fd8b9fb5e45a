/** What the commands need to know of an instance that receives WAL: the `config:` of the pgrwl plugin, read without it. */
import { z } from "holdfast";
import { fromOriginalStorage, originalStorage } from "../storage/original.ts";
import type { Environment } from "../storage/s3/credentials.ts";
import type { WalArchive } from "./archive.ts";
import { openWalArchive } from "./open.ts";
import { type ArchiveSettings, archiveSettings } from "./settings.ts";

const text = z.string().min(1);

const readKeys = z.object({
  directory: text.optional(),
  archive: archiveSettings.optional(),
  serve: z.object({ partial: z.boolean().default(true) }).prefault({}),
  main: z.looseObject({ directory: text.optional() }).optional(),
  storage: originalStorage.optional(),
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
  const { main, storage, serve } = read.data;
  const directory = read.data.directory ?? main?.directory;
  const archive = read.data.archive ?? (storage && directory ? fromOriginal(storage, directory) : undefined);
  return { directory, archive, servesPartial: serve.partial };
}

function fromOriginal(storage: z.output<typeof originalStorage>, directory: string): ArchiveSettings {
  const { storage: own, codec } = fromOriginalStorage(storage, directory);
  return archiveSettings.parse({
    storage: own,
    compression: codec.compression,
    ...(codec.encryption_password === undefined ? {} : { encryption: { passphrase: codec.encryption_password } }),
  });
}

/** Undefined where the instance archives nothing. @throws {StorageError} misconfigured */
export async function openInstanceArchive(
  { archive }: InstanceArchive,
  environment: Environment,
): Promise<WalArchive | undefined> {
  return archive && (await openWalArchive(archive, { environment }));
}
