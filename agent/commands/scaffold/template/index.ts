/** Files that wait in a directory. Source: `ls -1A -- DIRECTORY`. */
import { definePlugin, z } from "holdfast";

export default definePlugin({
  name: "spool",
  description: "Files that wait in a directory",
  version: "0.1.0",
  config: z.strictObject({
    directory: z.string().describe("The directory, an absolute path."),
    ending: z.string().default("").describe("Only files whose names end so are counted."),
  }),
  defaults: { interval: "30s", timeout: "10s" },
  setup({ config, metrics }) {
    const files = metrics.gauge({
      name: "spool_files",
      help: "Files that wait in the directory.",
      labelNames: ["directory"],
    });
    return {
      async collect({ run }) {
        const { stdout } = await run(["ls", "-1A", "--", config.directory]);
        const waiting = parseListing(stdout).filter((file) => file.endsWith(config.ending));
        files.set({ directory: config.directory }, waiting.length);
      },
    };
  },
});

/** The names in the output of `ls -1`, in its order. */
export function parseListing(text: string): string[] {
  return text.split("\n").filter((line) => line !== "");
}
