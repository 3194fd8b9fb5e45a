/** From settings to an archive. */
import { type OpenOptions, openStorage } from "../storage/open.ts";
import { WalArchive } from "./archive.ts";
import { archiveFolder } from "./object-names.ts";
import { type ArchiveSettings, codecOf } from "./settings.ts";

/** Nothing is connected until it is used. @throws {StorageError} misconfigured: a file that the settings name cannot be read. */
export async function openWalArchive(
  settings: Pick<ArchiveSettings, "storage" | "compression" | "encryption">,
  options: OpenOptions,
): Promise<WalArchive> {
  const { type } = settings.storage;
  return new WalArchive({
    storage: await openStorage(settings.storage, options),
    codec: codecOf(settings),
    folders: type === "local" ? [archiveFolder] : [archiveFolder, ""],
    listsCheaply: type === "s3",
  });
}
