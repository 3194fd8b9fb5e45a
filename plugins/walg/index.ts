/** Backups and WAL in a WAL-G storage: what there is, what is missing, how far back a recovery can go. */
import { definePlugin } from "holdfast";
import { settings } from "./settings.ts";
import { Watch } from "./watch.ts";

const version = "0.1.0";

export default definePlugin({
  name: "walg",
  description: "Backups and WAL of a PostgreSQL server in a WAL-G storage",
  version,
  config: settings,
  // The first collection waits for the list of backups, which may take two minutes, and a while for the rest.
  defaults: { interval: "60s", timeout: "3m" },
  async setup(context) {
    // wal-g and libpq are set up by the environment; instances add their own, which never leaves them.
    const watch = await Watch.create(context, version, process.env);
    return {
      collect: (collection) => watch.collect(collection),
      restorable: () => watch.windows,
      start: (running) => watch.start(running),
      stop: () => watch.stop(),
    };
  },
});
