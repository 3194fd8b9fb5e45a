/** A third-party plugin: one file, no installation. */
import { definePlugin, z } from "holdfast";

export default definePlugin({
  name: "spool",
  description: "Depth of a spool directory",
  config: z.strictObject({ directory: z.string() }),
  setup({ config, metrics }) {
    const files = metrics.gauge({
      name: "spool_files",
      help: "Files waiting in the spool directory.",
      labelNames: ["directory"],
    });
    return {
      async collect({ signal, run }) {
        const { stdout } = await run(["ls", "-1", config.directory], { signal });
        files.set({ directory: config.directory }, stdout.split("\n").filter(Boolean).length);
      },
    };
  },
});
