import { revision, version } from "../build.ts";
import type { Command } from "./command.ts";

export const command: Command = {
  name: "version",
  summary: "Prints the version, the revision it was built from, and Bun's version.",
  flags: [],
  async run() {
    process.stdout.write(
      `holdfast ${version} (revision ${revision}, Bun ${Bun.version}, ${process.platform}/${process.arch})\n`,
    );
    return 0;
  },
};
