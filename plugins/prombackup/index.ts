/** Prometheus TSDB snapshots: taken, sent as archives, verified, kept and pruned. Takes the place of prombackup-server. */
import { hostname } from "node:os";
import { join } from "node:path";
import { definePlugin, type RestorableWindow } from "holdfast";
import { collector } from "./collect.ts";
import { restorableWindow } from "./restorable.ts";
import { routes } from "./routes.ts";
import { Schedule } from "./schedule.ts";
import { Series } from "./series.ts";
import { Server } from "./server.ts";
import { settings } from "./settings.ts";
import { State } from "./state.ts";
import { instanceStatus, type Seen } from "./status.ts";
import { Target } from "./target.ts";

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
    const owner = config.backup?.owner ?? `${hostname()}/${name}`;
    const targets = Object.entries(config.backup?.targets ?? {}).map(
      ([target, of]) => new Target({ name: target, owner, settings: of, log, now }),
    );
    server.verifiedElsewhereMs = () => {
      const times = targets.flatMap((target) => target.newestVerifiedMs() ?? []);
      return times.length === 0 ? undefined : Math.max(...times);
    };
    const schedule = new Schedule(server, targets);
    await server.store.sweep();
    const cluster = new URL(server.prometheus.url).host;
    let windows: readonly RestorableWindow[] = [];
    let seen: Seen | undefined;
    return {
      http: routes(server),
      restorable: () => windows,
      collect: collector(server, targets, version, {
        saw(now) {
          seen = now;
        },
        counted(copies) {
          windows = copies === undefined ? [] : [{ cluster, ...restorableWindow(copies) }];
        },
      }),
      status: () => instanceStatus(server, targets, seen, schedule.nextBackupAt),
      start: (running) => schedule.run(running.signal),
      async stop() {
        await Promise.all(targets.map((target) => target[Symbol.asyncDispose]()));
        await state.settled();
      },
    };
  },
});
