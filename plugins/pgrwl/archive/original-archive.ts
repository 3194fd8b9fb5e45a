/** The originals' sections `storage`, `receiver.uploader` and `*.retention` as our `archive`. Source: pgrwl, internal/config. */
import {
  archiveOfOriginal,
  type OriginalProblem,
  retentionOf,
  uploaderSections,
  type Written,
} from "../../common/wal-archive/original.ts";
import { type ArchiveSection, archiveSection } from "./settings.ts";

/** The section that does what the originals' keys ask for; undefined where they ask for none. */
export function archiveFromOriginal(written: Written, directory: string): ArchiveSection | OriginalProblem | undefined {
  const archive = archiveOfOriginal(written, directory);
  if (archive === undefined || "key" in archive) return archive;
  const section = archiveSection.safeParse({ ...archive, ...concurrencyOf(written), ...retentionOf(written) });
  if (section.success) return section.data;
  const [issue] = section.error.issues;
  return {
    key: "storage",
    message: `${issue?.message ?? "expected another value"} (archive.${issue?.path.join(".")})`,
  };
}

function concurrencyOf(written: Written): { concurrency?: number } {
  const [found] = uploaderSections.flatMap((prefix) => written.get(`${prefix}.max_concurrency`) ?? []);
  return found === undefined ? {} : { concurrency: Math.min(16, Number(found)) };
}
