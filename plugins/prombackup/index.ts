/** Prometheus TSDB snapshots: taken, sent as archives, verified, kept and pruned. Takes the place of prombackup-server. */
import { join } from "node:path";
import { definePlugin } from "holdfast";
import { Backups } from "./backups.ts";
import { collector } from "./collect.ts";
import { routes } from "./routes.ts";
import { Schedule } from "./schedule.ts";
import { Series } from "./series.ts";
import { Server } from "./server.ts";
import { settings } from "./settings.ts";
import { State } from "./state.ts";
import { FolderTarget } from "./target.ts";

const version = "0.1.0";

export default definePlugin({
  name: "prombackup",
  description: "Prometheus TSDB snapshots as archives, verified, pruned and kept elsewhere",
  version,
  config: settings,
  defaults: { interval: "60s", timeout: "60s" },
  async setup({ name, config, metrics, log, signal, now }) {
    const series = new Series(metrics);
    const state = await State.open(config.state_dir ?? join(config.snapshot_dir, ".holdfast"), name, log);
    const server = new Server({ instance: name, settings: config, state, series, log, signal, now });
    const backups = config.backup && new Backups(server, new FolderTarget(config.backup.folder));
    const schedule = new Schedule(server, backups);
    await server.store.sweep();
    return {
      http: routes(server),
      collect: collector(server, backups, version),
      start: (running) => schedule.run(running.signal),
      stop: () => state.settled(),
    };
  },
});
