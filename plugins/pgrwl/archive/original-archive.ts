/** The originals' keys of an archive as our `archive`, checked. */
import {
  asksForArchive,
  inWords,
  type OriginalProblem,
  originalArchive,
  type Written,
} from "../../common/wal-archive/original-archive.ts";
import { type ArchiveSection, archiveSection } from "./settings.ts";

/** The section that does what the originals' keys ask for; undefined where they ask for none. */
export function archiveFromOriginal(written: Written, directory: string): ArchiveSection | OriginalProblem | undefined {
  if (!asksForArchive(written)) return undefined;
  const input = originalArchive(written, directory);
  if ("key" in input) return input;
  const section = archiveSection.safeParse(input);
  if (section.success) return section.data;
  const [issue] = section.error.issues;
  return {
    key: "storage",
    message: `${inWords(issue?.message)} (archive.${issue?.path.join(".")})`,
  };
}
