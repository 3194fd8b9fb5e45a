/** The command table of the executable, read for its manual and its shell completions. */
import { type Command, type Flag, helpFlag } from "../../../agent/commands/command.ts";
import { commandNames, loadCommand } from "../../../agent/commands/index.ts";
import { originalCommands } from "./originals.ts";

/** Every command, in the order of `holdfast --help`, and `as NAME` for each tool that is replaced. */
export async function commandTable(): Promise<readonly Command[]> {
  const commands = await Promise.all([...commandNames].map((name) => loadCommand(name)));
  return [...commands.filter((command) => command !== undefined), ...originalCommands];
}

/** The flags that help shows, `--help` last. */
export function shownFlags({ flags }: Command): readonly Flag[] {
  return [...flags, helpFlag].filter(({ internal }) => !internal);
}

/** What may stand where a flag's value or an operand does: names of files, of folders, or something else. */
export function kindOfValue(placeholder: string): "file" | "folder" | "other" {
  if (/\b(?:FILE|ARCHIVE|MANIFEST|PATH|p)\b/.test(placeholder)) return "file";
  return /\b(?:DIR|FOLDER)\b/.test(placeholder) ? "folder" : "other";
}
